"""The load: synthetic instances, the same for everybody, made from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

Pixels = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Load:
    """A kind of image and how many of them are sent in one go."""

    name: str
    title: str
    modality: str
    sop_class_uid: str
    rows: int
    columns: int
    count: int
    instances_per_study: int

    def scaled(self, scale: float, associations: int) -> int:
        """How many instances are sent at this scale: at least one on each association."""
        return max(associations, round(self.count * scale))


LOADS = {
    load.name: load
    for load in (
        Load("cr", "CR 10 MB", "CR", ComputedRadiographyImageStorage, 2500, 2048, 20, 1),
        Load("ct", "CT 0.5 MB", "CT", CTImageStorage, 512, 512, 200, 1000),
        Load("small", "MR 64×64, 9 KB", "MR", MRImageStorage, 64, 64, 500, 1000),
    )
}


def write(
    load: Load, count: int, associations: int, folder: Path, seed: str, *, smooth: bool = False
) -> list[Path]:
    """Write `count` instances as Part 10 files, dealt out to one folder for each association.

    Each association gets studies of its own, as from modalities that send at once. All UIDs, names
    and pixels follow from `seed`: equal seeds make equal files, different seeds share no UID.
    `smooth`: pictures with shapes and some noise, as where codecs work on them; else all is noise.
    """
    source = random.Random(seed)
    noise = np.random.default_rng(source.getrandbits(64))
    picture = (_shapes if smooth else _noise)(load, noise)
    shares = []
    for association in range(associations):
        share = folder / f"association-{association}"
        share.mkdir(parents=True)
        mine = len(range(association, count, associations))
        for number, dataset in enumerate(_instances(load, mine, picture, source)):
            dataset.save_as(share / f"{number:05d}.dcm", enforce_file_format=True)
        shares.append(share)
    return shares


def _noise(load: Load, noise: np.random.Generator) -> Pixels:
    return noise.integers(0, 4096, (load.rows, load.columns), dtype=np.uint16)


def _shapes(load: Load, noise: np.random.Generator) -> Pixels:
    """Soft shapes of many grey values with the noise of a detector over them, 12 bits."""
    coarse = Image.fromarray(noise.normal(2048, 900, (12, 10)).astype(np.float32))
    soft = np.asarray(coarse.resize((load.columns, load.rows), Image.Resampling.BICUBIC))
    seen = soft + noise.normal(0, 12, soft.shape)
    return np.clip(seen, 0, 4095).astype(np.uint16)


def _instances(load: Load, count: int, picture: Pixels, source: random.Random) -> Iterator[Dataset]:
    for number in range(count):
        if number % load.instances_per_study == 0:
            study = _study(load, source)
        yield _instance(load, study, number % load.instances_per_study, picture, source)


def _study(load: Load, source: random.Random) -> Dataset:
    """What all instances of a study share: patient, study, series, equipment."""
    study = Dataset()
    study.SpecificCharacterSet = "ISO_IR 192"
    study.PatientName = source.choice(("Nguyễn^Văn Đức", "Trần^Thị Hồng", "Lê^Quang Vinh"))
    study.PatientID = f"BN{source.randrange(10**8):08d}"
    study.PatientBirthDate = f"19{source.randrange(40, 99)}0{source.randrange(1, 9)}15"
    study.PatientSex = source.choice("FM")
    study.StudyInstanceUID = _uid(source)
    study.SeriesInstanceUID = _uid(source)
    study.FrameOfReferenceUID = _uid(source)
    study.StudyID = str(source.randrange(10**6))
    study.AccessionNumber = f"A{source.randrange(10**9):09d}"
    study.StudyDate = study.SeriesDate = study.AcquisitionDate = study.ContentDate = "20261122"
    study.StudyTime = study.SeriesTime = study.AcquisitionTime = study.ContentTime = "081500"
    study.StudyDescription = f"{load.modality} ngực"
    study.SeriesDescription = f"{load.modality} 1"
    study.ReferringPhysicianName = "Phạm^Minh"
    study.Modality = load.modality
    study.Manufacturer = "Synthetic"
    study.ManufacturerModelName = "Benchmark"
    study.InstitutionName = "Bệnh viện tỉnh"
    study.StationName = f"{load.modality}01"
    study.DeviceSerialNumber = "0001"
    study.SoftwareVersions = "1"
    study.BodyPartExamined = "CHEST"
    study.SeriesNumber = 1
    study.ProcedureCodeSequence = Sequence([_code("36643-5", "LN", "Chest")])
    return study


def _instance(
    load: Load, study: Dataset, number: int, picture: Pixels, source: random.Random
) -> Dataset:
    """One image: as many elements as a modality of today typically writes for such an image."""
    image = Dataset()
    image.update(study)
    image.SOPClassUID = load.sop_class_uid
    image.SOPInstanceUID = _uid(source)
    image.InstanceNumber = number + 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.KVP = "120"
    image.ExposureTime = "10"
    image.PatientOrientation = ["L", "P"]
    image.ImagePositionPatient = [-180, -180, number * 1.25]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SliceThickness = "1.25"
    image.SliceLocation = f"{number * 1.25:g}"
    image.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Thorax")])
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = load.rows, load.columns
    image.PixelSpacing = [0.7, 0.7]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = "2048", "4096"
    image.RescaleIntercept, image.RescaleSlope = "-1024", "1"
    image.PixelData = np.roll(picture, source.randrange(picture.size)).tobytes()
    image["PixelData"].VR = "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _uid(source: random.Random) -> str:
    """A UID derived from a random number (PS3.5 B.2)."""
    return f"2.25.{source.getrandbits(122)}"
