"""The reader of PDUs, fed with anything: it ends, by a release or an abort, and raises no more.

What has once been of interest is kept in tests/dicom_node/corpus, one conversation a file, and is
said again each time.
"""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicom_node.errors import AssociationAborted
from dicom_node.negotiation import negotiate
from dicom_node.upper_layer.acceptor import accept
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.timeouts import Timeouts
from tests.plugins.bare_peer import PDUS, echo

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.pdus"))

Connected = Callable[[], tuple[socket.socket, socket.socket]]

slow = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def say(words: bytes, connected: Connected) -> None:
    """Say it all, close our half of the connection, and see how the acceptor takes it."""
    theirs, ours = connected()
    theirs.sendall(words)
    theirs.shutdown(socket.SHUT_WR)
    quick = Timeouts(associate=2, idle=2, stalled=2, release=2, close=0.2)
    try:
        association = accept(Connection(ours, quick, ("127.0.0.1", 1)), negotiate)
        try:
            echo(association)
        finally:
            association.abort()
    except AssociationAborted as aborted:
        assert str(aborted)
    assert ours.fileno() == -1
    theirs.close()


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_corpus(file: Path, connected: Connected) -> None:
    say(file.read_bytes(), connected)


def test_corpus_is_there() -> None:
    assert CORPUS


@slow
@given(words=st.binary(max_size=2000))
@example(words=b"")
def test_anything(words: bytes, connected: Connected) -> None:
    say(words, connected)


@slow
@given(words=st.binary(max_size=2000))
def test_anything_in_an_association(words: bytes, connected: Connected) -> None:
    say(PDUS["A-ASSOCIATE-RQ"] + words, connected)


@slow
@given(names=st.lists(st.sampled_from(sorted(PDUS)), max_size=12), data=st.data())
def test_damaged_conversations(names: list[str], data: st.DataObject, connected: Connected) -> None:
    words = bytearray(PDUS["A-ASSOCIATE-RQ"] + b"".join(PDUS[name] for name in names))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(words) - 1))
        words[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    say(bytes(words), connected)
