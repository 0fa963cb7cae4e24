"""Messages: in any fragmentation, of any size, in parts, cancelled, beside one another."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.dimse import C_CANCEL_RQ, C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, Command
from dicom_node.errors import AssociationAborted
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.fragments import message_pdus
from tests.plugins.bare_peer import ECHO, VERIFICATION

Begin = Callable[..., Any]


def request(field: int, number: int) -> Command:
    """A request in the context that bare peers propose."""
    return Command(command_field=field, message_id=number, affected_sop_class_uid=VERIFICATION)


def encoded(field: int, number: int, *data: bytes, max_pdu: int = 0) -> bytes:
    """A message as it goes over the wire."""
    batches = message_pdus(1, request(field, number), data, max_pdu)
    return b"".join(bytes(part) for parts in batches for part in parts)


def fragments(wire: bytes) -> list[bytes]:
    """The items of P-DATA-TF PDUs, of one fragment each."""
    items, at = [], 0
    while at < len(wire):
        (length,) = struct.unpack_from(">I", wire, at + 2)
        items.append(wire[at + 6 : at + 6 + length])
        at += 6 + length
    return items


class Collected:
    """Lives through an association and keeps the messages that come."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, int | None, bytes]] = []

    def __call__(self, association: Association) -> None:
        while (message := association.receive()) is not None:
            data = association.identifier(message, 100 << 20)
            self.messages.append((message.command.command_field, message.command.message_id, data))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=5),
    fragment=st.integers(8, 700),
    in_a_pdu=st.integers(1, 9),
    in_a_write=st.integers(1, 4000),
)
def test_any_fragmentation(
    sizes: list[int], fragment: int, in_a_pdu: int, in_a_write: int, as_acceptor: Begin
) -> None:
    """Fragments of commands and data sets, several in a PDU, across messages (PS3.8 E)."""
    datasets = [bytes(n % 251 for n in range(size)) for size in sizes]
    items = [
        item
        for number, data in enumerate(datasets)
        for item in fragments(encoded(C_STORE_RQ, number, data, max_pdu=fragment))
    ]
    wire = b"".join(
        struct.pack(">BxI", 4, len(body)) + body
        for body in (b"".join(items[at : at + in_a_pdu]) for at in range(0, len(items), in_a_pdu))
    )
    collected = Collected()
    ours = as_acceptor(collected)
    ours.peer.associate()
    for at in range(0, len(wire), in_a_write):
        ours.peer.socket.sendall(wire[at : at + in_a_write])
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    ours.peer.socket.close()
    assert ours.end() is None
    assert collected.messages == [(C_STORE_RQ, n, data) for n, data in enumerate(datasets)]


@pytest.mark.parametrize("length", [100, 1 << 20, 5 << 20])
def test_pdus_longer_than_the_buffer(length: int, as_acceptor: Begin) -> None:
    """Longer than what we have said that we take, too."""
    data = bytes(range(256)) * (length // 256) + bytes(length % 256)
    item = struct.pack(">IBB", len(data) + 2, 1, 2) + data
    collected = Collected()
    ours = as_acceptor(collected)
    ours.peer.associate()
    command = encoded(C_STORE_RQ, 1, b"x")
    ours.peer.socket.sendall(command[: -len(b"x") - 12])
    ours.peer.socket.sendall(struct.pack(">BxI", 4, len(item)) + item)
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    assert collected.messages == [(C_STORE_RQ, 1, data)]


@pytest.mark.parametrize("max_pdu", [0, 16384, 131072, 4096, 16383, 9])
@pytest.mark.parametrize("parts", [[], [b"ab"], [b"", b"abc", b"", b"def"], [bytes(1 << 19)] * 5])
def test_fragments_are_as_long_as_the_peer_takes(max_pdu: int, parts: list[bytes]) -> None:
    if max_pdu == 9:
        parts = [part[:100] for part in parts]
    wire = encoded(C_STORE_RQ, 1, *parts, max_pdu=max_pdu)
    items = fragments(wire)
    assert all(struct.unpack_from(">I", item)[0] == len(item) - 4 for item in items)
    assert all(not max_pdu or len(item) <= max_pdu for item in items)
    commands = [item[6:] for item in items if item[5] & 1]
    data = [item[6:] for item in items if not item[5] & 1]
    assert b"".join(data) == b"".join(parts)
    for kind in (commands, data):
        assert all(len(part) % 2 == 0 for part in kind[:-1])
        assert all(len(one) == len(other) for one, other in pairwise(kind[:-1]))
    controls = [item[5] for item in items]
    assert controls.count(3) == 1
    assert controls.count(2) == (1 if data else 0)


def test_small_message_is_one_write() -> None:
    batches = list(message_pdus(1, request(C_FIND_RQ, 1), [b"identifier"], 16384))
    assert len(batches) == 1


def test_what_is_not_taken_is_passed_over(as_acceptor: Begin) -> None:
    numbers = []

    def look_only(association: Association) -> None:
        while (message := association.receive()) is not None:
            numbers.append(message.command.message_id)

    ours = as_acceptor(look_only)
    ours.peer.associate()
    for number in range(1, 4):
        ours.peer.socket.sendall(encoded(C_STORE_RQ, number, bytes(100_000)))
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    assert numbers == [1, 2, 3]


def test_identifier_is_bounded(as_acceptor: Begin) -> None:
    def read(association: Association) -> None:
        message = association.receive()
        assert message is not None
        association.identifier(message)

    ours = as_acceptor(read)
    ours.peer.associate()
    ours.peer.socket.sendall(encoded(C_FIND_RQ, 1, bytes((1 << 20) + 2)))
    assert ours.peer.hears() == "A-ABORT 2 6"
    assert isinstance(ours.end(), AssociationAborted)


def test_sink_that_fails_loses_no_neighbour(as_acceptor: Begin) -> None:
    seen = []

    def fail_once(association: Association) -> None:
        while (message := association.receive()) is not None:
            seen.append(message.command.message_id)
            if len(seen) == 1:
                with pytest.raises(ZeroDivisionError):
                    association.stream(message, lambda _part: 1 // 0)

    ours = as_acceptor(fail_once)
    ours.peer.associate()
    for number in (1, 2):
        ours.peer.socket.sendall(encoded(C_STORE_RQ, number, bytes(50_000)))
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    assert seen == [1, 2]


def cancel(number: int) -> bytes:
    """A C-CANCEL-RQ as it goes over the wire."""
    command = Command(command_field=C_CANCEL_RQ, message_id_being_responded_to=number)
    return b"".join(bytes(part) for parts in message_pdus(1, command, (), 0) for part in parts)


def test_cancelled(as_acceptor: Begin) -> None:
    """Seen while we send; what comes beside it is not lost; another message is not cancelled."""
    asked, go_on = threading.Event(), threading.Event()
    heard: list[Any] = []

    def find(association: Association) -> None:
        message = association.receive()
        assert message is not None
        heard.append(association.cancelled(5))
        asked.set()
        assert go_on.wait(10)
        heard.append(association.cancelled(4))
        heard.append(association.cancelled(5))
        while (message := association.receive()) is not None:
            heard.append(message.command.message_id)

    ours = as_acceptor(find)
    ours.peer.associate()
    ours.peer.socket.sendall(encoded(C_FIND_RQ, 5))
    assert asked.wait(10)
    wire = encoded(C_ECHO_RQ, 6) + cancel(5) + encoded(C_STORE_RQ, 7, b"data") + cancel(4)
    ours.peer.socket.sendall(wire + encoded(C_ECHO_RQ, 8))
    go_on.set()
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    assert heard == [False, False, True, 6, 7, 8]


def test_release_in_the_middle_of_answers_cancels_them(as_acceptor: Begin) -> None:
    cancelled = []

    def find(association: Association) -> None:
        message = association.receive()
        assert message is not None
        while not association.cancelled(5):
            pass
        cancelled.append(True)
        assert association.receive() is None

    ours = as_acceptor(find)
    ours.peer.associate()
    ours.peer.socket.sendall(encoded(C_FIND_RQ, 5))
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
    assert cancelled == [True]


def test_messages_of_many_threads_are_not_mixed(as_acceptor: Begin) -> None:
    def answer(association: Association) -> None:
        def send(number: int) -> None:
            for _ in range(20):
                parts = (bytes((number,)) * 5000 for _ in range(40))
                association.send(1, request(C_STORE_RQ, number), parts)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        association.receive()

    ours = as_acceptor(answer)
    ours.peer.associate()
    for _ in range(80):
        command = ours.peer.receive()
        number = command[command.index(b"\0\0\x10\1\2\0\0\0") + 8]
        received = 0
        while received < 200_000:
            pdu = ours.peer.receive()
            assert set(pdu[12:]) == {number}
            received += len(pdu) - 12
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"


def test_peers_that_leave_nagle_on_need_not_wait(as_acceptor: Begin) -> None:
    """The second of two small writes waits for the first one's acknowledgement, which comes at
    once, and not after the 40 ms by which the system would delay it."""
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    seconds = []
    for _ in range(10):
        began = time.monotonic()
        ours.peer.socket.sendall(ECHO[:50])
        ours.peer.socket.sendall(ECHO[50:])
        assert ours.peer.hears() == "P-DATA-TF"
        seconds.append(time.monotonic() - began)
    assert min(seconds[1:]) < 0.03, seconds
    ours.peer.send("A-RELEASE-RQ")
    assert ours.peer.hears() == "A-RELEASE-RP"
