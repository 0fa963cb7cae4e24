"""Transcoding: other bytes, the same picture and the same attributes."""

import io
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless, ImplicitVRLittleEndian

from pacs.dicom.transcoding import CannotTranscode, transcode

RealFile = Callable[[str], Path]
TARGETS = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]


def transcoded(file: Path, target: str) -> Dataset:
    out = io.BytesIO()
    with file.open("rb") as stored:
        transcode(stored, target, out)
    assert len(out.getvalue()) % 2 == 0
    out.seek(0)
    dataset = read_dataset(out, target == ImplicitVRLittleEndian, True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(target)
    return dataset


def attributes(dataset: Dataset) -> set[int]:
    """All but pixel data and the group lengths that old files have."""
    tags = (element.tag for element in dataset)
    return {int(tag) for tag in tags if tag.group != 0x7FE0 and tag.element}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "name",
    [
        "RG1_J2KR.dcm",
        "MR-SIEMENS-DICOM-WithOverlays.dcm",
        "emri_small_jpeg_ls_lossless.dcm",  # 10 frames
        "emri_small_RLE.dcm",
        "emri_small_jpeg_2k_lossless.dcm",
        "OBXXXX1A_rle.dcm",
        "JPEG-LL.dcm",
        "liver_expb_1frame.dcm",  # big endian, one bit
        "SC_rgb_expb_16bit.dcm",
        "693_UNCI.dcm",
        "gdcm-US-ALOKA-16.dcm",
    ],
)
def test_the_same_samples_and_attributes(name: str, target: str, real_file: RealFile) -> None:
    file = real_file(name)
    if not file.exists():
        found = get_testdata_file(name, download=False)
        assert isinstance(found, str)
        file = Path(found)
    was, became = pydicom.dcmread(file), transcoded(file, target)
    assert np.array_equal(was.pixel_array, became.pixel_array)
    assert attributes(became) == attributes(was)
    assert became.SOPInstanceUID == was.SOPInstanceUID
    assert became.get("PatientName") == was.get("PatientName")


@pytest.mark.parametrize("target", TARGETS)
def test_lossy_colour_becomes_rgb_and_stays_marked(target: str, real_file: RealFile) -> None:
    became = transcoded(real_file("color3d_jpeg_baseline.dcm"), target)
    assert (became.PhotometricInterpretation, became.PlanarConfiguration) == ("RGB", 0)
    assert became.LossyImageCompression == "01"
    assert became.LossyImageCompressionMethod == "ISO_10918_1"
    assert became.pixel_array.shape == (120, 480, 640, 3)


@pytest.mark.parametrize("target", TARGETS)
def test_deflated(target: str) -> None:
    name = get_testdata_file("image_dfl.dcm", download=False)
    assert isinstance(name, str)
    became = transcoded(Path(name), target)
    assert np.array_equal(became.pixel_array, pydicom.dcmread(name).pixel_array)


@pytest.mark.parametrize("target", TARGETS)
def test_high_throughput_jpeg_2000(target: str, real_file: RealFile, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(real_file("693_UNCR.dcm"))
    pixels = dataset.pixel_array
    encoded = bytes(imagecodecs.htj2k_encode(pixels, reversible=True))
    dataset.PixelData = encapsulate([encoded])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(tmp_path / "htj2k.dcm")
    became = transcoded(tmp_path / "htj2k.dcm", target)
    assert np.array_equal(became.pixel_array, pixels)
    assert became.PhotometricInterpretation == "MONOCHROME2"
    assert "LossyImageCompression" not in became or became.LossyImageCompression != "01"


@pytest.mark.parametrize("target", TARGETS)
def test_twelve_bits_of_jpeg(target: str) -> None:
    name = get_testdata_file("JPEG-lossy.dcm", download=False)
    assert isinstance(name, str)
    became = transcoded(Path(name), target)
    assert became.pixel_array.shape == (1024, 256)
    assert 200 < became.pixel_array.max() < 4096
    assert became.LossyImageCompression == "01"


def test_objects_without_pixels(make_file: Callable[..., bytes], tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(make_file(PatientName="Nguyễn^Văn^Đức")))
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm")
    became = transcoded(tmp_path / "report.dcm", ImplicitVRLittleEndian)
    assert became.PatientName == "Nguyễn^Văn^Đức"
    assert attributes(became) == attributes(dataset)


def test_what_cannot_be_decoded(real_file: RealFile, tmp_path: Path) -> None:
    whole = real_file("RG3_J2KR.dcm").read_bytes()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(whole[:-200_000] + bytes(200_000))
    with pytest.raises(CannotTranscode), broken.open("rb") as stored:
        transcode(stored, ImplicitVRLittleEndian, io.BytesIO())


def test_nothing_is_compressed(real_file: RealFile) -> None:
    with (
        real_file("RG3_J2KR.dcm").open("rb") as stored,
        pytest.raises(CannotTranscode, match=r"1\.2\.840\.10008\.1\.2\.4\.50"),
    ):
        transcode(stored, "1.2.840.10008.1.2.4.50", io.BytesIO())
