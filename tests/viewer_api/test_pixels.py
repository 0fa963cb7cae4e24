"""Every image that comes with pydicom, pixel for pixel, decoded by somebody else's decoder."""

from io import BytesIO
from pathlib import Path

import data_store
import httpx2
import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_by_openjpeg
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless, HTJ2KLosslessRPCL, generate_uid

from pacs.dicom.errors import IngestError
from pacs.ingest import Received, Source
from tests.plugins.hospital import Hospital

FOLDERS = (
    Path(data_store.__file__).parent / "data",
    Path(pydicom.__file__).parent / "data" / "test_files",
)
OCTETS = 'multipart/related; type="application/octet-stream"'
EXPLICIT = "1.2.840.10008.1.2.1"
LOSSLESS = {
    *("1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"),
}
NATIVE = {"1.2.840.10008.1.2", EXPLICIT}
SECOND_OPINION = {
    "1.2.840.10008.1.2.5": "pylibjpeg",
    "1.2.840.10008.1.2.4.50": "pylibjpeg",
    "1.2.840.10008.1.2.4.51": "pylibjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
}


def images() -> list[Path]:
    """Every DICOM file that comes with pydicom and has rows of pixels."""
    return [
        path
        for folder in FOLDERS
        for path in sorted(folder.glob("*.dcm"))
        if path.read_bytes()[128:132] == b"DICM"
        and "Rows" in pydicom.dcmread(path, specific_tags=["Rows"], stop_before_pixels=True)
    ]


def expected_of(path: Path) -> NDArray[np.generic] | None:
    """The first frame's samples as another decoder has them; None where it has none."""
    try:
        syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        plugin = SECOND_OPINION.get(syntax, "")
        with path.open("rb") as file:
            return pixel_array(file, index=0, raw=True, decoding_plugin=plugin)
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, EOFError):
        return None


IMAGES = images()


def receive(hospital: Hospital, dataset: Dataset) -> tuple[Received, str]:
    """Take it in under UIDs of its own; and the path of its first frame."""
    uids = [generate_uid() for _ in range(3)]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.setdefault("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=False)
    received = hospital.archive.ingest.receive([file.getvalue()], Source("import", "test"))
    path = f"/dicomweb/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/frames/1"
    return received, path


def body_of(answer: httpx2.Response) -> tuple[str, bytes]:
    """Content type and bytes of the only part."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    _, part, end = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    assert end.startswith(b"--")
    head, body = part.split(b"\r\n\r\n", 1)
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Type: ")]
    return line.removeprefix(b"Content-Type: ").decode(), body


def stored_frame(dataset: Dataset) -> bytes:
    """The first frame of uncompressed pixels, as the object's own attributes describe them."""
    exact = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        exact = exact * 2 // 3
    return bytes(dataset.PixelData[:exact])


def same_pixels(body: bytes, expected: NDArray[np.generic], tolerance: int) -> None:
    found = np.frombuffer(body, expected.dtype.newbyteorder("<")).reshape(expected.shape)
    if tolerance:
        apart = np.abs(found.astype(np.int64) - expected.astype(np.int64)).max()
        assert apart <= tolerance
    else:
        np.testing.assert_array_equal(found, expected)


def test_there_are_many_images() -> None:
    readable = [path for path in IMAGES if expected_of(path) is not None]
    assert len(readable) > 120
    syntaxes = {pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in readable}
    assert len(syntaxes) >= 11


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_every_image_decoded_and_as_htj2k(hospital: Hospital, path: Path) -> None:
    dataset = pydicom.dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    expected = expected_of(path)
    if expected is None or "PixelData" not in dataset:
        pytest.skip("the second opinion cannot read it either")
    try:
        _, url = receive(hospital, dataset)
    except IngestError as refusal:
        pytest.skip(f"is not taken in: {refusal}")
    machine = hospital.machine()
    decoded = machine.get(url, headers={"Accept": f"{OCTETS}; transfer-syntax={EXPLICIT}"})
    media_type, body = body_of(decoded)
    assert media_type == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    if dataset.BitsAllocated == 1:
        unpacked = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
        np.testing.assert_array_equal(unpacked[: expected.size], expected.ravel())
    elif syntax in NATIVE:
        assert body == stored_frame(dataset)
    else:
        same_pixels(body, expected, 0 if syntax in LOSSLESS else 2)
    answer = machine.get(url, headers={"Accept": 'multipart/related; type="image/jphc"'})
    if syntax not in LOSSLESS or dataset.BitsAllocated in (1, 32, 64):
        assert answer.status_code == 406
        return
    media_type, body = body_of(answer)
    assert media_type == f"image/jphc; transfer-syntax={HTJ2KLossless}"
    np.testing.assert_array_equal(decode_by_openjpeg(body), expected)


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "CT_small.dcm", "SC_rgb_rle.dcm"])
def test_rpcl_is_made_as_the_standard_has_it(hospital: Hospital, name: str) -> None:
    (path,) = [path for path in IMAGES if path.name == name]
    _, url = receive(hospital, pydicom.dcmread(path))
    machine = hospital.machine()
    for media_type in ("image/jphc", "application/octet-stream"):
        asked = f'multipart/related; type="{media_type}"; transfer-syntax={HTJ2KLosslessRPCL}'
        found, body = body_of(machine.get(url, headers={"Accept": asked}))
        assert found == f"{media_type}; transfer-syntax={HTJ2KLosslessRPCL}"
        # PS3.5 A.4.4 and 10.18: RPCL, tile-part lengths in the main header, reversible wavelet.
        coding = body.index(b"\xff\x52")
        assert body[coding + 5] == 2
        assert body[coding + 13] == 1
        assert b"\xff\x55" in body[: body.index(b"\xff\x90")]
        # And whoever wants a small picture decodes only its beginning.
        small = imagecodecs.htj2k_decode(body, skipres=2)
        assert small.shape[0] == -(-pydicom.dcmread(path).Rows // 4)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "CT_small.dcm", "MR_small.dcm", "SC_rgb_rle.dcm"])
def test_stored_htj2k_is_served_as_it_is_and_decoded(
    hospital: Hospital, name: str, syntax: UID
) -> None:
    (path,) = [path for path in IMAGES if path.name == name]
    dataset = pydicom.dcmread(path)
    expected = expected_of(path)
    assert expected is not None
    contiguous = np.ascontiguousarray(expected)
    encoded = imagecodecs.htj2k_encode(contiguous, reversible=True, tlm=True, resolutions=6)
    codestream = bytes(encoded)
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    if dataset.SamplesPerPixel == 3:
        dataset.PhotometricInterpretation = "YBR_RCT"
        dataset.PlanarConfiguration = 0
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    _, url = receive(hospital, dataset)
    machine = hospital.machine()
    media_type, body = body_of(machine.get(url))
    assert media_type == f"image/jphc; transfer-syntax={syntax}"
    assert body.rstrip(b"\0") == codestream.rstrip(b"\0")
    media_type, body = body_of(machine.get(url, headers={"Accept": OCTETS}))
    assert media_type == f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    same_pixels(body, expected, 0)
    picture = machine.get(f"{url}/rendered?viewport=100,100")
    assert picture.headers["content-type"] == "image/jpeg"
