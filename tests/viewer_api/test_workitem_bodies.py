"""UPS-RS: bodies in JSON and XML, right and hostile; searches over the web."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import generate_uid

from pacs.dicom.native_xml import native_xml
from tests.plugins.workitems import (
    DICOM_JSON,
    Worklist,
    new_workitem,
)


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": DICOM_JSON, "Content-Encoding": "gzip"}, b"{}", 415),
        ({"Content-Type": DICOM_JSON}, b"{", 400),
        ({"Content-Type": DICOM_JSON}, b"[]", 400),
        ({"Content-Type": DICOM_JSON}, b"[{},{}]", 400),
        ({"Content-Type": DICOM_JSON}, b"7", 400),
        ({"Content-Type": DICOM_JSON}, b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_bodies_that_are_none(
    worklist: Worklist, headers: dict[str, str], content: bytes, status: int
) -> None:
    answer = worklist.http.post(
        f"/dicomweb/workitems?{generate_uid()}", content=content, headers=headers
    )
    assert answer.status_code == status


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ELEMENTS = st.fixed_dictionaries(
    {"vr": st.sampled_from("AE CS DA DS DT IS LO LT PN SH SQ ST TM UI UN UR UT".split())},
    optional={"Value": st.lists(ANYTHING, max_size=2)},
)
TAGS = st.sampled_from([*new_workitem().to_json_dict(), "00404011", "00091001", "0020000D"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(TAGS, ELEMENTS | ANYTHING, min_size=1, max_size=3),
    st.sampled_from(("create", "update", "state", "cancelrequest")),
)
def test_no_body_makes_the_server_fail(
    worklist: Worklist, hostile: dict[str, Any], operation: str
) -> None:
    headers = {"Content-Type": DICOM_JSON}
    uid = str(generate_uid())
    body = new_workitem().to_json_dict() | (hostile if operation == "create" else {})
    made = worklist.http.post(
        f"/dicomweb/workitems?{uid}", content=json.dumps(body), headers=headers
    )
    assert made.status_code in (201, 400), made.text
    if made.status_code == 400:
        return
    path = f"/dicomweb/workitems/{uid}"
    content = json.dumps(hostile)
    if operation == "update":
        answer = worklist.http.post(path, content=content, headers=headers)
        assert answer.status_code in (200, 400, 409), answer.text
    elif operation != "create":
        method = "PUT" if operation == "state" else "POST"
        answer = worklist.http.request(
            method, f"{path}/{operation}", content=content, headers=headers
        )
        assert answer.status_code in (200, 202, 400), answer.text
    kept = worklist.http.get(path)
    assert kept.status_code == 200
    Dataset.from_json(kept.json()[0])
    found = worklist.http.get(f"/dicomweb/workitems?SOPInstanceUID={uid}&includefield=all")
    assert found.json() == kept.json()


XML = "application/dicom+xml"


@pytest.mark.parametrize("multipart", [True, False])
def test_workitems_in_xml(worklist: Worklist, multipart: bool) -> None:
    uid = generate_uid()
    model = new_workitem().to_json_dict()
    content, headers = native_xml(model), {"Content-Type": XML}
    if multipart:
        headers = {"Content-Type": f'multipart/related; type="{XML}"; boundary=b'}
        content = b"--b\r\nContent-Type: " + XML.encode() + b"\r\n\r\n" + content + b"\r\n--b--"
    made = worklist.http.post(f"/dicomweb/workitems?{uid}", content=content, headers=headers)
    assert made.status_code == 201, made.text
    kept = worklist.get(uid).to_json_dict()
    for tag in model.keys() - {"00404010"}:
        assert kept[tag] == model[tag], tag

    accept = {"Accept": f'multipart/related; type="{XML}"'}
    for path in (f"/dicomweb/workitems/{uid}", f"/dicomweb/workitems?SOPInstanceUID={uid}"):
        answer = worklist.http.get(path, headers=accept)
        assert answer.status_code == 200
        assert f'type="{XML}"' in answer.headers["content-type"]
        assert 'keyword="ProcedureStepState"' in answer.text
        assert "Phân tích phổi" in answer.text
    refused = worklist.http.get(f"/dicomweb/workitems/{uid}", headers={"Accept": "image/png"})
    assert refused.status_code == 406


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        (XML, b"<NativeDicomModel>", 400),
        (XML, b"<Something/>", 400),
        (XML, b"<!DOCTYPE a [<!ENTITY b 'b'>]><NativeDicomModel/>", 400),
        (XML, b"", 400),
        (f'multipart/related; type="{XML}"; boundary=b', b"--b--", 400),
        (f'multipart/related; type="{XML}"', b"", 400),
        ("multipart/related; type=image/png; boundary=b", b"--b\r\n\r\nx\r\n--b--", 415),
    ],
)
def test_xml_that_is_none(
    worklist: Worklist, content_type: str, content: bytes, status: int
) -> None:
    answer = worklist.http.post(
        f"/dicomweb/workitems?{generate_uid()}",
        content=content,
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == status, answer.text


def test_searching_and_paging(worklist: Worklist) -> None:
    label = f"Nhóm {generate_uid()}"[:60]
    uids = [
        worklist.create(WorklistLabel=label, ScheduledProcedureStepStartDateTime=f"2026112{day}")
        for day in (3, 1, 2)
    ]
    search = {"WorklistLabel": label}

    def found(**parameters: str) -> tuple[list[str], str]:
        answer = worklist.http.get("/dicomweb/workitems", params=search | parameters)
        assert answer.status_code == 200, answer.text
        names = [one["00080018"]["Value"][0] for one in answer.json()]
        return names, answer.headers.get("warning", "")

    in_order = [uids[1], uids[2], uids[0]]
    assert found() == (in_order, "")
    names, warning = found(limit="2")
    assert names == in_order[:2] and "additional results" in warning
    assert found(limit="2", offset="2") == (in_order[2:], "")
    names, warning = found(TransactionUID="1.2.3")
    assert names == in_order and "not matched on" in warning
    names, _ = found(ScheduledProcedureStepStartDateTime="20261122-20261123")
    assert names == in_order[1:]
    none = worklist.http.get("/dicomweb/workitems", params={"WorklistLabel": "gibt es nicht"})
    assert (none.status_code, none.content) == (204, b"")
    for bad in ({"limit": "-1"}, {"PatientBirthDate": "gestern"}, {"NoSuchThing": "1"}):
        assert worklist.http.get("/dicomweb/workitems", params=bad).status_code == 400


def test_the_example_of_the_documents(worklist: Worklist) -> None:
    text = (Path(__file__).parents[2] / "docs" / "workitems.md").read_text()
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    uid = generate_uid()
    answer = worklist.http.post(
        f"/dicomweb/workitems?{uid}",
        content=example.encode(),
        headers={"Content-Type": DICOM_JSON},
    )
    assert answer.status_code == 201, answer.text
    assert worklist.get(uid).WorklistLabel == "AI"
