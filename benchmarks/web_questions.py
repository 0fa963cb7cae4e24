"""What is asked of the web's door, and the images that are there to be asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pydicom
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage

from benchmarks.client import EXPLICIT, Association
from benchmarks.hospital import Study
from benchmarks.loads import LOADS, write
from benchmarks.query import plain
from benchmarks.running import Server
from benchmarks.servers import CLIENT

SEED = "filmless/web"
LISTED = 200
_BOUNDARY = "benchmark"
_TWELVE_BITS = 4096


@dataclass(frozen=True, slots=True)
class Image:
    """An image and the file it was made as."""

    study: str
    series: str
    instance: str
    sop_class: str
    file: Path

    @property
    def path(self) -> str:
        """Below the path of DICOMweb."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"

    def send(self, association: Association) -> None:
        """By C-STORE."""
        data = self.file.read_bytes()
        association.store(self.sop_class, self.instance, [data[_dataset_start(data) :]])


@dataclass(frozen=True, slots=True)
class Archived:
    """The images of one round: a smaller and a larger study of CT slices, and radiographs."""

    smaller: list[Image]
    larger: list[Image]
    radiographs: list[Image]

    def send(self, server: Server) -> None:
        """By C-STORE, on one association."""
        classes: dict[str, str] = {
            CTImageStorage: EXPLICIT,
            ComputedRadiographyImageStorage: EXPLICIT,
        }
        with Association(server, CLIENT, classes) as association:
            for image in (*self.radiographs, *self.smaller, *self.larger):
                image.send(association)


def archived(slices: tuple[int, int], radiographs: int, folder: Path, number: int) -> Archived:
    """Make the images of a round, each round others."""
    smaller, larger = (
        _made("ct", count, folder / f"images-{number}-{count}", f"{SEED}/{number}/{count}")
        for count in slices
    )
    made = _made("cr", radiographs, folder / f"images-{number}-cr", f"{SEED}/{number}/cr")
    return Archived(smaller, larger, made)


def _made(load: str, count: int, folder: Path, seed: str) -> list[Image]:
    (share,) = write(LOADS[load], count, 1, folder, seed, smooth=True)
    return [_image(file) for file in sorted(share.iterdir())]


def _image(file: Path) -> Image:
    found = pydicom.dcmread(
        file,
        specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"],
        stop_before_pixels=True,
    )
    return Image(
        found.StudyInstanceUID,
        found.SeriesInstanceUID,
        found.SOPInstanceUID,
        found.SOPClassUID,
        file,
    )


def _dataset_start(data: bytes) -> int:
    """Behind the file meta information, whose length stands in its first element (PS3.10 7.1)."""
    return 144 + int.from_bytes(data[140:144], "little")


def stow_request(count: int, folder: Path, number: int) -> bytes:
    """The body of a STOW-RS request with so many CT slices that nobody has seen before."""
    images = _made("ct", count, folder / f"stow-{number}", f"{SEED}/{number}/stow")
    parts = (
        f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        + image.file.read_bytes()
        + b"\r\n"
        for image in images
    )
    return b"".join((*parts, f"--{_BOUNDARY}--\r\n".encode()))


Paths = Callable[[Archived, Sequence[Study], random.Random], list[str]]
JSON = {"Accept": "application/dicom+json"}
_OCTETS = {"Accept": 'multipart/related; type="application/octet-stream"'}
_WHOLE = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_JPEG = {"Accept": "image/jpeg"}
_STOW = {
    "Accept": "application/dicom+json",
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
}


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be asked: by one client a few times, or by `clients` for some time.

    `least`: the bytes that an answer must have; `of_list`: whether it is about the long list.
    `rate`: whether requests in a second are told, and not the milliseconds of one.
    """

    name: str
    paths: Paths
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    clients: int = 0
    least: int = 0
    of_list: bool = False
    unit: str = "ms"


def _of_studies(parameters: Callable[[Study], str]) -> Paths:
    def paths(_: Archived, listed: Sequence[Study], source: random.Random) -> list[str]:
        chosen = source.choices(listed, k=LISTED)
        return [f"/studies?{parameters(study)}" for study in chosen]

    return paths


def _week(study: Study) -> str:
    last = study.day + timedelta(days=6)
    return f"StudyDate={study.day:%Y%m%d}-{last:%Y%m%d}&ModalitiesInStudy=CT"


def _metadata(which: str, *, times: int) -> Paths:
    def paths(held: Archived, _: Sequence[Study], __: random.Random) -> list[str]:
        images: list[Image] = getattr(held, which)
        return [f"/studies/{images[0].study}/metadata"] * times

    return paths


def _frames(which: str) -> Paths:
    def paths(held: Archived, _: Sequence[Study], source: random.Random) -> list[str]:
        images = list[Image](getattr(held, which))
        source.shuffle(images)
        return [f"{image.path}/frames/1" for image in images]

    return paths


def _study(held: Archived, _: Sequence[Study], __: random.Random) -> list[str]:
    return [f"/studies/{held.smaller[0].study}"] * 5


def _rendered(viewport: str, *, again: bool = False) -> Paths:
    """Windows that nobody has asked for before; or `again`, one that just has been."""

    def paths(held: Archived, _: Sequence[Study], source: random.Random) -> list[str]:
        if again:
            window = f"{_TWELVE_BITS // 2},{_TWELVE_BITS},linear"
            return [f"{held.radiographs[0].path}/rendered?{viewport}window={window}"] * 50
        windows = [
            f"{source.randrange(1000, 3000)},{source.randrange(2000, _TWELVE_BITS)},linear"
            for _ in held.radiographs
        ]
        return [
            f"{image.path}/rendered?{viewport}window={window}"
            for image, window in zip(held.radiographs, windows, strict=True)
        ]

    return paths


_GZIP = JSON | {"Accept-Encoding": "gzip"}
_FRAME_LEAST = {"radiographs": 10_000_000, "larger": 500_000}
QUESTIONS = (
    Question(
        "studies, first 50",
        _of_studies(lambda _: "limit=50"),
        clients=8,
        least=1000,
        of_list=True,
        unit="/s",
    ),
    Question(
        "studies of a patient ID",
        _of_studies(lambda study: f"PatientID={study.person.patient_id}"),
        clients=8,
        least=100,
        of_list=True,
        unit="/s",
    ),
    Question(
        "studies of a week, CT", _of_studies(_week), clients=8, least=2, of_list=True, unit="/s"
    ),
    Question(
        "studies of a name without diacritics",
        _of_studies(
            lambda study: f"PatientName={quote(plain(study.person.name))}&fuzzymatching=true"
        ),
        clients=8,
        of_list=True,
        unit="/s",
    ),
    Question("metadata of the smaller study, cold", _metadata("smaller", times=1)),
    Question("metadata of the smaller study, warm", _metadata("smaller", times=5)),
    Question("metadata of the larger study, cold", _metadata("larger", times=1)),
    Question("metadata of the larger study, warm", _metadata("larger", times=5)),
    Question("metadata of the larger study, gzip", _metadata("larger", times=3), _GZIP),
    *(
        Question(
            f"{words} frames, {clients} client{'s' * (clients > 1)}",
            _frames(which),
            _OCTETS,
            clients=clients,
            least=_FRAME_LEAST[which],
            unit="/s",
        )
        for which, words in (("radiographs", "CR"), ("larger", "CT"))
        for clients in (1, 8)
    ),
    Question("whole study of CT slices", _study, _WHOLE, least=100_000, unit="MB/s"),
    Question("CR rendered, full size", _rendered(""), _JPEG, least=1000),
    Question("CR rendered to 1024", _rendered("viewport=1024,1024&"), _JPEG, least=1000),
    Question(
        "CR rendered to 1024, again",
        _rendered("viewport=1024,1024&", again=True),
        _JPEG,
        least=1000,
    ),
    Question("STOW of CT slices", lambda _, __, ___: [], _STOW, unit="MB/s"),
)
