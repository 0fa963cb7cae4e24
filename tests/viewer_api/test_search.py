"""QIDO-RS: what it finds, how it pages, what it refuses."""

from contextlib import closing
from http.client import HTTPConnection
from xml.etree import ElementTree

import httpx2
import pytest
from dicomweb_client.api import DICOMwebClient
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.index.query import QueryError
from tests.plugins.hospital import CT, RADIOGRAPH, STUDIES, Hospital
from viewer_api.dicomweb.search import parse_search
from viewer_api.problems import Problem


@pytest.fixture(scope="module")
def hospital(own_hospital: Hospital) -> Hospital:
    """What is found here is counted."""
    return own_hospital


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


@pytest.fixture
def dicomweb(hospital: Hospital) -> DICOMwebClient:
    """The reference client, as other people's software uses it."""
    headers = {"Authorization": f"Bearer {hospital.tokens['service']}"}
    return DICOMwebClient(f"{hospital.url}/dicomweb", headers=headers)


def uids(answer: httpx2.Response, tag: str = "0020000D") -> set[str]:
    assert answer.status_code == 200, answer.text
    return {item[tag]["Value"][0] for item in answer.json()}


def test_dicomweb_client_finds_studies_series_and_instances(
    hospital: Hospital, dicomweb: DICOMwebClient
) -> None:
    stored = hospital.stored[RADIOGRAPH]
    (study,) = dicomweb.search_for_studies(
        search_filters={"StudyInstanceUID": stored.study_instance_uid}
    )
    assert study["00080061"]["Value"] == ["CR"]
    assert study["00081190"]["Value"][0].endswith(hospital.path(RADIOGRAPH, "study"))
    (series,) = dicomweb.search_for_series(stored.study_instance_uid)
    assert series["00081190"]["Value"][0].endswith(hospital.path(RADIOGRAPH, "series"))
    (instance,) = dicomweb.search_for_instances(
        stored.study_instance_uid, stored.series_instance_uid
    )
    assert instance["00080018"]["Value"] == [stored.sop_instance_uid]
    assert instance["00081190"]["Value"][0].endswith(hospital.path(RADIOGRAPH))
    assert len(dicomweb.search_for_studies(get_remaining=True, limit=3)) >= len(STUDIES)
    assert len(dicomweb.search_for_series()) >= len(STUDIES)
    assert len(dicomweb.search_for_instances(stored.study_instance_uid)) == 1


@pytest.mark.parametrize(
    "query",
    [
        "PatientID=1CT1",
        "00100020=1CT1",
        "PatientName=compressedsamples%5Ect1",
        "PatientName=CompressedSamples%5E?T1",
        "00100010=*ct1&fuzzymatching=false",
        "PatientName=ct1+compressed&fuzzymatching=true",
        "StudyDate=20040119",
        "StudyDate=20040101-20040131&ModalitiesInStudy=CT",
        "StudyInstanceUID=1.2.3,1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
        "StudyInstanceUID=1.2.3&StudyInstanceUID=1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
        "PatientID=1CT1&_=1700000000",
        "PatientID=1CT1&Modality=CT&Manufacturer=GE*",
    ],
)
def test_each_kind_of_matching_finds_the_ct(
    hospital: Hospital, machine: httpx2.Client, query: str
) -> None:
    found = uids(machine.get(f"/dicomweb/studies?{query}"))
    assert found == {hospital.stored[CT].study_instance_uid}


def test_nothing_found_is_an_empty_list(machine: httpx2.Client) -> None:
    answer = machine.get("/dicomweb/studies?PatientID=nobody")
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["content-type"] == "application/dicom+json"


@pytest.mark.parametrize(
    "fields",
    [
        "includefield=StudyDescription&includefield=00080090",
        "includefield=StudyDescription,ReferringPhysicianName",
        "includefield=StudyDescription%2C00080090",
        "includefield=all",
    ],
)
def test_fields_can_be_asked_for_in_every_spelling(machine: httpx2.Client, fields: str) -> None:
    (series,) = machine.get(f"/dicomweb/series?PatientID=1CT1&{fields}").json()
    assert "00081030" in series
    assert "00080090" in series
    (plain,) = machine.get("/dicomweb/series?PatientID=1CT1").json()
    assert "00081030" not in plain


def test_pages_follow_one_another_and_say_that_there_are_more(machine: httpx2.Client) -> None:
    everything = uids(machine.get("/dicomweb/instances"), "00080018")
    pages: list[str] = []
    while True:
        answer = machine.get(f"/dicomweb/instances?limit=2&offset={len(pages)}")
        pages += [item["00080018"]["Value"][0] for item in answer.json()]
        if "warning" not in answer.headers:
            break
        assert answer.headers["warning"].startswith("299 ")
        assert len(answer.json()) == 2
    assert len(pages) == len(set(pages))
    assert set(pages) == everything


def test_attributes_of_sequence_items_select(machine: httpx2.Client) -> None:
    answer = machine.get("/dicomweb/studies?00400275.ScheduledProcedureStepID=none")
    assert (answer.json(), answer.headers.get("warning")) == ([], None)


def test_an_attribute_that_selects_nothing_out_is_named(machine: httpx2.Client) -> None:
    answer = machine.get("/dicomweb/studies?PatientID=1CT1&PatientAddress=Hue")
    assert len(answer.json()) == 1
    assert "PatientAddress" in answer.headers["warning"]


@pytest.mark.parametrize(
    "query",
    [
        "PatientNmae=x",
        "StudyDate=yesterday",
        "StudyInstanceUID=1.2.x",
        "limit=-1",
        "limit=many",
        "offset=99999999999",
        "fuzzymatching=perhaps",
        "includefield=NoSuchField",
        "PatientName=" + "x" * 9000,
        "&".join(f"StudyID={number}" for number in range(200)),
        "includefield=" + ",".join(f"{number:08X}" for number in range(600)),
        "StudyInstanceUID=" + ",".join(f"1.{number}" for number in range(2000)),
    ],
)
def test_a_question_that_cannot_be_answered_is_400(machine: httpx2.Client, query: str) -> None:
    answer = machine.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["a=1"] * 10_000),
        "&".join(["a="] * 10_000),
        "PatientName=" + "%F0%9F%92%80" * 3000,
    ],
)
def test_ten_thousand_parameters_are_refused(hospital: Hospital, query: str) -> None:
    with closing(HTTPConnection(hospital.url.removeprefix("http://"))) as client:
        headers = {"Authorization": f"Bearer {hospital.tokens['service']}"}
        client.request("GET", f"/dicomweb/studies?{query}", headers=headers)
        answer = client.getresponse()
        assert answer.status in (400, 414), answer.read()
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name",
    ["%00", "Nguy%E1%BB%85n'%20OR%201=1--", "%F0%9F%92%80", "%C3%28", "\\*?[", "%25%25s%28v0%29s"],
)
@pytest.mark.parametrize("fuzzy", ["true", "false"])
def test_hostile_names_find_nothing_and_break_nothing(
    machine: httpx2.Client, name: str, fuzzy: str
) -> None:
    for key in (
        "PatientName",
        "StudyDescription",
        "PatientID",
        "Manufacturer",
        "00400275.00400007",
    ):
        answer = machine.get(f"/dicomweb/studies?{key}={name}x&fuzzymatching={fuzzy}")
        assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("path", ["/studies/abc/series", "/studies/1.x/instances", "/studies/1/x"])
def test_uids_that_are_none_are_refused(machine: httpx2.Client, path: str) -> None:
    assert machine.get(f"/dicomweb{path}").status_code in (400, 404)


def test_another_uid_in_a_parameter_than_in_the_path_is_refused(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    path = f"{hospital.path(CT, 'study')}/series"
    assert machine.get(f"{path}?StudyInstanceUID=1.2.3").status_code == 400


def test_every_form_that_the_standard_knows_can_be_had(machine: httpx2.Client) -> None:
    refused = machine.get("/dicomweb/studies", headers={"Accept": "text/html"})
    assert refused.status_code == 406
    for good in ("application/dicom+json", "application/json", "*/*", "application/*;q=0.1"):
        answer = machine.get("/dicomweb/studies", headers={"Accept": good})
        assert answer.status_code == 200, good
    answer = machine.get("/dicomweb/studies?accept=application/dicom+json")
    assert answer.headers["content-type"] == "application/dicom+json"


def test_xml_says_the_same_as_json(hospital: Hospital, machine: httpx2.Client) -> None:
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    for path in ("/dicomweb/instances", f"{hospital.path(CT)}/metadata"):
        expected = machine.get(path).json()
        answer = machine.get(path, headers=accept)
        assert answer.headers["content-type"].startswith(
            'multipart/related; type="application/dicom+xml"; boundary='
        )
        boundary = answer.headers["content-type"].split("boundary=")[1].encode()
        documents = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)[1:-1]
        assert len(documents) == len(expected)
        for document, model in zip(documents, expected, strict=True):
            head, body = document.split(b"\r\n\r\n", 1)
            assert head == b"\r\nContent-Type: application/dicom+xml"
            read = {of.attrib["tag"]: of for of in ElementTree.fromstring(body)}
            public = {tag for tag in model if int(tag[3], 16) % 2 == 0}
            assert public <= read.keys()
            uid = read["00080018"][0].text
            assert [uid] == model["00080018"]["Value"]


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("/studies", "00080056 00080061 00081190 00201206 00201208 00100020"),
        ("/series", "00080056 00080060 00081190 0020000E 00201209 00100010 00080061 00201208"),
        ("/instances", "00080016 00080056 00083002 00081190 0020000E 00080060 00100020"),
    ],
)
def test_what_every_answer_carries(machine: httpx2.Client, path: str, tags: str) -> None:
    (found,) = machine.get(f"/dicomweb{path}?PatientID=1CT1").json()
    assert set(tags.split()) <= found.keys()
    assert list(found) == sorted(found)
    assert found["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}


def test_below_a_study_its_own_attributes_are_not_repeated(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    (series,) = machine.get(f"{hospital.path(CT, 'study')}/series").json()
    assert "00100010" not in series
    (instance,) = machine.get(f"{hospital.path(CT, 'series')}/instances").json()
    assert not {"00100010", "00080060"} & instance.keys()
    assert instance["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2", 1),
        ("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.1", 0),
        ("InstanceAvailability=ONLINE", 1),
        ("InstanceAvailability=OFFLINE", 0),
        ("AvailableTransferSyntaxUID=1.2.840.10008.1.2.1", 1),
        ("NumberOfStudyRelatedInstances=1", 1),
        ("NumberOfStudyRelatedInstances=2", 0),
        ("includefield=NumberOfPatientRelatedInstances", 1),
    ],
)
def test_what_no_object_says_of_itself_can_be_asked_for(
    machine: httpx2.Client, query: str, found: int
) -> None:
    answer = machine.get(f"/dicomweb/studies?PatientID=1CT1&{query}")
    assert (len(answer.json()), answer.headers.get("warning")) == (found, None)


def test_how_many_there_are_is_said_where_it_is_known(machine: httpx2.Client) -> None:
    total = len(machine.get("/dicomweb/studies").json())
    last = machine.get(f"/dicomweb/studies?limit=5&offset={total - 2}")
    assert (len(last.json()), last.headers["x-total-count"]) == (2, str(total))
    assert "x-total-count" not in machine.get("/dicomweb/studies?limit=1").headers
    assert "x-total-count" not in machine.get("/dicomweb/studies?offset=99999").headers


def test_long_answers_are_compressed_where_that_is_taken(machine: httpx2.Client) -> None:
    answer = machine.get("/dicomweb/instances", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    plain = machine.get("/dicomweb/instances", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()


names = st.one_of(
    st.sampled_from(["PatientName", "00100020", "limit", "offset", "includefield", "StudyDate"]),
    st.text(max_size=20),
)


@settings(deadline=None)
@given(st.lists(st.tuples(names, st.text(max_size=30)), max_size=10))
def test_any_parameters_are_read_or_refused(parameters: list[tuple[str, str]]) -> None:
    try:
        found = parse_search("STUDY", parameters, {})
    except (Problem, QueryError) as error:
        if isinstance(error, Problem):
            assert error.status_code == 400
        return
    assert 0 <= found.query.limit <= 4000


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text))
def test_any_name_is_searched_for_without_failing(hospital: Hospital, name: str) -> None:
    client = hospital.machine()
    try:
        answer = client.get("/dicomweb/studies", params={"PatientName": name})
        fuzzy = client.get("/api/v1/worklist", params={"search": name})
    finally:
        client.close()
    assert answer.status_code == 200, answer.text
    assert fuzzy.status_code == 200, fuzzy.text
