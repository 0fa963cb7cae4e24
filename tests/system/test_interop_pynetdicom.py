"""pynetdicom's own applications beside the product. TLS is a tunnel's: they speak none."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicom_node.errors import PeerUnavailable
from dicom_node.send import Peer
from tests.plugins.interop import ASKED, FOUND, IN_ASCII, Ours, Studies, dataset_of
from tests.plugins.ports import free_port

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Applications:
    """`python -m pynetdicom …`, which call the product by TLS or without."""

    ours: Ours
    tls: bool
    tunnel: Callable[..., int]
    port: int
    """Where they reach the product."""
    folder: Path

    def run(self, name: str, *more: str, aet: str = "PYNETDICOM") -> Path:
        """Run one of them, which must succeed; the folder that it worked in."""
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        command = [sys.executable, "-m", "pynetdicom", name, "-v", "127.0.0.1", str(self.port)]
        done = subprocess.run(
            [*command, "-aet", aet, "-aec", "FILMLESS", *more],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert not any(line.startswith(("E: ", "W: ")) for line in said.splitlines()), said
        return folder

    def find(self, studies: Studies, aet: str = "PYNETDICOM") -> list[str]:
        """The names of the studies that are found, and that they are these."""
        keys = (f"PatientName={ASKED}", f"PatientID={studies.patient_ids}", "StudyInstanceUID=")
        asked = [part for key in ("QueryRetrieveLevel=STUDY", *keys) for part in ("-k", key)]
        folder = self.run("findscu", "-S", "-w", *asked, aet=aet)
        found = [pydicom.dcmread(file, force=True) for file in folder.iterdir()]
        assert {one.StudyInstanceUID for one in found} == set(studies.uids)
        return sorted(str(one.PatientName) for one in found)

    def listens(self, aet: str) -> tuple[int, int]:
        """Make one of them known that will listen: at which port, and at which we reach it."""
        port = reached = free_port()
        if self.tls:
            context = self.ours.authority.context(
                self.ours.certificate, self.ours.key, listening=True
            )
            reached = self.tunnel(port, entered_by=context)
        self.ours.know(aet, port=reached, tls=self.tls)
        return port, reached

    @contextmanager
    def storescp(self, aet: str) -> Iterator[tuple[Path, Peer]]:
        """Its storescp: where it writes to, and where we reach it."""
        folder = self.folder / aet
        folder.mkdir()
        port, reached = self.listens(aet)
        command = [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", str(folder)]
        with subprocess.Popen([*command, "-aet", aet]) as running:
            try:
                peer, deadline = self.ours.peer(aet, reached, tls=self.tls), time.monotonic() + 20
                while time.monotonic() < deadline:
                    with suppress(PeerUnavailable):
                        peer.echo()
                        break
                    time.sleep(0.1)
                yield folder, peer
            finally:
                running.terminate()


@pytest.fixture
def applications(ours: Ours, tls: bool, tunnel: Callable[..., int], tmp_path: Path) -> Applications:
    """pynetdicom's applications."""
    port = ours.port(tls=tls)
    if tls:
        context = ours.authority.context(ours.certificate, ours.key, listening=False)
        port = tunnel(port, left_by=context)
    return Applications(ours, tls, tunnel, port, tmp_path)


def patient_names(files: Iterator[Path]) -> list[str]:
    """The names in files, sorted."""
    return sorted(str(pydicom.dcmread(file).PatientName) for file in files)


def test_they_store_find_and_retrieve(applications: Applications, studies: Studies) -> None:
    sent = sorted(study.patient_name for study in studies.all)
    in_ascii, mover = f"PYNETASCII{applications.tls:d}", f"PYNETMOVE{applications.tls:d}"
    applications.ours.know(in_ascii, "--character-set", "ISO_IR 6")
    applications.run("echoscu")
    applications.run("storescu", "-r", str(studies.files[0].parent))
    assert applications.find(studies) == FOUND
    assert applications.find(studies, aet=in_ascii) == IN_ASCII
    uids = "\\".join(studies.uids)
    keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uids}"]
    got = applications.run("getscu", *keys)
    assert patient_names(got.iterdir()) == sent
    port, _ = applications.listens(mover)
    store = ["--store", "--store-port", str(port), "--store-aet", mover, "-aem", mover]
    moved = applications.run("movescu", *keys, *store)
    assert patient_names(moved.iterdir()) == sent


def test_we_send_to_them(applications: Applications, studies: Studies) -> None:
    with applications.storescp(f"PYNETSCP{applications.tls:d}") as (folder, peer):
        assert list(peer.send(studies.files)) == studies.files
    assert sorted(map(dataset_of, folder.iterdir())) == studies.datasets
