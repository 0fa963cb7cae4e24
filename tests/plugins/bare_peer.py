"""Bare peers on real sockets: they say exactly the PDUs that a test wants, right or wrong."""

import socket
import struct
import threading
from dataclasses import dataclass, field

from dicom_node.dimse import C_ECHO_RQ, SUCCESS, Command, response_to
from dicom_node.upper_layer.associate_pdus import (
    write_acceptance,
    write_rejection,
    write_request,
)
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.fragments import message_pdus
from dicom_node.upper_layer.proposal import (
    LOCAL_LIMIT,
    Acceptance,
    AnsweredContext,
    Proposal,
    ProposedContext,
)

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
PROPOSAL = Proposal("PEER", "US", (ProposedContext(VERIFICATION, (IMPLICIT,), 1),))
ACCEPTANCE = Acceptance((AnsweredContext(1, 0, IMPLICIT),))

ECHO = b"".join(
    bytes(part)
    for parts in message_pdus(
        1,
        Command(command_field=C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION),
        (),
        0,
    )
    for part in parts
)
PDUS = {
    "A-ASSOCIATE-RQ": write_request(PROPOSAL),
    "A-ASSOCIATE-AC": write_acceptance(PROPOSAL, ACCEPTANCE),
    "A-ASSOCIATE-RJ": write_rejection(LOCAL_LIMIT),
    "P-DATA-TF": ECHO,
    "A-RELEASE-RQ": bytes.fromhex("05000000000400000000"),
    "A-RELEASE-RP": bytes.fromhex("06000000000400000000"),
    "A-ABORT": bytes.fromhex("07000000000400000200"),
    "unknown": bytes.fromhex("08000000000400000000"),
    "invalid": bytes.fromhex("05000000000800000000"),
}


@dataclass
class Peer:
    """The other end of a connection, byte by byte."""

    socket: socket.socket

    def send(self, *names: str) -> None:
        """Send PDUs by name."""
        self.socket.sendall(b"".join(PDUS[name] for name in names))

    def receive(self) -> bytes:
        """The next PDU, whole; empty once the connection is closed."""
        header = self._read(6)
        if len(header) < 6:
            return b""
        return header + self._read(struct.unpack(">I", header[2:])[0])

    def hears(self) -> str:
        """The next PDU in words: its type, for an A-ABORT with source and reason."""
        pdu = self.receive()
        if not pdu:
            return "closed"
        if pdu[0] == 7:
            return f"A-ABORT {pdu[8]} {pdu[9]}"
        return list(PDUS)[pdu[0] - 1]

    def associate(self) -> None:
        """Ask for an association, and get it."""
        self.send("A-ASSOCIATE-RQ")
        assert self.hears() == "A-ASSOCIATE-AC"

    def _read(self, size: int) -> bytes:
        whole = b""
        while len(whole) < size:
            try:
                part = self.socket.recv(size - len(whole))
            except ConnectionResetError:
                part = b""
            if not part:
                break
            whole += part
        return whole


@dataclass
class Ours:
    """Our side of a connection, living on a thread of its own."""

    peer: Peer
    thread: threading.Thread
    ended: list[Exception | None] = field(default_factory=list)

    def end(self) -> Exception | None:
        """How it ended; None: as it should."""
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.ended[0]


def echo(association: Association) -> None:
    """Answer whatever is asked by success, until the release."""
    while (message := association.receive()) is not None:
        association.stream(message, lambda _part: None)
        association.send(message.context.id, response_to(message.command, SUCCESS))
