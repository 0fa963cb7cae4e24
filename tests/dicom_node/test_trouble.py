"""Peers that misbehave, disks that fill up, a database that goes away, and shutting down."""

import os
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context

from dicom_node.server import Node
from pacs.archive import Archive, open_archive
from pacs.database.embedded import EmbeddedPostgres
from pacs.database.migrate import migrate
from pacs.settings import load_settings

RealFile = Callable[[str], Path]
Altered = Callable[..., Path]
Statuses = Callable[[Sequence[Path]], list[int]]


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what comes about by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def refuses(address: tuple[str, int]) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        random.Random(2).randbytes(5000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # a TLS client
        b"\x01\x00" + struct.pack(">I", 0xFFFFFFFF) + bytes(1000),  # a PDU of 4 GB
        b"\x04\x00" + struct.pack(">I", 10) + bytes(10),  # data before association
        b"\x01\x00" + struct.pack(">I", 100) + bytes(100),
        b"",
    ],
    ids=["http", "random", "tls", "4 GB", "too early", "zeros", "nothing"],
)
def test_garbage_on_the_port(sent: bytes, node: Node, echoscu: Any) -> None:
    with socket.create_connection(node.address, timeout=10) as peer:
        peer.sendall(sent)
        if sent:
            while peer.recv(4096):
                pass
        else:
            peer.shutdown(socket.SHUT_WR)
    assert echoscu().returncode == 0


@pytest.mark.parametrize("ending", ["abort", "disconnect"])
def test_broken_off_in_the_middle(
    ending: str, node: Node, shelf: Any, real_file: RealFile, statuses: Statuses, sending: Any
) -> None:
    half = sending(node, real_file("RG1_UNCR.dcm"))
    half.send(len(half.fragments) // 2)
    wait_until(lambda: len(shelf.objects()) == 1)
    if ending == "abort":
        half.association.abort()
    else:
        half.association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: not shelf.objects())
    assert shelf.instances() == []
    assert statuses([real_file("693_UNCR.dcm")]) == [0x0000]


def test_object_that_is_refused_is_not_kept_meanwhile(
    node: Node, shelf: Any, real_file: RealFile, altered: Altered, sending: Any
) -> None:
    large = altered(real_file("693_UNCR.dcm"), EncapsulatedDocument=b"0" * (15 << 20))
    half = sending(node, large)
    half.send(int(len(half.fragments) * 0.9))
    wait_until(lambda: not shelf.objects())
    assert half.finish() == 0xA700
    half.association.release()


def test_no_threads_are_left(
    node: Node, statuses: Statuses, real_file: RealFile, sending: Any
) -> None:
    statuses([real_file("693_UNCR.dcm")])
    time.sleep(0.5)
    before = threading.active_count()
    for _ in range(10):
        statuses([real_file("693_UNCR.dcm")])
        half = sending(node, real_file("RG1_UNCR.dcm"))
        half.send(len(half.fragments) // 3)
        half.association.abort()
    wait_until(lambda: threading.active_count() <= before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "filmless-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(
    small_disk: Path, database_url: str, real_file: RealFile, altered: Altered
) -> None:
    settings = load_settings(data_dir=small_disk)
    rg1 = altered(real_file("RG1_UNCR.dcm"), SOPInstanceUID=generate_uid(), meta=True)
    ct = real_file("693_UNCR.dcm")
    with open_archive(settings, database_url) as archive, Node(archive, "127.0.0.1", 0) as node:
        assert send(node, [real_file("RG1_UNCR.dcm"), rg1, ct]) == [0x0000, 0xA700, 0x0000]
        subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
        assert send(node, [rg1]) == [0x0000]


def test_database_away_and_back(tmp_path: Path, real_file: RealFile, altered: Altered) -> None:
    folder = tmp_path / "postgres"
    for parent in folder.parents:
        if parent.is_relative_to("/tmp/pytest-of-root"):
            parent.chmod(0o711)
    files = [
        altered(real_file("693_UNCR.dcm"), SOPInstanceUID=f"1.2.{n}", meta=True) for n in range(3)
    ]
    server = EmbeddedPostgres(folder)
    url = server.start()
    try:
        migrate(url)
        with (
            open_archive(load_settings(data_dir=tmp_path), url) as archive,
            Node(archive, "127.0.0.1", 0) as node,
        ):
            assert send(node, files[:1]) == [0x0000]
            server.stop()
            assert send(node, files[1:2]) == [0xA700]
            server.start()
            assert send(node, files) == [0x0000, 0x0000, 0x0000]
    finally:
        server.stop()


def send(node: Node, files: Sequence[Path]) -> list[int]:
    """Send files as they are on one association; the status of each."""
    kinds = {
        (m.MediaStorageSOPClassUID, m.TransferSyntaxUID)
        for m in (dcmread(f, stop_before_pixels=True).file_meta for f in files)
    }
    association = AE("TESTMOD").associate(
        *node.address, contexts=[build_context(*kind) for kind in kinds], ae_title="FILMLESS"
    )
    assert association.is_established
    try:
        return [association.send_c_store(dcmread(file)).Status for file in files]
    finally:
        association.release()


def test_stop_lets_an_object_arrive(
    archive: Archive, real_file: RealFile, shelf: Any, sending: Any
) -> None:
    node = Node(archive, "127.0.0.1", 0)
    node.start()
    half = sending(node, real_file("RG1_UNCR.dcm"))
    half.send(len(half.fragments) // 2)
    wait_until(lambda: len(shelf.objects()) == 1)
    stopping = threading.Thread(target=node.stop, kwargs={"grace": 20})
    stopping.start()
    wait_until(lambda: refuses(node.address))
    time.sleep(1.5)
    assert half.association.is_established
    assert half.finish() == 0x0000
    stopping.join(20)
    assert shelf.instances() == [str(dcmread(real_file("RG1_UNCR.dcm")).SOPInstanceUID)]
    wait_until(lambda: not half.association.is_established)


def test_stop_does_not_wait_for_idle_peers(archive: Archive) -> None:
    node = Node(archive, "127.0.0.1", 0)
    node.start()
    association = AE("TESTMOD").associate(
        *node.address, contexts=[build_context("1.2.840.10008.1.1")], ae_title="FILMLESS"
    )
    assert association.is_established
    began = time.monotonic()
    node.stop(grace=30)
    assert time.monotonic() - began < 5
    wait_until(lambda: association.is_aborted)


def test_stop_in_the_middle_leaves_nothing(
    archive: Archive, real_file: RealFile, shelf: Any, sending: Any
) -> None:
    node = Node(archive, "127.0.0.1", 0)
    node.start()
    half = sending(node, real_file("RG1_UNCR.dcm"))
    half.send(len(half.fragments) // 2)
    wait_until(lambda: len(shelf.objects()) == 1)
    node.stop(grace=0.5)
    assert shelf.objects() == []
    wait_until(lambda: not half.association.is_established)


def test_requests_without_waiting_for_answers(
    node: Node, shelf: Any, real_file: RealFile, requestor: Any
) -> None:
    """Not what was agreed, but served in order; the peer's own sending is what waits."""
    association = requestor(node, real_file("emri_small.dcm"))
    for _ in range(100):
        association.request()
    assert [association.answer() for _ in range(100)] == [(n, 0x0000) for n in range(1, 101)]
    association.release()
    assert len(shelf.objects()) == 1


def test_fragments_out_of_order(node: Node, shelf: Any, real_file: RealFile, sending: Any) -> None:
    half = sending(node, real_file("emri_small.dcm"))
    half.fragments.reverse()
    half.send(2)
    wait_until(lambda: half.association.is_aborted)
    assert shelf.objects() == []
