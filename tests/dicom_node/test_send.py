"""Sending to DCMTK's storescp."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.dsutils import split_dataset

from dicom_node.errors import NotSendable, ObjectRefused, PeerUnavailable
from dicom_node.send import Peer
from dicom_node.server import Node

RealFile = Callable[[str], Path]


def test_files_arrive_as_they_are(storescp: Any, real_file: RealFile) -> None:
    names = ["693_UNCR.dcm", "RG1_J2KR.dcm", "liver_expb.dcm", "emri_small_RLE.dcm"]
    files = [real_file(name) for name in names]
    peer = Peer("127.0.0.1", storescp.port, "FILMLESS")
    peer.echo()
    assert list(peer.send(files)) == files
    sent = [file.read_bytes()[split_dataset(file)[1] :] for file in files]
    assert sorted(storescp.take()) == sorted(sent)


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_there(real_file: RealFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(PeerUnavailable, match=f"FILMLESS at 127.0.0.1:{port} cannot be reached"):
        Peer("127.0.0.1", port, "FILMLESS").echo()


def test_association_refused(node: Node) -> None:
    with pytest.raises(PeerUnavailable, match="Called AE title not recognised"):
        Peer(*node.address, "NOBODY").echo()


def test_object_refused(node: Node, real_file: RealFile, altered: Callable[..., Path]) -> None:
    headless = altered(real_file("693_UNCR.dcm"), SOPInstanceUID=None)
    with pytest.raises(ObjectRefused, match="SOPInstanceUID is missing") as refused:
        list(Peer(*node.address, "FILMLESS").send([headless]))
    assert (refused.value.status, refused.value.file) == (0xC000, headless)


def test_no_dicom_file(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear doctor")
    with pytest.raises(NotSendable, match=r"letter\.txt"):
        list(Peer("127.0.0.1", 9, "FILMLESS").send([file]))
