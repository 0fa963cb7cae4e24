"""Matching against a referee: the rules of PS3.4 C.2.2.2 in plain Python, over plain rows."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from pacs.archive import Archive
from pacs.index.query import Level, Query, count, keyword_to_tag, search, search_all
from pacs.ingest import Source

MakeFile = Callable[..., bytes]
Row = dict[str, Any]

MODALITY = Source("dimse", "CT1")
UNIQUE: dict[Level, str] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


OF_STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "StudyDescription")


def study(
    number: int, person: Row, series: list[Row], values: tuple[str, str, str, str]
) -> Iterator[Row]:
    """The rows of a study: an instance each, with all that its study and series say."""
    for position, one in enumerate(series, 1):
        for image in range(1, one.pop("images", 1) + 1):
            yield {
                "StudyInstanceUID": f"1.{number}",
                "SeriesInstanceUID": f"1.{number}.{position}",
                "SOPInstanceUID": f"1.{number}.{position}.{image}",
                "SeriesNumber": position,
                "InstanceNumber": image,
                "ModalitiesInStudy": sorted({other["Modality"] for other in series}),
                **person,
                **dict(zip(OF_STUDY, values, strict=True)),
                **one,
            }


DUC: Row = {"PatientID": "079001", "PatientName": "Nguyễn^Văn^Đức"}
HOA: Row = {"PatientID": "079-2", "PatientName": "TRẦN^Thị^Hoa"}
TRAN: Row = {"PatientID": "079_2", "PatientName": "Trần^Hoa"}
YAMADA: Row = {"PatientID": "Y1", "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}
NOBODY: Row = {"PatientID": "X%", "PatientName": ""}


def request(step: str, accession: str) -> Row:
    return {"ScheduledProcedureStepID": step, "AccessionNumber": accession}


ROWS = [
    *study(
        1,
        DUC,
        [
            {"Modality": "CT", "BodyPartExamined": "CHEST", "SeriesDate": "20260105", "images": 2},
            {
                "Modality": "SR",
                "BodyPartExamined": "",
                "RequestAttributesSequence": [request("S1", "A-1"), request("S2", "A-2")],
            },
        ],
        ("20260105", "101530", "A-1", "CT ngực"),
    ),
    *study(
        2,
        DUC,
        [{"Modality": "DX", "BodyPartExamined": "CHEST", "Manufacturer": "Hãng_A"}],
        ("20260106", "0915", "A_2", "X-quang ngực thẳng"),
    ),
    *study(
        3,
        HOA,
        [
            {
                "Modality": "MR",
                "BodyPartExamined": "HEAD",
                "images": 3,
                "RequestAttributesSequence": [request("S1", "A-2")],
            }
        ],
        ("20260110", "235959.5", "a-1", ""),
    ),
    *study(
        4,
        TRAN,
        [
            {"Modality": "MR", "BodyPartExamined": "CHEST"},
            {"Modality": "CT", "BodyPartExamined": "HEAD"},
        ],
        ("20260107", "", "", "MRI não"),
    ),
    *study(
        5,
        YAMADA,
        [{"Modality": "CR", "BodyPartExamined": "A%B"}],
        ("", "120000", "A-10", "CR"),
    ),
    *study(
        6,
        NOBODY,
        [{"Modality": "CR", "BodyPartExamined": "a%b"}],
        ("20260105", "235959", "10%", "CR*"),
    ),
]


@pytest.fixture
def filled(archive: Archive, make_file: MakeFile) -> Archive:
    def item(values: Row) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    for row in ROWS:
        attributes = {key: value for key, value in row.items() if key != "ModalitiesInStudy"}
        if "RequestAttributesSequence" in attributes:
            items = map(item, attributes["RequestAttributesSequence"])
            attributes["RequestAttributesSequence"] = list(items)
        attributes = {"Manufacturer": "", "SeriesDate": ""} | attributes
        archive.ingest.receive([make_file(**attributes)], MODALITY)
    return archive


# The referee.


def fold(text: str) -> str:
    text = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "d"))
    bare = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"[\s^]+", " ", bare.casefold()).strip()


def like(pattern: str, text: str) -> bool:
    """Wild cards: `*` any number of characters, `?` one."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return like(pattern[1:], text) or (bool(text) and like(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and like(pattern[1:], text[1:])


def like_name(pattern: str, name: str) -> bool:
    """One component group matches any; several match those at their places."""
    keys, groups = ([fold(group) for group in full.split("=")] for full in (pattern, name))
    while len(keys) > 1 and not keys[-1].strip("* "):
        keys.pop()
    if len(keys) == 1:
        return any(like_group(keys[0], group) for group in groups)
    return len(keys) <= len(groups) and all(
        not key.strip("* ") or like_group(key, group)
        for key, group in zip(keys, groups, strict=False)
    )


def like_group(pattern: str, group: str) -> bool:
    """Components at the end that may be anything may be missing."""
    if like(pattern, group):
        return True
    return pattern.endswith(" *") and like_group(pattern[:-2], group)


def in_range(value: str, stored: str, fill: tuple[str, str]) -> bool:
    low, dash, high = value.partition("-")
    high = high if dash else low
    return bool(stored) and (
        (not low or low + fill[0][len(low) :] <= stored + fill[0][len(stored) :])
        and (not high or stored + fill[0][len(stored) :] <= high + fill[1][len(high) :])
    )


DATE_FILL, TIME_FILL = ("", ""), ("000000.000000", "235959.999999")


def universal(value: str) -> bool:
    return any(not part.strip("*^= ") for part in value.split("\\"))


def fulfils(row: Row, keyword: str, value: str) -> bool:
    """Whether the row's attribute matches the key's value."""
    if universal(value):
        return True
    stored = row.get(keyword, "")
    if value == '""':
        return not stored
    if keyword.endswith(("UID", "Number")) and keyword != "AccessionNumber":
        return str(stored) in value.split("\\")
    if keyword.endswith("Date"):
        return in_range(value, stored, DATE_FILL)
    if keyword.endswith("Time"):
        return in_range(value, stored, TIME_FILL)
    if keyword == "ModalitiesInStudy":
        return any(like(part, modality) for part in value.split("\\") for modality in stored)
    if keyword == "PatientName":
        return any(like_name(part, stored) for part in value.split("\\"))
    if keyword == "StudyDescription":
        return any(like(fold(part), fold(stored)) for part in value.split("\\"))
    return any(like(part, stored) for part in value.split("\\"))


def matches(row: Row, keys: dict[str, str]) -> bool:
    """Whether the row fulfils all keys; those into a sequence by one item together."""
    plain = {key: value for key, value in keys.items() if "." not in key}
    nested = {
        key.partition(".")[2]: value
        for key, value in keys.items()
        if "." in key and not universal(value)
    }
    return all(fulfils(row, key, value) for key, value in plain.items()) and (
        not nested
        or any(
            all(fulfils(item, key, value) for key, value in nested.items())
            for item in row.get("RequestAttributesSequence", [])
        )
    )


def expected(level: Level, keys: dict[str, str]) -> list[str]:
    return sorted({row[UNIQUE[level]] for row in ROWS if matches(row, keys)})


def path(keyword: str) -> str:
    return ".".join(map(keyword_to_tag, keyword.split(".")))


def found(archive: Archive, level: Level, keys: dict[str, str], **options: Any) -> list[str]:
    query = Query(level, {path(key): value for key, value in keys.items()}, **options)
    tag = keyword_to_tag(UNIQUE[level])
    with archive.engine.connect() as connection:
        answers = list(search_all(connection, query))
        assert search(connection, query) == answers
        assert count(connection, query) == len(answers)
    return sorted(answer[tag]["Value"][0] for answer in answers)


TEXTS = [
    *("PatientID", "PatientName", "AccessionNumber"),
    "StudyDescription",
    "ModalitiesInStudy",
    "Modality",
    "BodyPartExamined",
    "Manufacturer",
    "RequestAttributesSequence.ScheduledProcedureStepID",
    "RequestAttributesSequence.AccessionNumber",
]


def stored_texts(keyword: str) -> list[str]:
    values: list[str] = []
    for row in ROWS:
        rows = row.get("RequestAttributesSequence", []) if "." in keyword else [row]
        for one in rows:
            value = one.get(keyword.rpartition(".")[2], "")
            values += value if isinstance(value, list) else [value]
    return sorted({value for value in values if value})


NAMES = ("PatientName", "StudyDescription")


@st.composite
def text_values(draw: st.DrawFn, keyword: str) -> str:
    """A stored value, with parts of it taken out for wild cards, or two of them, or none."""
    letters = list(draw(st.sampled_from(stored_texts(keyword))))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(letters)))
        end = draw(st.integers(start, len(letters)))
        wild = draw(st.sampled_from("*?^" if keyword == "PatientName" else "*?"))
        letters[start:end] = wild * (end - start if wild == "?" else 1)
    text = "".join(letters)
    if keyword in NAMES:
        cased = draw(st.sampled_from([text, text.upper(), text.lower()]))
        text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), cased)
    if draw(st.booleans()):
        text = f"{text}\\{draw(st.sampled_from(stored_texts(keyword)))}"
    none = "*" if keyword == "ModalitiesInStudy" else '""'
    return draw(st.sampled_from([text, text, text, "", "*", none]))


DAYS = ["20260105", "20260106", "20260107", "20260110", "20251231"]
TIMES = ["10", "1015", "101530", "0915", "235959", "235959.5", "12"]


def ranges(values: list[str]) -> st.SearchStrategy[str]:
    one = st.sampled_from(values)
    both = st.tuples(one, one).map("-".join)
    return st.one_of(one, both, one.map(lambda value: f"{value}-"), one.map(lambda v: f"-{v}"))


@st.composite
def keys(draw: st.DrawFn) -> dict[str, str]:
    chosen = draw(st.lists(st.sampled_from(TEXTS), max_size=3, unique=True))
    asked = {keyword: draw(text_values(keyword)) for keyword in chosen}
    others: dict[str, st.SearchStrategy[str]] = {
        "StudyDate": ranges(DAYS),
        "StudyTime": ranges(TIMES),
        "SeriesDate": ranges(DAYS),
        "StudyInstanceUID": st.sampled_from(["1.1", "1.3\\1.1", "1.2\\1.9"]),
        "SOPInstanceUID": st.sampled_from(["1.1.1.2", "1.3.1.1\\1.3.1.3"]),
        "InstanceNumber": st.sampled_from(["1", "2", "3"]),
    }
    for keyword in draw(st.lists(st.sampled_from(sorted(others)), max_size=2, unique=True)):
        asked[keyword] = draw(others[keyword])
    return asked


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(UNIQUE)), keys())
def test_the_index_agrees_with_the_referee(
    filled: Archive, level: Level, asked: dict[str, str]
) -> None:
    assert found(filled, level, asked) == expected(level, asked)


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        ("yamada^tarou", ["1.5"]),
        ("山田^太郎", ["1.5"]),
        ("やまだ*", ["1.5"]),
        ("yamada*=山田*", ["1.5"]),
        ("=山田^太郎=", ["1.5"]),
        ("yamada=山田*", []),
        ("tarou*", []),
        ("yam*太郎", []),
        ("yamada^tarou^*", ["1.5"]),
        ("nguyen^van^duc", ["1.1", "1.2"]),
        ("NGUYỄN VĂN ĐỨC", ["1.1", "1.2"]),
        ("Nguyê\u0303n*", ["1.1", "1.2"]),
        ("nguyen^van^duc^*", ["1.1", "1.2"]),
        ("tran^hoa\\nguyen*", ["1.1", "1.2", "1.4"]),
        ("*hoa", ["1.3", "1.4"]),
        ("tran^*^hoa", ["1.3"]),
        ("^^^^", ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]),
        ('""', ["1.6"]),
    ],
)
def test_names(filled: Archive, name: str, studies: list[str]) -> None:
    assert found(filled, "STUDY", {"PatientName": name}) == studies


# 5 January 10:15:30 to 10 January 23:59:59.5, one of no time and one of no date.
@pytest.mark.parametrize(
    ("dates", "times", "apart", "together"),
    [
        ("20260105-20260106", "1000-1200", ["1.1"], ["1.1", "1.2", "1.6"]),
        ("20260105-20260106", "1100-0900", [], ["1.6"]),
        ("20260106-", "2000-", ["1.3"], ["1.3", "1.4"]),
        ("-20260107", "-0900", [], ["1.1", "1.2", "1.4", "1.6"]),
        ("20260105-20260106", "10-", ["1.1", "1.6"], ["1.1", "1.6"]),
        ("20260105", "10-12", ["1.1"], ["1.1"]),
    ],
)
def test_ranges_of_one_form_are_combined_where_negotiated(
    filled: Archive, dates: str, times: str, apart: list[str], together: list[str]
) -> None:
    asked = {"StudyDate": dates, "StudyTime": times}
    assert found(filled, "STUDY", asked) == apart
    assert found(filled, "STUDY", asked, combined_moments=True) == together


@pytest.mark.parametrize(
    ("keys", "series"),
    [
        ({"ScheduledProcedureStepID": "S1"}, ["1.1.2", "1.3.1"]),
        ({"ScheduledProcedureStepID": "S1", "AccessionNumber": "A-2"}, ["1.3.1"]),
        ({"ScheduledProcedureStepID": "S?", "AccessionNumber": "A-2"}, ["1.1.2", "1.3.1"]),
        ({"ScheduledProcedureStepID": "S2", "AccessionNumber": ""}, ["1.1.2"]),
        ({"ScheduledProcedureStepID": "s1"}, []),
    ],
)
def test_one_item_fulfils_all_keys_of_a_sequence(
    filled: Archive, keys: dict[str, str], series: list[str]
) -> None:
    asked = {f"RequestAttributesSequence.{key}": value for key, value in keys.items()}
    assert found(filled, "SERIES", asked) == series
    studies = sorted({uid.rpartition(".")[0] for uid in series})
    assert found(filled, "STUDY", asked) == studies


def test_one_series_fulfils_all_its_keys(filled: Archive) -> None:
    asked = {"Modality": "CT", "BodyPartExamined": "HEAD"}
    assert found(filled, "STUDY", asked) == ["1.4"]
    assert found(filled, "STUDY", asked | {"BodyPartExamined": "CHEST"}) == ["1.1"]
    assert found(filled, "STUDY", {"Modality": "CT", "SeriesNumber": "1"}) == ["1.1"]
