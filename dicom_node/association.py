"""Associations as pynetdicom runs them, with what an archive needs put in at four places:

who may associate and with what (`Admission`), where a data set goes while it arrives (`Reception`,
which streams it into the store instead of holding it), how a store request is answered
(`ArchiveAssociation`), and how bytes are read (`BoundedSocket`).
"""

import logging
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.uid import UID
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from dicom_node.callers import Refusal
from dicom_node.incoming import SUCCESS, Announcement, IncomingObject
from dicom_node.negotiation import narrow
from pacs.ingest import Ingest, Source

log = logging.getLogger(__name__)

MAX_PDU_BYTES = 256 << 10
# A-ASSOCIATE-RQ with 128 contexts of all transfer syntaxes is 200 KB; some peers pay no attention
# to the maximum length that we state.
MAX_PDU_BYTES_TOLERATED = 1 << 20
MAX_COMMAND_BYTES = 64 << 10
MAX_IDENTIFIER_BYTES = 1 << 20
MAX_UNANSWERED_REQUESTS = 16
RESTED_SECONDS = 1.0
LINGER_SECONDS = 0.5

_C_STORE_RQ = 0x0001
_NO_DATA_SET = 0x0101
_INVALID_PDU = "Evt19"  # PS3.8 9.2.2: unrecognised or invalid PDU, answered by A-ABORT


@dataclass(frozen=True, slots=True)
class Service:
    """What associations of one node share."""

    ingest: Ingest
    refusal: Callable[[str, str], Refusal | None]
    """Why an AE title calling from an IP address is refused; None: it may associate."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE request whose data set has arrived, in the queue of its association."""

    message_id: int
    incoming: IncomingObject


class BoundedSocket(AssociationSocket):  # type: ignore[misc]
    """Reads a PDU straight into one buffer, and none that is longer than we bear."""

    def __init__(self, assoc: Association, client: socket.socket, timeout: float) -> None:
        super().__init__(assoc, client_socket=client)
        # Or a peer that falls silent in the middle of a PDU holds its threads for ever.
        client.settimeout(timeout)

    def recv(self, nr_bytes: int) -> bytearray:
        """The next bytes; fewer where the peer has closed, or announced a longer PDU than we
        bear. Raises OSError where the connection broke or the peer fell silent."""
        if nr_bytes > MAX_PDU_BYTES_TOLERATED:
            log.warning(
                "connection from %s closed: it announced a PDU of %d bytes",
                self.assoc.requestor.address,
                nr_bytes,
            )
            self._give_up()
            return bytearray()
        received = bytearray(nr_bytes)
        rest = memoryview(received)
        while rest:
            try:
                count = self.socket.recv_into(rest)
            except OSError:
                self._give_up()
                raise
            if not count:
                self._give_up()
                break
            rest = rest[count:]
        missing = len(rest)
        rest.release()
        return received[: nr_bytes - missing] if missing else received

    @property
    def ready(self) -> bool:
        """Whether there is something to read. Once we only wait for the peer to close (PS3.8
        9.2, Sta13) there never is: what still comes is dropped, as unread bytes would make the
        system reset the connection and the peer lose our last word."""
        if self.assoc.dul.state_machine.current_state != "Sta13":
            return bool(super().ready)
        deadline = time.monotonic() + LINGER_SECONDS
        while self.socket and (left := deadline - time.monotonic()) > 0:
            try:
                if not select.select([self.socket], [], [], left)[0] or not self.socket.recv(65536):
                    break
            except (OSError, ValueError):  # reset by the peer, closed by ourselves
                break
        return False

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._wake_association()

    def _give_up(self) -> None:
        self.assoc.disconnect()
        self._wake_association()

    def _wake_association(self) -> None:
        """Its thread waits for an A-ASSOCIATE-RQ until the ACSE timeout; connections that end
        before, such as those of port scanners and balancers, must not add up."""
        if not self.assoc.has_begun:
            self.assoc.dul.to_user_queue.put(None)


class Admission(ACSE):  # type: ignore[misc]
    """Refuses whom we do not know (PS3.8 9.3.4), then negotiates what the peer proposed."""

    def negotiate_association(self) -> None:
        """Answer the A-ASSOCIATE request that the association has received."""
        request = self.assoc.requestor.primitive
        aet, address = request.calling_ae_title.strip(), self.assoc.requestor.address
        refusal = self.assoc.service.refusal(aet, address)
        if refusal is not None:
            log.warning("association from %s at %s refused: %s", aet, address, refusal.reason)
            self.send_reject(refusal.result, refusal.source, refusal.diagnostic)
            self.assoc.kill()
            return
        self.acceptor.supported_contexts = narrow(request.presentation_context_definition_list)
        super().negotiate_association()
        if self.assoc.is_rejected:
            log.warning(
                "association from %s at %s refused: it called %s, or there are too many",
                aet,
                address,
                request.called_ae_title.strip(),
            )


class Reception(DIMSEServiceProvider):  # type: ignore[misc]
    """Puts messages together (PS3.7 6.3, PS3.8 E); those that store never lie in memory whole."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self._command = bytearray()
        self._command_fragments: list[tuple[int, bytes]] = []
        self._identifier_bytes: int | None = None
        self._storing: StoreRequest | None = None
        self._storing_context = 0
        self.last_activity = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether no message is on its way in or waits for its answer."""
        return self._storing is None and not self._command and self.msg_queue.empty()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one P-DATA. What breaks the protocol ends the association."""
        self.last_activity = time.monotonic()
        try:
            for context_id, fragment in primitive.presentation_data_value_list:
                self._receive(context_id, fragment)
        except Exception as failure:  # noqa: BLE001 - raising here would kill the thread, silently
            log.warning(
                "association with %s at %s aborted: %s",
                self.assoc.requestor.ae_title,
                self.assoc.requestor.address,
                failure,
            )
            self.dul.event_queue.put(_INVALID_PDU)

    def abandon(self) -> None:
        """The association is over: drop what has not been answered."""
        if self._storing is not None:
            self._storing.incoming.abandon()
        while not self.msg_queue.empty():
            _, message = self.msg_queue.get_nowait()
            if isinstance(message, StoreRequest):
                message.incoming.abandon()

    def _receive(self, context_id: int, fragment: bytes) -> None:
        if not fragment:
            raise ProtocolError("a fragment without its control header")
        is_command, is_last = fragment[0] & 1, fragment[0] & 2
        if self._identifier_bytes is not None:
            self._forward_identifier(context_id, fragment)
        elif is_command and self._storing is None:
            self._receive_command(context_id, fragment)
            if is_last:
                self._begin_message(context_id)
        elif not is_command and self._storing is not None:
            self._storing.incoming.write(memoryview(fragment)[1:])
            if is_last:
                self._put(self._storing_context, self._storing)
                self._storing = None
        else:
            raise ProtocolError("command and data set fragments are out of order")

    def _receive_command(self, context_id: int, fragment: bytes) -> None:
        self._command += fragment[1:]
        self._command_fragments.append((context_id, fragment))
        if len(self._command) > MAX_COMMAND_BYTES:
            raise ProtocolError(f"a command set of over {MAX_COMMAND_BYTES} bytes")

    def _begin_message(self, context_id: int) -> None:
        command = decode(BytesIO(self._command), True, True)
        fragments, self._command_fragments = self._command_fragments, []
        self._command = bytearray()
        if command.get("CommandField") == _C_STORE_RQ:
            self._begin_storing(context_id, command)
            return
        for context, fragment in fragments:
            self._forward(context, fragment)
        if command.get("CommandDataSetType") != _NO_DATA_SET:
            self._identifier_bytes = 0

    def _begin_storing(self, context_id: int, command: Any) -> None:
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            raise ProtocolError(f"a store request in context {context_id}, which is not accepted")
        if command.get("CommandDataSetType") == _NO_DATA_SET:
            raise ProtocolError("a store request without a data set")
        announcement = Announcement(
            str(command.get("AffectedSOPClassUID") or ""),
            str(command.get("AffectedSOPInstanceUID") or ""),
            str(context.transfer_syntax[0]),
        )
        source = Source("dimse", self.assoc.requestor.ae_title, self.assoc.requestor.address)
        self._storing_context = context_id
        self._storing = StoreRequest(
            int(command.MessageID),
            IncomingObject(self.assoc.service.ingest, source, announcement),
        )

    def _forward_identifier(self, context_id: int, fragment: bytes) -> None:
        assert self._identifier_bytes is not None  # noqa: S101 - only called while one is coming
        self._identifier_bytes += len(fragment)
        if self._identifier_bytes > MAX_IDENTIFIER_BYTES:
            raise ProtocolError(f"an identifier of over {MAX_IDENTIFIER_BYTES} bytes")
        if not fragment[0] & 1 and fragment[0] & 2:
            self._identifier_bytes = None
        self._forward(context_id, fragment)

    def _forward(self, context_id: int, fragment: bytes) -> None:
        part = P_DATA()
        part.presentation_data_value_list.append((context_id, fragment))
        super().receive_primitive(part)

    def _put(self, context_id: int, request: StoreRequest) -> None:
        if self.msg_queue.qsize() >= MAX_UNANSWERED_REQUESTS:
            request.incoming.abandon()
            raise ProtocolError(f"over {MAX_UNANSWERED_REQUESTS} requests without waiting")
        self.msg_queue.put((context_id, request))


class ProtocolError(Exception):
    """The peer does not keep to PS3.7 or PS3.8; the association cannot go on."""


class ArchiveAssociation(Association):  # type: ignore[misc]
    """One association with us as the acceptor."""

    def __init__(self, ae: Any, mode: str, service: Service) -> None:
        super().__init__(ae, mode)
        self.service = service
        self.acse = Admission(self)
        self.dimse = Reception(self)
        self._is_serving = False
        self._stored = self._refused = 0

    def run_reactor(self) -> None:
        """Live through the association; leave nothing half received behind."""
        try:
            super().run_reactor()
        finally:
            self.dul.join(self.network_timeout)
            self.dimse.abandon()
            if self._stored or self._refused:
                log.info(
                    "%s at %s: %d objects stored, %d refused",
                    self.requestor.ae_title,
                    self.requestor.address,
                    self._stored,
                    self._refused,
                )

    @property
    def has_begun(self) -> bool:
        """Whether the peer has asked for an association at all."""
        return self.requestor.primitive is not None

    def has_rested(self) -> bool:
        """Whether nothing has been asked, and nothing is on its way, for a moment."""
        rest = time.monotonic() - self.dimse.last_activity
        return self.dimse.is_idle and not self._is_serving and rest > RESTED_SECONDS

    def disconnect(self) -> None:
        """Close the connection under an association whose peer has fallen silent."""
        connection = self.dul.socket.socket if self.dul.socket else None
        if connection is not None:
            with suppress(OSError):  # closed in the meantime
                connection.shutdown(socket.SHUT_RDWR)

    def _serve_request(self, msg: Any, context_id: int) -> None:
        if not isinstance(msg, StoreRequest):
            super()._serve_request(msg, context_id)
            return
        self._is_serving = True
        try:
            self._store(msg, context_id)
        finally:
            self._is_serving = False
            self.dimse.last_activity = time.monotonic()

    def _store(self, request: StoreRequest, context_id: int) -> None:
        announced = request.incoming.announcement
        answer = request.incoming.finish()
        if answer.status == SUCCESS:
            self._stored += 1
        else:
            self._refused += 1
        response = C_STORE()
        response.MessageIDBeingRespondedTo = request.message_id
        response.AffectedSOPClassUID = _if_possible(announced.sop_class_uid)
        response.AffectedSOPInstanceUID = _if_possible(announced.sop_instance_uid)
        response.Status = answer.status
        response.ErrorComment = answer.comment[:64] or None
        self.dimse.send_msg(response, context_id)


def _if_possible(uid: str) -> UID | None:
    """A UID of the request, to be said again in its response; None where it is none."""
    return UID(uid) if 0 < len(uid) <= 64 and uid.isascii() else None
