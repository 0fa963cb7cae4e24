"""DCMTK beside the product: each of its programs asks ours, and ours asks and sends to it.

Of DCMTK 3.6.7, dcmsend, movescu and getscu speak no TLS: they go through a tunnel, as hospitals
help them by stunnel.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicom_node.errors import PeerUnavailable
from dicom_node.send import Peer
from tests.plugins.dcmtk import program
from tests.plugins.interop import ASKED, FOUND, IN_ASCII, Ours, Studies, dataset_of
from tests.plugins.ports import free_port

pytestmark = pytest.mark.system

WITHOUT_TLS = ("dcmsend", "movescu", "getscu")


@dataclass(frozen=True)
class Dcmtk:
    """DCMTK's programs, which call the product by TLS or without."""

    ours: Ours
    tls: bool
    tunnel: Callable[..., int]
    folder: Path

    @property
    def tls_options(self) -> list[str]:
        """Certificates, for programs that take them."""
        ca = str(self.ours.authority.certificate)
        return ["+tls", str(self.ours.key), str(self.ours.certificate), "+cf", ca]

    def run(self, name: str, *more: str, aet: str = "DCMTK") -> None:
        """Run one of them; it must succeed."""
        port, options = self.ours.port(tls=self.tls), []
        if self.tls and name in WITHOUT_TLS:
            context = self.ours.authority.context(
                self.ours.certificate, self.ours.key, listening=False
            )
            port = self.tunnel(port, left_by=context)
        elif self.tls:
            options = self.tls_options
        done = subprocess.run(
            [
                *(program(name), "-v", "-aet", aet, "-aec", "FILMLESS", *options),
                *("127.0.0.1", str(port), *more),
            ],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def find(self, studies: Studies, *keys: str, aet: str = "DCMTK") -> list[str]:
        """The names of the studies that are found, and that they are these."""
        folder = self.folder / f"found-{time.monotonic_ns()}"
        folder.mkdir()
        keys = ("QueryRetrieveLevel=STUDY", f"PatientID={studies.patient_ids}", *keys)
        asked = [part for key in (*keys, "StudyInstanceUID") for part in ("-k", key)]
        self.run("findscu", "-S", "-X", "-od", str(folder), *asked, aet=aet)
        found = [pydicom.dcmread(file, force=True) for file in folder.iterdir()]
        assert {one.StudyInstanceUID for one in found} == set(studies.uids)
        return sorted(str(one.PatientName) for one in found)

    @contextmanager
    def storescp(self, aet: str) -> Iterator[tuple[Path, Peer]]:
        """Receives what we send, bit by bit: its folder, and where we reach it."""
        folder, port = self.folder / aet, free_port()
        folder.mkdir()
        self.ours.know(aet, port=port, tls=self.tls)
        options = self.tls_options if self.tls else []
        command = [program("storescp"), "+B", "+xa", "-aet", aet, "-od", str(folder), *options]
        with subprocess.Popen([*command, str(port)]) as running:
            try:
                peer, deadline = self.ours.peer(aet, port, tls=self.tls), time.monotonic() + 10
                while time.monotonic() < deadline:
                    with suppress(PeerUnavailable):
                        peer.echo()
                        break
                    time.sleep(0.05)
                yield folder, peer
            finally:
                running.terminate()


@pytest.fixture
def dcmtk(ours: Ours, tls: bool, tunnel: Callable[..., int], tmp_path: Path) -> Dcmtk:
    """DCMTK's programs."""
    return Dcmtk(ours, tls, tunnel, tmp_path)


def test_it_stores_finds_and_retrieves(dcmtk: Dcmtk, studies: Studies) -> None:
    dcmtk.run("echoscu")
    first, *others = map(str, studies.files)
    dcmtk.run("storescu", first)
    dcmtk.run("dcmsend", *others)
    assert dcmtk.find(studies, f"PatientName={ASKED}") == FOUND
    for spelling in (study.patient_name.rpartition(" ")[0] for study in studies.all[:2]):
        asked = f"PatientName={spelling}*"
        assert dcmtk.find(studies, asked, "SpecificCharacterSet=ISO_IR 192") == FOUND
    got = dcmtk.folder / "got"
    got.mkdir()
    for uid in studies.uids:
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
        dcmtk.run("getscu", "-S", "+B", "-od", str(got), *keys)
    assert sorted(map(dataset_of, got.iterdir())) == studies.datasets
    aet = f"STORESCP{dcmtk.tls:d}"
    with dcmtk.storescp(aet) as (moved, _):
        for uid in studies.uids:
            keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
            dcmtk.run("movescu", "-S", "-aem", aet, *keys)
    assert sorted(map(dataset_of, moved.iterdir())) == studies.datasets


def test_a_device_that_reads_ascii(dcmtk: Dcmtk, studies: Studies) -> None:
    aet = f"DCMTKASCII{dcmtk.tls:d}"
    dcmtk.ours.know(aet, "--character-set", "ISO_IR 6")
    dcmtk.run("storescu", *map(str, studies.files), aet=aet)
    assert dcmtk.find(studies, f"PatientName={ASKED}", aet=aet) == IN_ASCII


def test_we_send_to_it(dcmtk: Dcmtk, studies: Studies, ours: Ours, tls: bool) -> None:
    aet = f"RECEIVER{tls:d}"
    with dcmtk.storescp(aet) as (folder, peer):
        ours.product.pacs("devices", "echo", aet)
        assert list(peer.send(studies.files)) == studies.files
    assert sorted(map(dataset_of, folder.iterdir())) == studies.datasets
