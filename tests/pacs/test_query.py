"""Attribute matching (PS3.4 C.2.2.2): what each kind of key selects."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from pacs.archive import Archive
from pacs.index.attributes import KEYS, Level
from pacs.index.query import (
    Query,
    QueryError,
    Scope,
    count,
    keyword_to_tag,
    search,
    search_all,
    search_texts,
)
from pacs.ingest import Source
from pacs.workflow import settle_quiet_studies

MODALITY = Source("dimse", "CR1")
MakeFile = Callable[..., bytes]

STEP = Dataset()
STEP.ScheduledProcedureStepDescription = "CT sọ não"
STEP.ScheduledProcedureStepID = "S1"

STUDIES: list[dict[str, object]] = [
    {
        "StudyInstanceUID": "1.1",
        "StudyDate": "20260105",
        "StudyTime": "101530",
        "AccessionNumber": "A-1",
        "PatientID": "079001",
        "PatientName": "Nguyễn^Văn^Đức",
        "PatientBirthDate": "19700101",
        "Modality": "DX",
        "StudyDescription": "X-quang ngực thẳng",
        "BodyPartExamined": "CHEST",
    },
    {
        "StudyInstanceUID": "1.2",
        "StudyDate": "20260110",
        "StudyTime": "235959.5",
        "AccessionNumber": "A_2",
        "PatientID": "079002",
        "PatientName": "TRẦN^THỊ^HOA",
        "PatientBirthDate": "19851231",
        "Modality": "CT",
        "StudyDescription": "CT sọ não",
        "RequestAttributesSequence": [STEP],
        "BodyPartExamined": "HEAD",
    },
    {
        "StudyInstanceUID": "1.3",
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "PatientID": "079002",
        "PatientName": "Trần^Thị^Hoa",
        "PatientBirthDate": "19851231",
        "Modality": "DX",
        "StudyDescription": "",
        "BodyPartExamined": "",
    },
]


@pytest.fixture
def filled(archive: Archive, make_file: MakeFile) -> Archive:
    for attributes in STUDIES:
        archive.ingest.receive([make_file(**attributes)], MODALITY)
    return archive


def found(archive: Archive, matches: Mapping[str, str], **options: object) -> list[str]:
    query = Query("STUDY", {keyword_to_tag(k): v for k, v in matches.items()}, **options)  # type: ignore[arg-type]
    with archive.engine.connect() as connection:
        answers = search(connection, query)
        if not options:
            assert count(connection, query) == len(answers)
    return sorted(answer["0020000D"]["Value"][0] for answer in answers)


@pytest.mark.parametrize(
    ("matches", "expected"),
    [
        ({}, ["1.1", "1.2", "1.3"]),
        ({"PatientName": ""}, ["1.1", "1.2", "1.3"]),
        ({"PatientName": "*"}, ["1.1", "1.2", "1.3"]),
        ({"PatientName": "nguyen^van^duc"}, ["1.1"]),
        ({"PatientName": "NGUYỄN*"}, ["1.1"]),
        ({"PatientName": "tr?n^*"}, ["1.2", "1.3"]),
        ({"PatientName": "tran"}, []),
        ({"PatientID": "079001"}, ["1.1"]),
        ({"PatientID": "0790*"}, ["1.1", "1.2", "1.3"]),
        ({"AccessionNumber": "A-1"}, ["1.1"]),
        ({"AccessionNumber": "A_?"}, ["1.2"]),
        ({"AccessionNumber": "A%"}, []),
        ({"AccessionNumber": "a-1"}, []),
        ({"StudyDate": "20260105"}, ["1.1"]),
        ({"StudyDate": "20260105-20260110"}, ["1.1", "1.2"]),
        ({"StudyDate": "-20260109"}, ["1.1"]),
        ({"StudyDate": "20260106-"}, ["1.2"]),
        ({"StudyTime": "10"}, ["1.1"]),
        ({"StudyTime": "1015-1015"}, ["1.1"]),
        ({"StudyTime": "235959-"}, ["1.2"]),
        ({"StudyInstanceUID": "1.1\\1.3"}, ["1.1", "1.3"]),
        ({"StudyInstanceUID": "1.1,1.2"}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": "CT"}, ["1.2"]),
        ({"ModalitiesInStudy": "CT\\DX"}, ["1.1", "1.2", "1.3"]),
        ({"ModalitiesInStudy": "C*"}, ["1.2"]),
        ({"Modality": "DX"}, ["1.1", "1.3"]),
        ({"BodyPartExamined": "CHEST"}, ["1.1"]),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"}, ["1.1", "1.2", "1.3"]),
        ({"StudyDescription": "x-quang nguc*"}, ["1.1"]),
        ({"NumberOfStudyRelatedInstances": "1"}, ["1.1", "1.2", "1.3"]),
        ({"PatientBirthDate": "19851231", "ModalitiesInStudy": "DX"}, ["1.3"]),
        ({"PatientAddress": "not a key of the index"}, ["1.1", "1.2", "1.3"]),
        ({"PatientComments": "none has any"}, []),
        ({"StudyDate": "20260105\\20260110"}, ["1.1", "1.2"]),
        ({"AccessionNumber": '""'}, ["1.3"]),
        ({"StudyDate": '""'}, ["1.3"]),
    ],
)
def test_keys_select(filled: Archive, matches: dict[str, str], expected: list[str]) -> None:
    assert found(filled, matches) == expected


def test_fuzzy_names_are_found_by_beginnings_in_any_order(filled: Archive) -> None:
    assert found(filled, {"PatientName": "duc nguy"}, fuzzy=True) == ["1.1"]
    assert found(filled, {"PatientName": "nguyen duc"}, fuzzy=True) == ["1.1"]
    assert found(filled, {"PatientName": "d van nguyen"}, fuzzy=True) == ["1.1"]
    assert found(filled, {"PatientName": "hoa"}, fuzzy=True) == ["1.2", "1.3"]
    assert found(filled, {"PatientName": "!!"}, fuzzy=True) == ["1.1", "1.2", "1.3"]


def test_pages_and_order(filled: Archive) -> None:
    with filled.engine.connect() as connection:
        pages = [
            search(connection, Query("STUDY", {}, limit=1, offset=offset)) for offset in range(4)
        ]
    assert [[answer["0020000D"]["Value"][0] for answer in page] for page in pages] == [
        ["1.2"],
        ["1.1"],
        ["1.3"],
        [],
    ]


def test_levels(filled: Archive) -> None:
    with filled.engine.connect() as connection:
        people = search(connection, Query("PATIENT", {}))
        series = search(connection, Query("SERIES", {"0020000D": "1.1"}, include="all"))
        images = search(connection, Query("IMAGE", {"0020000D": "1.1"}))
        none = search(connection, Query("IMAGE", {"0020000D": "1.1"}), Scope("1.2"))
        chest = search(connection, Query("SERIES", {"00080061": "D*"}))
    assert sorted(person["00100020"]["Value"][0] for person in people) == ["079001", "079002"]
    assert series[0]["00201209"]["Value"] == [1]
    assert series[0]["00080061"]["Value"] == ["DX"]
    assert images[0]["00280010"]["Value"] == [8]
    assert none == []
    assert len(chest) == 2


def test_what_is_answered(filled: Archive) -> None:
    step, series = "00400275.00400009", Query("SERIES", {"00080060": "CT"}, answer="keys")
    with filled.engine.connect() as connection:
        (all_of_level,) = search(connection, Query("SERIES", {"00080060": "CT"}))
        (keys,) = search(connection, series)
        (more,) = search(connection, replace(series, include=frozenset(["00100010", "00201208"])))
        (patient,) = search(connection, Query("PATIENT", {"00100020": "079001", "00201200": ""}))
        (item,) = search(connection, replace(series, matches={"0020000D": "1.2", step: ""}))
    assert list(keys) == ["00080005", "00080060", "0020000D", "0020000E"]
    assert set(keys) < set(all_of_level) > {"00201209", "00180015"}
    assert more["00100010"]["Value"] == [{"Alphabetic": "TRẦN^THỊ^HOA"}]
    assert more["00201208"]["Value"] == [1]
    assert patient["00201200"]["Value"] == [1]
    assert "0020000D" not in patient
    assert item["00400275"]["Value"] == [{"00400009": {"vr": "SH", "Value": ["S1"]}}]


def test_all_are_answered_whatever_their_number(archive: Archive, make_file: MakeFile) -> None:
    for number in range(1, 303):
        file = make_file(StudyInstanceUID="1", SeriesInstanceUID="1.1", InstanceNumber=number)
        archive.ingest.receive([file], MODALITY)
    query = Query("IMAGE", {"0020000D": "1"}, limit=10)
    with archive.engine.connect() as connection:
        numbers = [answer["00200013"]["Value"][0] for answer in search_all(connection, query)]
        few = [answer for answer, _ in zip(search_all(connection, query), range(3), strict=False)]
        (study,) = search(connection, Query("STUDY", {"0020000D": "1"}))
    with archive.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        same = [answer["00200013"]["Value"][0] for answer in search_all(connection, query)]
        again = len(list(search_all(connection, query)))
    assert numbers == same == list(range(1, 303))
    assert again == len(numbers)
    assert len(few) == 3
    assert study["00201208"]["Value"] == [302]


def test_instances_are_counted_before_and_after_a_study_settles(
    filled: Archive, make_file: MakeFile
) -> None:
    def counted() -> tuple[list[int], list[int], int]:
        with filled.engine.connect() as connection:
            studies = search(connection, Query("STUDY", {"00100020": "079001"}))
            series = search(connection, Query("SERIES", {"0020000D": "1.1"}))
            two = count(connection, Query("STUDY", {"00201208": "2"}))
            return studies[0]["00201208"]["Value"], series[0]["00201209"]["Value"], two

    one_more = STUDIES[0] | {"SeriesInstanceUID": uid_of_series(filled)}
    filled.ingest.receive([make_file(**one_more)], MODALITY)
    assert counted() == ([2], [2], 1)
    with filled.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    assert counted() == ([2], [2], 1)


def uid_of_series(archive: Archive) -> str:
    with archive.engine.connect() as connection:
        (series,) = search(connection, Query("SERIES", {"0020000D": "1.1"}))
    uid: str = series["0020000E"]["Value"][0]
    return uid


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "2026"),
        ("StudyDate", "20261301"),
        ("StudyDate", "-"),
        ("StudyTime", "9999"),
        ("StudyInstanceUID", "1.2.x"),
        ("StudyInstanceUID", "\\".join(["1.2"] * 2000)),
        ("InstanceNumber", "one"),
        ("InstanceNumber", "9" * 20),
    ],
)
def test_what_cannot_be_asked_is_said(filled: Archive, keyword: str, value: str) -> None:
    with pytest.raises(QueryError) as refusal:
        found(filled, {keyword: value})
    assert refusal.value.tag == keyword_to_tag(keyword)


def test_names_of_attributes() -> None:
    assert keyword_to_tag("PatientName") == keyword_to_tag("0010,0010") == "00100010"
    for name in ("PatientNam", "0010001", "", "'; DROP TABLE studies"):
        with pytest.raises(QueryError):
            keyword_to_tag(name)


WITHOUT_COLUMN = [
    *("00080070", "00081060", "00101030", "00181030", "00280100", "0008002A"),
    *("00400275.00400009", "00400275.0040A040", "00081032.00080100", "00101010.00080100"),
]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*sorted(KEYS), *WITHOUT_COLUMN]),
        st.one_of(st.text(max_size=20), st.from_regex(r"[0-9.*?^=\\\\-]{1,12}", fullmatch=True)),
        max_size=4,
    ),
    st.sampled_from(["PATIENT", "STUDY", "SERIES", "IMAGE"]),
    st.booleans(),
)
def test_no_value_breaks_the_database(
    archive: Archive, matches: dict[str, str], level: str, fuzzy: bool
) -> None:
    query = Query(level, matches, fuzzy=fuzzy, combined_moments=fuzzy)  # type: ignore[arg-type]
    with archive.engine.connect() as connection:
        try:
            search(connection, query)
            count(connection, query)
        except QueryError as refusal:
            assert any(path.endswith(refusal.tag) for path in matches)


def test_descriptions_keep_their_signs(archive: Archive, make_file: MakeFile) -> None:
    archive.ingest.receive([make_file(StudyInstanceUID="1", StudyDescription="T1=FS")], MODALITY)
    assert found(archive, {"StudyDescription": "t1=fs"}) == ["1"]


def test_texts_say_what_data_sets_say(archive: Archive, make_file: MakeFile) -> None:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "00100020", 'quoted "00100020": {'
    kinds: list[dict[str, object]] = [
        {},
        {"StudyDescription": '}, "00100020": {"vr": "LO"', "PatientName": 'Đỗ^"Ánh"'},
        {"ProcedureCodeSequence": [code]},
        {"NumberOfStudyRelatedInstances": "99", "ModalitiesInStudy": ["XX", "YY"]},
        {"Modality": 'C"T'},
        {"InstanceAvailability": "OFFLINE", "SeriesDescription": "", "PatientSex": None},
    ]
    for attributes in kinds:
        archive.ingest.receive([make_file(**attributes)], MODALITY)
    levels: list[Level] = ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    includes: list[frozenset[str] | Literal["all"]] = [
        frozenset(),
        frozenset(("00100010", "00080062")),
        "all",
    ]
    for settled in (False, True):
        with archive.engine.begin() as connection:
            if settled:
                settle_quiet_studies(connection, 0)
            for level, include in itertools.product(levels, includes):
                query = Query(level, {}, include=include)
                expected = search(connection, query, studies_url="http://here/studies")
                texts = search_texts(connection, query, Scope(), "http://here/studies")
                read = [orjson.loads(text) for text in texts]
                assert read == expected
                assert [list(one) for one in read] == [list(one) for one in expected]
                assert len(read) == len(kinds) or level == "PATIENT"
