"""Whole objects in the transfer syntax that the client names."""

from io import BytesIO

import httpx2
import numpy as np
import pydicom
import pytest
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
)

from tests.plugins.hospital import CT, RADIOGRAPH, Hospital, file_of

NAMES = (
    CT,
    "MR_small.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "examples_rgb_color.dcm",
    "ExplVR_BigEnd.dcm",
    "JPEG-LL.dcm",
)
REPORT = "test-SR.dcm"


def retrieve(
    hospital: Hospital, name: str, syntax: str, level: str = "instance"
) -> list[pydicom.FileDataset]:
    """The objects of a multipart answer, read by pydicom."""
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    answer = hospital.machine().get(hospital.path(name, level), headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)[1:-1]
    found = []
    for piece in pieces:
        head, body = piece.split(b"\r\n\r\n", 1)
        dataset = pydicom.dcmread(BytesIO(body))
        assert f"transfer-syntax={dataset.file_meta.TransferSyntaxUID}".encode() in head
        found.append(dataset)
    return found


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, HTJ2KLossless, HTJ2KLosslessRPCL])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_object_in_another_syntax(hospital: Hospital, name: str, syntax: UID) -> None:
    (found,) = retrieve(hospital, name, syntax)
    original = pydicom.dcmread(file_of(name))
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.SOPInstanceUID == original.SOPInstanceUID
    assert found.PatientName == original.PatientName
    plugin = "pylibjpeg" if syntax.is_compressed else ""
    for number in {0, int(original.get("NumberOfFrames") or 1) - 1}:
        np.testing.assert_array_equal(
            pixel_array(found, index=number, decoding_plugin=plugin),
            pixel_array(original, index=number),
        )


@pytest.mark.parametrize("syntax", [HTJ2KLossless, ExplicitVRLittleEndian])
def test_one_object_without_an_envelope(hospital: Hospital, syntax: UID) -> None:
    accept = f"application/dicom; transfer-syntax={syntax}"
    answer = hospital.machine().get(hospital.path("MR_small.dcm"), headers={"Accept": accept})
    assert answer.headers["content-type"] == accept
    assert pydicom.dcmread(BytesIO(answer.content)).file_meta.TransferSyntaxUID == syntax


def test_what_has_no_pixels_stays_as_it_is(hospital: Hospital) -> None:
    (found,) = retrieve(hospital, REPORT, HTJ2KLossless, "study")
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found == pydicom.dcmread(file_of(REPORT))


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        (CT, JPEG2000Lossless),
        # Lossy already: to call it lossless anew would only make it larger.
        ("SC_rgb_jpeg_dcmtk.dcm", HTJ2KLossless),
        (RADIOGRAPH, "1.2.840.10008.1.2"),
    ],
)
def test_what_cannot_be_had_is_406(hospital: Hospital, name: str, syntax: str) -> None:
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    answer: httpx2.Response = hospital.machine().get(
        hospital.path(name), headers={"Accept": accept}
    )
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_the_best_that_is_accepted(hospital: Hospital) -> None:
    multipart = 'multipart/related; type="application/dicom"; transfer-syntax='
    machine = hospital.machine()
    for accept, expected in (
        (f"{multipart}{JPEG2000Lossless}; q=0.9, {multipart}{HTJ2KLossless}; q=0.5", HTJ2KLossless),
        (f"{multipart}{HTJ2KLossless}; q=0.1, {multipart}*; q=0.5", ExplicitVRLittleEndian),
    ):
        answer = machine.get(hospital.path(CT), headers={"Accept": accept})
        assert f"transfer-syntax={expected}".encode() in answer.content[:400], accept
