"""An archive on a fresh database and a local store, and real DICOM files to put into it."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import data_store
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs.archive import Archive, open_archive
from pacs.settings import Settings, load_settings

REAL_FILES = Path(data_store.__file__).parent / "data"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an archive whose data directory is temporary."""
    return load_settings(data_dir=tmp_path / "data", study_quiet_seconds=0.2)


@pytest.fixture
def archive(settings: Settings, database_url: str) -> Iterator[Archive]:
    """An archive on a fresh database, with a local store."""
    with open_archive(settings, database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def real_file() -> Callable[[str], Path]:
    """The path of a real DICOM file by its name, such as `RG1_UNCR.dcm` (a chest radiograph)."""
    return lambda name: REAL_FILES / name


@pytest.fixture
def make_file() -> Callable[..., bytes]:
    """Makes the Part 10 bytes of a small radiograph; keywords set or (None) delete attributes."""

    def make(**attributes: object) -> bytes:
        dataset = pydicom.dcmread(REAL_FILES / "RG3_UNCR.dcm", stop_before_pixels=True)
        dataset.StudyInstanceUID = generate_uid()
        dataset.SeriesInstanceUID = generate_uid()
        dataset.SOPInstanceUID = generate_uid()
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.Rows = dataset.Columns = 8
        dataset.PixelData = bytes(range(128))
        dataset["PixelData"].VR = "OW"
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return file_bytes(dataset)

    return make


def file_bytes(dataset: Dataset) -> bytes:
    """The data set as a Part 10 file in Explicit VR Little Endian."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
