"""We, on a thread, with a bare peer at the other end of a real connection."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from dicom_node.errors import AssociationAborted
from dicom_node.upper_layer.acceptor import accept
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.proposal import Acceptance, Rejection
from dicom_node.upper_layer.requestor import associate
from dicom_node.upper_layer.timeouts import Timeouts
from tests.plugins.bare_peer import ACCEPTANCE, PROPOSAL, Ours, Peer, echo


@pytest.fixture
def timeouts() -> Timeouts:
    """Short enough to wait for."""
    return Timeouts(connect=2, associate=0.5, idle=0.5, stalled=0.5, release=0.5, close=0.5)


@pytest.fixture
def connected() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Both ends of connections over TCP."""
    made: list[socket.socket] = []

    def connect() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname(), timeout=10)
            ours, _ = listening.accept()
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.extend((theirs, ours))
        return theirs, ours

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def as_acceptor(
    connected: Callable[[], tuple[socket.socket, socket.socket]], timeouts: Timeouts
) -> Iterator[Callable[..., Ours]]:
    """We as acceptor of what a bare peer asks for."""
    begun: list[Ours] = []

    def begin(
        life: Callable[[Association], None] = echo,
        answer: Acceptance | Rejection = ACCEPTANCE,
        patience: Timeouts = timeouts,
    ) -> Ours:
        theirs, ours = connected()
        side = Ours(Peer(theirs), threading.Thread(target=lambda: live(side)))

        def live(side: Ours) -> None:
            try:
                association = accept(
                    Connection(ours, patience, ("127.0.0.1", 1)), lambda _proposal: answer
                )
            except AssociationAborted as aborted:
                side.ended.append(aborted)
                return
            try:
                life(association)
                side.ended.append(None)
            except AssociationAborted as aborted:
                side.ended.append(aborted)
            finally:
                association.abort()

        side.thread.start()
        begun.append(side)
        return side

    yield begin
    for side in begun:
        side.end()


@pytest.fixture
def as_requestor(timeouts: Timeouts) -> Iterator[Callable[..., Ours]]:
    """We as requestor of a bare peer that accepts connections."""
    begun: list[Ours] = []

    def begin(life: Callable[[Association], None] = Association.release) -> Ours:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            side = Ours(Peer(socket.socket()), threading.Thread(target=lambda: live(side)))

            def live(side: Ours) -> None:
                try:
                    association = associate(
                        *address,
                        calling_aet="US",
                        called_aet="PEER",
                        contexts=PROPOSAL.contexts,
                        timeouts=timeouts,
                    )
                except Exception as failure:  # noqa: BLE001 - for the test to look at
                    side.ended.append(failure)
                    return
                try:
                    life(association)
                    side.ended.append(None)
                except AssociationAborted as aborted:
                    side.ended.append(aborted)
                finally:
                    association.abort()

            side.thread.start()
            theirs, _ = listening.accept()
        theirs.settimeout(10)
        side.peer.socket.close()
        side.peer = Peer(theirs)
        assert side.peer.hears() == "A-ASSOCIATE-RQ"
        begun.append(side)
        return side

    yield begin
    for side in begun:
        side.peer.socket.close()
        side.end()
