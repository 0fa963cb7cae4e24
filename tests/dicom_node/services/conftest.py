"""Studies to be found and sent, and DCMTK's programs that ask for them."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source
from tests.plugins.dcmtk import program

Run = Callable[..., subprocess.CompletedProcess[str]]
MODALITY = Source("dimse", "CR1")
LONG_NAME = "Công Tằng Tôn Nữ^Thị^Phương Thảo Nguyên Hương Trà Đỗ Quyên"

STUDIES: list[dict[str, object]] = [
    {
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "SOPInstanceUID": "1.1.1.1",
        "StudyDate": "20260105",
        "StudyTime": "101530",
        "AccessionNumber": "A-1",
        "PatientID": "079001",
        "PatientName": "Nguyễn^Văn^Đức",
        "Modality": "DX",
        "StudyDescription": "X-quang ngực thẳng",
    },
    {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.1",
        "SOPInstanceUID": "1.2.1.1",
        "StudyDate": "20260110",
        "StudyTime": "235959.5",
        "AccessionNumber": "A_2",
        "PatientID": "079002",
        "PatientName": "TRẦN^THỊ^HOA",
        "Modality": "CT",
        "StudyDescription": "CT sọ não",
    },
    {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.2",
        "SOPInstanceUID": "1.2.2.1",
        "StudyDate": "20260110",
        "StudyTime": "235959.5",
        "AccessionNumber": "A_2",
        "PatientID": "079002",
        "PatientName": "TRẦN^THỊ^HOA",
        "Modality": "SR",
        "SeriesNumber": 7,
    },
    {
        "StudyInstanceUID": "1.3",
        "SeriesInstanceUID": "1.3.1",
        "SOPInstanceUID": "1.3.1.1",
        "StudyDate": "20260111",
        "PatientID": "079003",
        "PatientName": LONG_NAME,
        "Modality": "DX",
    },
]


@pytest.fixture
def filled(archive: Archive, make_file: Callable[..., bytes]) -> dict[str, bytes]:
    """The archive has three studies of three patients; their files by SOP Instance UID."""
    files = {str(one["SOPInstanceUID"]): make_file(**one) for one in STUDIES}
    for file in files.values():
        archive.ingest.receive([file], MODALITY)
    return files


def dataset_bytes(file: bytes) -> bytes:
    """What follows the file meta information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


@pytest.fixture
def datasets(filled: dict[str, bytes]) -> dict[str, bytes]:
    """The data sets of the archive's instances by SOP Instance UID, as they were received."""
    return {uid: dataset_bytes(file) for uid, file in filled.items()}


@pytest.fixture
def many(archive: Archive, make_file: Callable[..., bytes]) -> Callable[[int], list[str]]:
    """Takes in so many radiographs of study 1.8; their SOP Instance UIDs."""

    def make(count: int) -> list[str]:
        uids = [f"1.8.1.{number}" for number in range(count)]
        for number, uid in enumerate(uids):
            file = make_file(
                StudyInstanceUID="1.8",
                SeriesInstanceUID="1.8.1",
                SOPInstanceUID=uid,
                SOPClassUID=ComputedRadiographyImageStorage,
                InstanceNumber=number + 1,
            )
            archive.ingest.receive([file], MODALITY)
        return uids

    return make


@pytest.fixture
def destination(archive: Archive) -> Callable[..., devices.Device]:
    """Makes known a device of that AE title that listens on a port of this machine."""

    def make(aet: str, port: int, **properties: Any) -> devices.Device:
        with archive.engine.begin() as connection:
            return devices.add(connection, aet, host="127.0.0.1", port=port, **properties)

    return make


@dataclass(frozen=True)
class Client:
    """DCMTK's findscu, movescu and getscu."""

    node: Node
    folder: Path

    def run(
        self, name: str, *options: str, status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run one of them; it must end with that status."""
        done = subprocess.run(
            [
                *(program(name), "-v", "-aec", "FILMLESS", "-aet", "TESTMOD", *options),
                *(self.node.address[0], str(self.node.address[1])),
            ],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done

    def find(
        self, level: str, *keys: str, model: str = "-S", options: Sequence[str] = ()
    ) -> list[Dataset]:
        """The answers to a query, in order."""
        folder = self.folder / "found"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        asked = [part for key in keys for part in ("-k", key)]
        self.run(
            *("findscu", model, "-X", "-od", str(folder), "-k", f"QueryRetrieveLevel={level}"),
            *asked,
            *options,
        )
        return [pydicom.dcmread(file, force=True) for file in sorted(folder.iterdir())]

    def get(
        self, level: str, *keys: str, options: Sequence[str] = (), status: int | None = 0
    ) -> tuple[list[bytes], str]:
        """The data sets that came by C-GET, and what getscu said."""
        folder = self.folder / "got"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        asked = [part for key in keys for part in ("-k", key)]
        done = self.run(
            *("getscu", "-S", "+B", "-od", str(folder), "-k", f"QueryRetrieveLevel={level}"),
            *asked,
            *options,
            status=status,
        )
        return [dataset_bytes(f.read_bytes()) for f in sorted(folder.iterdir())], done.stderr

    def move(
        self, destination: str, level: str, *keys: str, status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """What movescu says."""
        asked = [part for key in keys for part in ("-k", key)]
        return self.run(
            *("movescu", "-d", "-S", "-aem", destination, "-k", f"QueryRetrieveLevel={level}"),
            *asked,
            status=status,
        )


@pytest.fixture
def client(node: Node, tmp_path: Path) -> Client:
    """DCMTK as a workstation."""
    return Client(node, tmp_path)
