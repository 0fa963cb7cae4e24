"""The state table of PS3.8 9.2.3: as others have it, and cell by cell where a peer can reach it."""

from collections.abc import Callable
from typing import Any

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from dicom_node.errors import AssociationAborted, AssociationRejected
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.proposal import LOCAL_LIMIT
from dicom_node.upper_layer.states import NEXT_STATES, TRANSITIONS, Event, State
from tests.plugins.bare_peer import PDUS

Begin = Callable[..., Any]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_cell(event: Event, state: State) -> None:
    theirs = TRANSITION_TABLE.get((f"Evt{event:d}", f"Sta{state:d}"))
    assert TRANSITIONS.get((event, state)) == theirs


@pytest.mark.parametrize("action", ACTIONS)
def test_next_state(action: str) -> None:
    theirs = ACTIONS[action][2]
    expected = (theirs,) if isinstance(theirs, str) else theirs
    assert tuple(f"Sta{state:d}" for state in NEXT_STATES[action]) == expected


# What a bare peer says, and what it hears; "A-ABORT" with source and reason.

STA2 = {
    "A-ASSOCIATE-AC": ["A-ABORT 0 0", "closed"],  # AA-1
    "A-ASSOCIATE-RJ": ["A-ABORT 0 0", "closed"],
    "P-DATA-TF": ["A-ABORT 0 0", "closed"],
    "A-RELEASE-RQ": ["A-ABORT 0 0", "closed"],
    "A-RELEASE-RP": ["A-ABORT 0 0", "closed"],
    "A-ABORT": ["closed"],  # AA-2
    "unknown": ["A-ABORT 0 0", "closed"],
    "invalid": ["A-ABORT 0 0", "closed"],
    "A-ASSOCIATE-RQ": ["A-ASSOCIATE-AC"],  # AE-6, AE-7
}
STA5 = {
    "A-ASSOCIATE-RQ": ["A-ABORT 2 2", "closed"],  # AA-8
    "P-DATA-TF": ["A-ABORT 2 2", "closed"],
    "A-RELEASE-RQ": ["A-ABORT 2 2", "closed"],
    "A-RELEASE-RP": ["A-ABORT 2 2", "closed"],
    "unknown": ["A-ABORT 2 1", "closed"],
    "invalid": ["A-ABORT 2 6", "closed"],
    "A-ABORT": ["closed"],  # AA-3
    "A-ASSOCIATE-RJ": ["closed"],  # AE-4
    "A-ASSOCIATE-AC": ["A-RELEASE-RQ"],  # AE-3, and the release that the test asks for
}
STA6 = {
    "A-ASSOCIATE-RQ": ["A-ABORT 2 2", "closed"],  # AA-8
    "A-ASSOCIATE-AC": ["A-ABORT 2 2", "closed"],
    "A-ASSOCIATE-RJ": ["A-ABORT 2 2", "closed"],
    "A-RELEASE-RP": ["A-ABORT 2 2", "closed"],
    "unknown": ["A-ABORT 2 1", "closed"],
    "invalid": ["A-ABORT 2 6", "closed"],
    "A-ABORT": ["closed"],  # AA-3
    "P-DATA-TF": ["P-DATA-TF"],  # DT-2, DT-1
    "A-RELEASE-RQ": ["A-RELEASE-RP", "closed"],  # AR-2, AR-4
}
STA7 = {
    "A-ASSOCIATE-RQ": ["A-ABORT 2 2", "closed"],  # AA-8
    "A-ASSOCIATE-AC": ["A-ABORT 2 2", "closed"],
    "A-ASSOCIATE-RJ": ["A-ABORT 2 2", "closed"],
    "unknown": ["A-ABORT 2 1", "closed"],
    "invalid": ["A-ABORT 2 6", "closed"],
    "A-ABORT": ["closed"],  # AA-3
    "A-RELEASE-RP": ["closed"],  # AR-3
    "P-DATA-TF": ["A-ABORT 0 0", "closed"],  # AR-6; then we run out of patience
    "A-RELEASE-RQ": ["A-RELEASE-RP"],  # AR-8, AR-9
}
STA11 = {
    "A-ASSOCIATE-RQ": ["A-ABORT 2 2", "closed"],  # AA-8
    "A-ASSOCIATE-AC": ["A-ABORT 2 2", "closed"],
    "A-ASSOCIATE-RJ": ["A-ABORT 2 2", "closed"],
    "P-DATA-TF": ["A-ABORT 2 2", "closed"],
    "A-RELEASE-RQ": ["A-ABORT 2 2", "closed"],
    "unknown": ["A-ABORT 2 1", "closed"],
    "invalid": ["A-ABORT 2 6", "closed"],
    "A-ABORT": ["closed"],  # AA-3
    "A-RELEASE-RP": ["closed"],  # AR-3
}
STA10 = STA11 | {
    "A-RELEASE-RP": ["A-RELEASE-RP", "closed"],  # AR-10, AR-4
}
STA13 = {
    "A-ASSOCIATE-RQ": ["A-ABORT 2 2", "closed"],  # AA-7
    "unknown": ["A-ABORT 2 1", "closed"],
    "invalid": ["A-ABORT 2 6", "closed"],
    "A-ASSOCIATE-AC": ["closed"],  # AA-6, and ARTIM
    "A-ASSOCIATE-RJ": ["closed"],
    "P-DATA-TF": ["closed"],
    "A-RELEASE-RQ": ["closed"],
    "A-RELEASE-RP": ["closed"],
    "A-ABORT": ["closed"],  # AA-2
}


def hears(peer: Any, expected: list[str]) -> None:
    """Assert that the peer hears this, one after another."""
    for pdu in expected:
        assert peer.hears() == pdu


@pytest.mark.parametrize("pdu", STA2)
def test_sta2_awaiting_a_request(pdu: str, as_acceptor: Begin) -> None:
    peer = as_acceptor().peer
    peer.send(pdu)
    hears(peer, STA2[pdu])


@pytest.mark.parametrize("pdu", STA5)
def test_sta5_awaiting_the_answer(pdu: str, as_requestor: Begin) -> None:
    ours = as_requestor()
    ours.peer.send(pdu)
    hears(ours.peer, STA5[pdu])
    if pdu == "A-ASSOCIATE-RJ":
        refused = ours.end()
        assert isinstance(refused, AssociationRejected)
        assert (refused.result, refused.source, refused.reason) == (2, 3, 2)
        assert refused.is_transient


@pytest.mark.parametrize("pdu", STA6)
def test_sta6_established(pdu: str, as_acceptor: Begin) -> None:
    ours = as_acceptor()
    ours.peer.associate()
    ours.peer.send(pdu)
    hears(ours.peer, STA6[pdu])
    if STA6[pdu][0].startswith("A-ABORT"):
        assert isinstance(ours.end(), AssociationAborted)


@pytest.mark.parametrize("pdu", STA7)
def test_sta7_awaiting_the_release(pdu: str, as_requestor: Begin) -> None:
    peer = as_requestor().peer
    peer.send("A-ASSOCIATE-AC")
    assert peer.hears() == "A-RELEASE-RQ"
    peer.send(pdu)
    hears(peer, STA7[pdu])


@pytest.mark.parametrize("pdu", STA10)
def test_sta10_collision_as_acceptor(pdu: str, as_acceptor: Begin) -> None:
    peer = as_acceptor(Association.release).peer
    peer.associate()
    assert peer.hears() == "A-RELEASE-RQ"
    peer.send("A-RELEASE-RQ", pdu)
    hears(peer, STA10[pdu])


@pytest.mark.parametrize("pdu", STA11)
def test_sta11_collision_as_requestor(pdu: str, as_requestor: Begin) -> None:
    peer = as_requestor().peer
    peer.send("A-ASSOCIATE-AC")
    assert peer.hears() == "A-RELEASE-RQ"
    peer.send("A-RELEASE-RQ", pdu)
    assert peer.hears() == "A-RELEASE-RP"
    hears(peer, STA11[pdu])


@pytest.mark.parametrize("pdu", STA13)
def test_sta13_awaiting_the_close(pdu: str, as_acceptor: Begin) -> None:
    peer = as_acceptor(answer=LOCAL_LIMIT).peer
    peer.send("A-ASSOCIATE-RQ")
    assert peer.hears() == "A-ASSOCIATE-RJ"
    peer.send(pdu)
    hears(peer, STA13[pdu])


def test_other_version_of_the_protocol(as_acceptor: Begin) -> None:
    """AE-6: the service provider refuses what it cannot take."""
    request = bytearray(PDUS["A-ASSOCIATE-RQ"])
    request[6:8] = b"\x00\x02"
    ours = as_acceptor()
    ours.peer.socket.sendall(request)
    assert ours.peer.receive()[6:] == bytes((0, 1, 2, 2))
    hears(ours.peer, ["closed"])


@pytest.mark.parametrize("state", ["Sta2", "Sta6", "Sta13"])
def test_connection_closed_by_the_peer(state: str, as_acceptor: Begin) -> None:
    ours = as_acceptor(answer=LOCAL_LIMIT) if state == "Sta13" else as_acceptor()
    if state != "Sta2":
        ours.peer.send("A-ASSOCIATE-RQ")
        ours.peer.receive()
    ours.peer.socket.close()
    assert isinstance(ours.end(), AssociationAborted)


def test_artim_expires_without_a_request(as_acceptor: Begin) -> None:
    """Sta2, Evt18, AA-2: closed without a word."""
    ours = as_acceptor()
    hears(ours.peer, ["closed"])
    assert isinstance(ours.end(), AssociationAborted)


def test_local_abort(as_acceptor: Begin) -> None:
    """Sta6, Evt15, AA-1."""
    ours = as_acceptor(Association.abort)
    ours.peer.associate()
    hears(ours.peer, ["A-ABORT 0 0", "closed"])
    assert ours.end() is None
