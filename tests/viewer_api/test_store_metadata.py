"""STOW-RS of metadata and bulk data: data sets in JSON or XML, values in parts of their own."""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.dicom.native_xml import native_xml
from tests.plugins.hospital import Hospital, file_of

JSON, XML = "application/dicom+json", "application/dicom+xml"
PIXELS = "7FE00010"

Part = tuple[Mapping[str, str], bytes]


def renamed(name: str) -> Dataset:
    """A real object under new UIDs, its text in UTF-8."""
    dataset = pydicom.dcmread(file_of(name))
    dataset.decode()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "Nguyễn^Thị Đào", generate_uid()[-20:]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def model_of(dataset: Dataset, uri: str | None = None) -> dict[str, Any]:
    """Its JSON, with the pixel data at that URI."""
    model: dict[str, Any] = dataset.to_json_dict()
    pixels = model.get(PIXELS)
    if pixels is not None and uri is not None:
        model[PIXELS] = {"vr": pixels["vr"], "BulkDataURI": uri}
    return model


def message(parts: list[Part]) -> bytes:
    pieces = []
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(b"--b\r\n" + lines.encode() + b"\r\n" + content + b"\r\n")
    return b"".join(pieces) + b"--b--"


def metadata(form: str, models: list[dict[str, Any]]) -> list[Part]:
    if form == XML:
        return [({"Content-Type": XML}, native_xml(model)) for model in models]
    return [({"Content-Type": JSON}, json.dumps(models).encode())]


def bulk(content: bytes, location: str, kind: str = "application/octet-stream") -> Part:
    return {"Content-Type": kind, "Content-Location": location}, content


def send(hospital: Hospital, form: str, parts: list[Part], accept: str = JSON) -> httpx2.Response:
    kind = f'multipart/related; type="{form}"; boundary=b'
    return hospital.machine().post(
        "/dicomweb/studies",
        content=message(parts),
        headers={"Content-Type": kind, "Accept": accept},
    )


def got(hospital: Hospital, dataset: Dataset) -> Dataset:
    """The object as it is now stored."""
    answer = hospital.machine().get(
        f"/dicomweb/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}",
        headers={"Accept": "application/dicom; transfer-syntax=*"},
    )
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


def failures(answer: httpx2.Response) -> list[int]:
    model = answer.json()
    items = [
        item for tag in ("00081198", "0008119A") for item in model.get(tag, {}).get("Value", [])
    ]
    return sorted(item["00081197"]["Value"][0] for item in items)


@pytest.mark.parametrize("form", [JSON, XML])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "test-SR.dcm", "rtplan.dcm"])
def test_the_object_is_the_one_that_was_taken_apart(
    hospital: Hospital, form: str, name: str
) -> None:
    dataset = renamed(name)
    model = model_of(dataset, "bulk/1")
    parts = metadata(form, [model])
    if PIXELS in model:
        parts.append(bulk(dataset.PixelData, "bulk/1"))
    answer = send(hospital, form, parts)
    assert answer.status_code == 200, answer.text
    stored = got(hospital, dataset)
    assert stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    public = [element.tag for element in dataset if not element.tag.is_private]
    for tag in public:
        if tag not in (0x00080005, 0x7FE00010) and tag.element:
            assert stored[tag].to_json_dict(None, 0) == dataset[tag].to_json_dict(None, 0), tag
    if PIXELS in model:
        assert stored.PixelData == dataset.PixelData


@pytest.mark.parametrize(
    ("name", "kind", "syntax"),
    [
        ("JPEG-LL.dcm", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70", ".4.70"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", ".4.50"),
        ("emri_small_jpeg_ls_lossless.dcm", "image/jls", ".4.80"),
        ("emri_small_jpeg_2k_lossless.dcm", "image/jp2", ".4.90"),
        ("OBXXXX1A_rle_2frame.dcm", "image/dicom-rle", ".5"),
        (
            "OBXXXX1A_rle_2frame.dcm",
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5",
            ".5",
        ),
    ],
)
def test_compressed_frames_are_encapsulated(
    hospital: Hospital, name: str, kind: str, syntax: str
) -> None:
    dataset = renamed(name)
    count = int(dataset.get("NumberOfFrames", 1))
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    parts = metadata(JSON, [model_of(dataset, "p")]) + [bulk(one, "p", kind) for one in frames]
    answer = send(hospital, JSON, parts)
    assert answer.status_code == 200, answer.text
    stored = got(hospital, dataset)
    assert stored.file_meta.TransferSyntaxUID == f"1.2.840.10008.1.2{syntax}"
    assert list(generate_frames(stored.PixelData, number_of_frames=count)) == frames
    assert np.array_equal(stored.pixel_array, dataset.pixel_array)


def test_values_inline_shared_and_of_many_instances(hospital: Hospital) -> None:
    datasets = [renamed("CT_small.dcm") for _ in range(3)]
    models = [model_of(one, "http://elsewhere/x%201") for one in datasets[:2]]
    inline = model_of(datasets[2])
    inline[PIXELS] = {
        "vr": "OW",
        "InlineBinary": base64.b64encode(datasets[2].PixelData).decode(),
    }
    parts = metadata(JSON, [*models, inline])
    parts.append(bulk(datasets[0].PixelData, "http://elsewhere/x 1"))
    assert send(hospital, JSON, parts).status_code == 200
    for one in datasets:
        assert got(hospital, one).PixelData == datasets[0].PixelData


def test_bulk_data_may_come_first_and_be_no_pixels(hospital: Hospital) -> None:
    dataset = renamed("CT_small.dcm")
    model = model_of(dataset, "p")
    model["00420011"] = {"vr": "OB", "BulkDataURI": "document"}
    model["00104000"] = {"vr": "LT", "BulkDataURI": "words"}
    parts = [
        bulk("bệnh nhân kể".encode(), "words"),
        bulk(b"%PDF-1.7 odd", "document"),
        *metadata(JSON, [model]),
        bulk(dataset.PixelData, "p"),
    ]
    assert send(hospital, JSON, parts).status_code == 200
    stored = got(hospital, dataset)
    assert stored.EncapsulatedDocument == b"%PDF-1.7 odd"
    assert stored.PatientComments == "bệnh nhân kể"


def test_one_bad_among_many_is_named_with_its_reason(hospital: Hospital) -> None:
    good, missing, odd, wrong = (renamed("CT_small.dcm") for _ in range(4))
    models = [
        model_of(good, "p"),
        model_of(missing, "nowhere"),
        model_of(odd, "q"),
        model_of(wrong, "p"),
    ]
    models[3]["00280010"] = {"vr": "US", "Value": ["many"]}
    parts = metadata(JSON, models)
    parts += [bulk(good.PixelData, "p"), bulk(b"??", "q", "image/jpeg; transfer-syntax=1.2.3")]
    answer = send(hospital, JSON, parts)
    assert answer.status_code == 202
    assert failures(answer) == [0xC000, 0xC000, 0xC122]
    named = {item["00081155"]["Value"][0]: item for item in answer.json()["00081198"]["Value"]}
    assert set(named) == {str(one.SOPInstanceUID) for one in (missing, odd, wrong)}
    words = named[str(wrong.SOPInstanceUID)]["00000902"]["Value"][0]
    assert "00280010" in words
    assert got(hospital, good).PixelData == good.PixelData


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 409),
        (b"[]", 400),
        (b"[1]", 409),
        (b"{}", 409),
        (b'{"nonsense": {}}', 409),
        (b'{"00080018": 1}', 409),
        (b'{"00080018": {"vr": "UI", "Value": "1.2"}}', 409),
        (b'{"00080018": {"vr": "XX"}}', 409),
        (b'{"00080018": {"vr": "UI", "Value": [{}]}}', 409),
        (b'{"00080018": {"vr": "UI", "Value": ["' + b"1" * 70000 + b'"]}}', 409),
        (b'{"00081140": {"vr": "SQ", "Value": [1]}}', 409),
        (b'{"7FE00010": {"vr": "OW", "InlineBinary": "&"}}', 409),
        (b'{"7FE00010": {"vr": "OW", "InlineBinary": 1}}', 409),
        (b'{"7FE00010": {"vr": "OW", "BulkDataURI": 1}}', 409),
        (b'{"00100010": {"vr": "PN", "Value": ["x"]}}', 409),
        (b'{"00280010": {"vr": "US", "Value": [70000]}}', 409),
        (b'{"00189073": {"vr": "FD", "Value": [null]}}', 409),
        (b'{"00091001": {"vr": "AT", "Value": ["zz"]}}', 409),
        (b'{"00081140":{"vr":"SQ","Value":[' * 500 + b"]}" * 500, 409),
        (b"\xff\xfe", 409),
    ],
)
def test_nonsense_in_json_is_no_instance(hospital: Hospital, content: bytes, status: int) -> None:
    answer = hospital.machine().post(
        "/dicomweb/studies", content=content, headers={"Content-Type": JSON}
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "content",
    [
        b"<NativeDicomModel/>",
        b"<Other/>",
        b"<NativeDicomModel>",
        b"not xml",
        b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>',
        b"<NativeDicomModel>" + b"<a>" * 1000 + b"</a>" * 1000 + b"</NativeDicomModel>",
        b'<NativeDicomModel><DicomAttribute tag="1" vr="UI"/></NativeDicomModel>',
        b'<NativeDicomModel><DicomAttribute tag="00080018"><Value number="x">1</Value>'
        b"</DicomAttribute></NativeDicomModel>",
    ],
)
def test_nonsense_in_xml_is_no_instance(hospital: Hospital, content: bytes) -> None:
    answer = send(hospital, XML, [({"Content-Type": XML}, content)])
    assert answer.status_code == 409, answer.text


def test_a_message_that_breaks_off_makes_no_object(hospital: Hospital, archive: Archive) -> None:
    dataset = renamed("CT_small.dcm")
    parts = [*metadata(JSON, [model_of(dataset, "p")]), bulk(dataset.PixelData, "p")]
    kind = f'multipart/related; type="{JSON}"; boundary=b'
    for cut in (10, 5000, len(message(parts)) - 3):
        answer = hospital.machine().post(
            "/dicomweb/studies", content=message(parts)[:cut], headers={"Content-Type": kind}
        )
        assert answer.status_code == 400, answer.text
    assert (
        hospital.machine().get(f"/dicomweb/studies/{dataset.StudyInstanceUID}").status_code == 404
    )


def test_the_answer_in_xml(hospital: Hospital) -> None:
    dataset = renamed("CT_small.dcm")
    parts = [*metadata(XML, [model_of(dataset, "p")]), bulk(dataset.PixelData, "p")]
    answer = send(hospital, XML, parts, accept=XML)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == XML
    assert f'<Value number="1">{dataset.SOPInstanceUID}</Value>' in answer.text
    assert send(hospital, XML, parts, accept="text/html").status_code == 406
