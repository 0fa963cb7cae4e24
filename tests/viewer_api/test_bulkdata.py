"""WADO-RS bulk data: values by their URIs, whole and by ranges, however deep they lie."""

import io
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import httpx2
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from pacs.bulk import parse_path
from pacs.ingest import Received, Source
from tests.plugins.hospital import CT, RADIOGRAPH, Hospital, file_of

PDF = b"%PDF-1.7\n\n" + bytes(range(256)) * 1000
CURVE = bytes(reversed(range(256))) * 600
SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}


def with_bulk(syntax: str) -> bytes:
    """A CT slice with a document and, two items deep, a curve; both too long to stand inline."""
    dataset = pydicom.dcmread(file_of(CT))
    pixels: bytes = dataset.PixelData
    words: bytes = CURVE
    if syntax == ExplicitVRBigEndian:
        pixels, words = swapped(pixels), swapped(words)
    # Not to be found where others look for the CT itself.
    dataset.PatientID, dataset.PatientName, dataset.StudyDate = "bulk", "Bulk^Data", "20200101"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.EncapsulatedDocument = PDF
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    first, second = Dataset(), Dataset()
    first.WaveformBitsAllocated = second.WaveformBitsAllocated = 16
    second.add_new(0x54001010, "OW", words)
    dataset.WaveformSequence = [first, second]
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    out = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(
        out,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=little,
        force_encoding=True,
    )
    return out.getvalue()


def swapped(data: bytes) -> bytes:
    return b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


@pytest.fixture(scope="module")
def stored(hospital: Hospital) -> dict[str, Received]:
    return {
        name: hospital.archive.ingest.receive([with_bulk(syntax)], Source("import", "test"))
        for name, syntax in SYNTAXES.items()
    }


def path_of(received: Received) -> str:
    return (
        f"/dicomweb/studies/{received.study_instance_uid}/series/{received.series_instance_uid}"
        f"/instances/{received.sop_instance_uid}"
    )


def uris(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for tag, attribute in document.items():
        if "BulkDataURI" in attribute:
            yield tag, attribute["BulkDataURI"]
        for item in attribute.get("Value", ()) if attribute["vr"] == "SQ" else ():
            yield from uris(item)


def parts(answer: httpx2.Response) -> dict[str, bytes]:
    """The bytes of each part by its location."""
    assert answer.status_code in (200, 206), answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    found = {}
    for piece in (b"\r\n" + answer.content).split(b"\r\n--" + boundary)[1:-1]:
        head, body = piece.split(b"\r\n\r\n", 1)
        headers = message_from_bytes(head.strip(), policy=HTTP)
        found[headers["content-location"].split("/dicomweb")[1]] = body
    return found


BARE = {"Accept": "application/octet-stream"}


@pytest.mark.parametrize("name", SYNTAXES)
def test_every_uri_of_the_metadata_gives_the_value(
    machine: httpx2.Client, stored: dict[str, Received], name: str
) -> None:
    path = path_of(stored[name])
    (document,) = machine.get(f"{path}/metadata").json()
    found = dict(uris(document))
    assert found == {
        "00420011": f"{path}/bulkdata/00420011",
        "54001010": f"{path}/bulkdata/54000100/2/54001010",
        "7FE00010": f"{path}/bulkdata/7FE00010",
    }
    expected = {
        "00420011": PDF,
        "54001010": CURVE,
        "7FE00010": pydicom.dcmread(file_of(CT)).PixelData,
    }
    for tag, value in expected.items():
        answer = machine.get(found[tag], headers=BARE)
        assert (answer.status_code, answer.headers["content-type"]) == (200, BARE["Accept"])
        assert answer.content == value, tag
        assert int(answer.headers["content-length"]) == len(value)
    everything = parts(machine.get(f"{path}/bulkdata"))
    assert {at.rpartition("/")[2]: body for at, body in everything.items()} == expected
    study = f"/dicomweb/studies/{stored[name].study_instance_uid}"
    assert parts(machine.get(f"{study}/bulkdata")) == everything
    series = f"{study}/series/{stored[name].series_instance_uid}"
    assert parts(machine.get(f"{series}/bulkdata")) == everything


def test_dicomweb_client_follows_the_uri(hospital: Hospital, stored: dict[str, Received]) -> None:
    headers = {"Authorization": f"Bearer {hospital.tokens['service']}"}
    client = DICOMwebClient(f"{hospital.url}/dicomweb", headers=headers)
    url = f"{hospital.url}{path_of(stored['explicit'])}/bulkdata/54000100/2/54001010"
    assert client.retrieve_bulkdata(url) == [CURVE]
    octets = (("application/octet-stream", "*"),)
    assert client.retrieve_bulkdata(url, octets, byte_range=(10, 19)) == [CURVE[10:20]]


def test_a_document_comes_as_what_it_is(
    machine: httpx2.Client, stored: dict[str, Received]
) -> None:
    path = f"{path_of(stored['explicit'])}/bulkdata/00420011"
    for headers in ({}, {"Accept": "application/pdf"}, {"Accept": "*/*"}):
        answer = machine.get(path, headers=headers)
        assert (answer.headers["content-type"], answer.content) == ("application/pdf", PDF)
    again = machine.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert machine.get(path, headers={"Accept": "image/jpeg"}).status_code == 406


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=-10", len(PDF) - 10, len(PDF))],
)
@pytest.mark.parametrize("name", ["explicit", "big endian", "deflated"])
def test_parts_of_a_value(
    machine: httpx2.Client,
    stored: dict[str, Received],
    name: str,
    asked: str,
    start: int,
    end: int,
) -> None:
    path = f"{path_of(stored[name])}/bulkdata/00420011"
    answer = machine.get(path, headers=BARE | {"Range": asked})
    assert (answer.status_code, answer.content) == (206, PDF[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(PDF)}"


def test_parts_beyond_the_end_are_416(machine: httpx2.Client, stored: dict[str, Received]) -> None:
    path = f"{path_of(stored['explicit'])}/bulkdata/00420011"
    answer = machine.get(path, headers=BARE | {"Range": "bytes=9999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(PDF)}"


def test_compressed_pixel_data_come_frame_by_frame(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    path = hospital.path(RADIOGRAPH)
    as_stored = machine.get(f"{path}/frames/1", headers={"Accept": "image/jp2"}).content
    for resource in ("bulkdata/7FE00010", "pixeldata", "bulkdata"):
        accept = {"Accept": 'multipart/related; type="image/jp2"'}
        answer = machine.get(f"{path}/{resource}", headers=accept)
        assert list(parts(answer).values()) == [as_stored], resource
    rle = hospital.path("OBXXXX1A_rle_2frame.dcm")
    octets = {"Accept": 'multipart/related; type="application/octet-stream"'}
    frames = parts(machine.get(f"{rle}/bulkdata", headers=octets))
    whole = pydicom.dcmread(file_of("OBXXXX1A_rle_2frame.dcm"))
    assert b"".join(frames.values()) == whole.pixel_array.tobytes()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("00100010x", 400),
        ("00100010/1", 400),
        ("00100010/0/00100010", 400),
        ("/".join(["00400275/1"] * 40), 400),
        ("%00", 400),
        ("..%2F..%2Fetc", 400),
        ("00990099", 404),
        ("00400275", 404),
        ("54000100/9/54001010", 404),
        ("54000100", 404),
        ("00100010/1/00100010", 404),
    ],
)
def test_what_is_no_value_is_refused(
    machine: httpx2.Client, stored: dict[str, Received], path: str, status: int
) -> None:
    for received in stored.values():
        answer = machine.get(f"{path_of(received)}/bulkdata/{path}")
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@given(st.text(max_size=60) | st.text("0123456789ABCDEFabcdef/", max_size=60))
def test_any_path_is_read_or_refused(text: str) -> None:
    found = parse_path(text)
    if found is not None:
        assert len(found) % 2 == 1
        again = "/".join(
            str(part) if position % 2 else f"{part:08X}" for position, part in enumerate(found)
        )
        assert again == text.upper()


def test_a_share_link_opens_no_other_study(hospital: Hospital, stored: dict[str, Received]) -> None:
    client = hospital.follower(CT)
    assert client.get(f"{hospital.path(CT)}/bulkdata/7FE00010").status_code == 200
    for path in ("bulkdata", "bulkdata/00420011", "pixeldata"):
        assert client.get(f"{path_of(stored['explicit'])}/{path}").status_code == 404
