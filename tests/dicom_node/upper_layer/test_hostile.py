"""Peers that mean harm, or are broken: each is bounded, and ends with its thread and its socket."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dicom_node.errors import AssociationAborted
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.timeouts import Timeouts
from tests.plugins.bare_peer import ECHO, PDUS

Begin = Callable[..., Any]


def p_data(*fragments: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF PDU of fragments: context ID, control header, bytes."""
    items = b"".join(
        struct.pack(">IBB", len(data) + 2, context, control) + data
        for context, control, data in fragments
    )
    return struct.pack(">BxI", 4, len(items)) + items


COMMAND = ECHO[12:]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (struct.pack(">BxI", 4, 0xFFFFFFFF) + bytes(1000), 6),  # 4 GB
        (struct.pack(">BxI", 1, 0xFFFFFFFF) + bytes(1000), 6),
        (struct.pack(">BxI", 7, 0xFFFFFFFF) + bytes(1000), 6),
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (struct.pack(">BxI", 4, 0), 6),  # no fragment at all
        (struct.pack(">BxI", 4, 3) + bytes(3), 6),
        (p_data((1, 3, COMMAND))[:-30] + bytes(200), 6),  # not a command set
        (struct.pack(">BxIIBB", 4, 6, 1, 1, 3), 6),  # a fragment shorter than its header
        (struct.pack(">BxIIBB", 4, 6, 5000, 1, 3), 6),  # longer than its PDU
        (p_data((3, 3, COMMAND)), 6),  # a context that was not proposed
        (p_data((1, 2, b"data set first")), 6),
        (p_data((1, 1, COMMAND[:10]), (3, 3, COMMAND[10:])), 6),
        (p_data((1, 1, COMMAND[:10])) + p_data((1, 2, COMMAND[10:])), 6),
        (p_data((1, 3, b"")), 6),
        (p_data((1, 1, bytes(60_000)), (1, 1, bytes(60_000))), 6),
        (p_data((1, 1, COMMAND[:10])) + PDUS["A-RELEASE-RQ"], 6),
    ],
)
def test_garbage_in_an_association(sent: bytes, reason: int, as_acceptor: Begin) -> None:
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.socket.sendall(sent)
    assert ours.peer.hears() == f"A-ABORT 2 {reason}"
    assert ours.peer.hears() == "closed"
    assert isinstance(ours.end(), AssociationAborted)


@pytest.mark.parametrize("at", [1, 5, 6, 9, 11, 20])
def test_silent_in_the_middle_of_a_pdu(at: int, as_acceptor: Begin) -> None:
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.socket.sendall(ECHO[:at])
    assert ours.peer.hears() == "A-ABORT 0 0"
    assert isinstance(ours.end(), AssociationAborted)


@pytest.mark.parametrize("wait", ["request", "message"])
def test_one_byte_at_a_time(wait: str, as_acceptor: Begin, timeouts: Timeouts) -> None:
    """Each byte comes in time, the whole does not."""
    ours = as_acceptor(patience=replace(timeouts, stalled=0.4))
    slow = PDUS["A-ASSOCIATE-RQ"]
    if wait == "message":
        ours.peer.associate()
        slow = p_data((1, 1, COMMAND[:40])) * 50
    began = time.monotonic()
    ours.peer.socket.settimeout(0.02)
    heard = b""
    for byte in slow:
        try:
            ours.peer.socket.sendall(bytes((byte,)))
            heard = ours.peer.socket.recv(100)
        except TimeoutError:
            continue
        except OSError:
            break
        break
    assert time.monotonic() - began < 3
    assert heard[:1] in (b"", b"\x07")
    assert isinstance(ours.end(), AssociationAborted)


def test_fragments_of_one_byte_in_pdus_of_their_own(as_acceptor: Begin, timeouts: Timeouts) -> None:
    """Each PDU comes in time, the message does not."""
    ours = as_acceptor(patience=replace(timeouts, stalled=0.3))
    ours.peer.associate()
    began = time.monotonic()
    with pytest.raises(OSError, match=r"."):
        for byte in COMMAND * 100:
            ours.peer.socket.sendall(p_data((1, 1, bytes((byte,)))))
            time.sleep(0.02)
    assert time.monotonic() - began < 5
    assert isinstance(ours.end(), AssociationAborted)


def test_peer_that_takes_no_answers(as_acceptor: Begin, timeouts: Timeouts) -> None:
    """Its system's buffers fill up, then our writes wait, and give up."""
    ours = as_acceptor(patience=replace(timeouts, stalled=0.5))
    ours.peer.associate()
    ours.peer.socket.settimeout(3)
    with pytest.raises(OSError, match=r"."):
        for _ in range(2000):
            ours.peer.socket.sendall(ECHO * 500)
    assert isinstance(ours.end(), AssociationAborted)


def test_peer_that_takes_little_of_much(as_acceptor: Begin, timeouts: Timeouts) -> None:
    """A write that is taken bit by bit is bounded by its speed."""

    def send_much(association: Association) -> None:
        message = association.receive()
        assert message is not None
        association.send(1, message.command, [bytes(64 << 20)])

    ours = as_acceptor(send_much, patience=replace(timeouts, stalled=0.3))
    ours.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ours.peer.associate()
    ours.peer.send("P-DATA-TF")
    began = time.monotonic()
    assert isinstance(ours.end(), AssociationAborted)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("at", [3, 8, 30])
def test_abort_in_the_middle_of_a_pdu(at: int, as_acceptor: Begin) -> None:
    """It is taken for payload, and the connection's end for what it is."""
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.socket.sendall(ECHO[:at] + PDUS["A-ABORT"])
    ours.peer.socket.close()
    assert isinstance(ours.end(), AssociationAborted)


def test_half_open(as_acceptor: Begin) -> None:
    """The peer has gone without a word."""
    ours = as_acceptor()
    ours.peer.associate()
    assert ours.peer.hears() == "A-ABORT 0 0"
    assert isinstance(ours.end(), AssociationAborted)


def test_peer_that_goes_on_after_the_abort(as_acceptor: Begin) -> None:
    """What it still sends is dropped for a while, so that it can hear why; not for ever."""
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.send("unknown")
    began = time.monotonic()
    with pytest.raises(OSError, match=r"."):
        while time.monotonic() - began < 5:
            ours.peer.socket.sendall(bytes(1 << 20))
    assert time.monotonic() - began < 3
    assert isinstance(ours.end(), AssociationAborted)


def test_interrupted_from_another_thread(as_acceptor: Begin, timeouts: Timeouts) -> None:
    """An association that waits is aborted at once when we shut down."""
    waiting: list[Association] = []

    def wait(association: Association) -> None:
        waiting.append(association)
        association.receive()

    ours = as_acceptor(wait, patience=replace(timeouts, idle=30))
    ours.peer.associate()
    while not waiting or waiting[0].waiting_since is None:
        time.sleep(0.01)
    waiting[0].interrupt()
    assert ours.peer.hears() == "A-ABORT 0 0"
    assert isinstance(ours.end(), AssociationAborted)


def test_nothing_is_left(as_acceptor: Begin) -> None:
    before = threading.active_count()
    for pdu in PDUS:
        ours = as_acceptor()
        ours.peer.send("A-ASSOCIATE-RQ", pdu)
        ours.peer.socket.close()
        ours.end()
    assert threading.active_count() == before
