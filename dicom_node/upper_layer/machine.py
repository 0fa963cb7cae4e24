"""The upper layer's state machine (PS3.8 9.2): what comes becomes events, events cause actions.

Each action is a method that does what tables 9-6 to 9-9 say. Indications are no callbacks: whoever
has fired an event, or waited for one, looks at the state that it has led to.
"""

import struct
import threading
from collections.abc import Callable, Sequence

from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP, A_RELEASE_RQ

from dicom_node.errors import AssociationAborted, ProtocolError
from dicom_node.upper_layer.connection import (
    Buffer,
    Connection,
    ConnectionEnded,
    TransportTrouble,
)
from dicom_node.upper_layer.states import NEXT_STATES, TRANSITIONS, Event, State

# PDU types (PS3.8 9.3.1)
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF = 0x01, 0x02, 0x03, 0x04
RELEASE_RQ, RELEASE_RP, ABORT = 0x05, 0x06, 0x07

PDU_HEADER = struct.Struct(">BxI")
MAX_NEGOTIATION_BYTES = 1 << 20
"""128 contexts with all transfer syntaxes take 200 KB."""
MAX_DATA_BYTES = 64 << 20
"""Some peers pay no attention to the maximum length that we state; they are borne so far."""

# A-ABORT (PS3.8 9.3.8)
SERVICE_USER, SERVICE_PROVIDER = 0x00, 0x02
NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0x00, 0x01, 0x02, 0x06

_EVENTS = {
    ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    ASSOCIATE_AC: Event.ASSOCIATE_AC,
    ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    P_DATA_TF: Event.DATA,
    RELEASE_RQ: Event.RELEASE_RQ,
    RELEASE_RP: Event.RELEASE_RP,
    ABORT: Event.ABORT,
}
_SHORT_PDU_BYTES = 4  # what follows the header of A-ASSOCIATE-RJ, A-RELEASE and A-ABORT
_TAKES_DATA = (State.ESTABLISHED, State.AWAITING_RELEASE_ANSWER)


class Machine:
    """The upper layer of one association, on one transport connection."""

    def __init__(
        self,
        connection: Connection,
        *,
        is_requestor: bool,
        screen: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`screen`: the A-ASSOCIATE-RJ to an A-ASSOCIATE-RQ that the service provider cannot take
        at all; empty where it can."""
        self.connection = connection
        self.is_requestor = is_requestor
        self._screen = screen
        self.state = State.IDLE
        self.pdu = b""
        """The last PDU that came, whole, unless it was P-DATA."""
        self.data_bytes = 0
        """The length of the P-DATA-TF PDU that comes now; its bytes are for the taking."""
        self.why = ""
        """Why the association is over, or about to be."""
        self._outgoing = b""
        self._fault = (NOT_SPECIFIED, "")
        self._in_frame = True  # whether what comes next is the header of a PDU
        self.sending = threading.RLock()
        """Held while a message is sent, so that its fragments stay together."""

    @property
    def is_over(self) -> bool:
        """Whether nothing but the end of the transport connection is to come."""
        return self.state in (State.IDLE, State.AWAITING_CLOSE)

    def next_event(self) -> Event:
        """Wait for a PDU, or for what happens instead, and do what the table says.

        P-DATA stays on the connection, `data_bytes` of it, where the state lets it be taken.
        """
        try:
            kind, length = self.connection.unpack(PDU_HEADER)
            if kind == P_DATA_TF and self.state is State.ESTABLISHED and length <= MAX_DATA_BYTES:
                self.data_bytes = length  # Evt10, DT-2: the one case that is not looked up
                return Event.DATA
            event = self._recognize(kind, length)
        except TransportTrouble as trouble:
            return self.lose(trouble)
        self.fire(event)
        return event

    def fire(self, event: Event, pdu: bytes = b"") -> None:
        """Let an event happen; `pdu` is what its action sends, where that is ours to say."""
        action = TRANSITIONS[event, self.state]
        self.state = NEXT_STATES[action][0]
        self._outgoing = pdu
        _ACTIONS[action](self)

    def lose(self, trouble: TransportTrouble) -> Event:
        """The transport connection has failed us; returns what that is as an event."""
        self.why = self.why or str(trouble)
        self._in_frame = False
        if isinstance(trouble, ConnectionEnded):
            event = Event.TRANSPORT_CLOSED
        elif (Event.ARTIM_EXPIRED, self.state) in TRANSITIONS:
            event = Event.ARTIM_EXPIRED
        else:  # no timer of the standard's: the service user has had enough
            event = Event.ABORT_REQUEST
        if (event, self.state) in TRANSITIONS:
            self.fire(event)
        return event

    def refuse(self, error: ProtocolError) -> None:
        """The peer has sent something invalid: Evt19."""
        self._blame(error.provider_reason, str(error))
        self._in_frame = False
        if (Event.INVALID_PDU, self.state) in TRANSITIONS:
            self.fire(Event.INVALID_PDU)

    def send_data(self, parts: Sequence[Buffer]) -> None:
        """Send whole P-DATA-TF PDUs (Evt9), holding `sending`. Raises AssociationAborted."""
        if (Event.DATA_REQUEST, self.state) not in TRANSITIONS:
            raise AssociationAborted(self.why or "the association is over")
        try:
            self.connection.send(parts)  # DT-1 and AR-7; neither changes the state
        except TransportTrouble:
            self.connection.disconnect()
            raise

    def pass_over_data(self) -> None:
        """Drop what comes of a P-DATA-TF PDU that nobody wants any more."""
        try:
            self.connection.skip(self.data_bytes)
        except TransportTrouble as trouble:
            self.lose(trouble)
        self.data_bytes = 0

    def abort(self, why: str) -> None:
        """The service user has had enough: Evt15, where it can still happen."""
        if (Event.ABORT_REQUEST, self.state) in TRANSITIONS:
            self.why = self.why or why
            self._in_frame = False  # who has had enough may be in the middle of a PDU
            self.fire(Event.ABORT_REQUEST)

    def finish(self) -> None:
        """Live through Sta13 to the end of the connection, as ARTIM allows, and close it."""
        while self.state is State.AWAITING_CLOSE:
            if self._in_frame:
                self.next_event()
                continue
            try:
                self.connection.skip(MAX_DATA_BYTES)
            except TransportTrouble as trouble:
                self.lose(trouble)
        self.connection.close()

    def _recognize(self, kind: int, length: int) -> Event:
        event = _EVENTS.get(kind)
        if event is None:
            return self._invalid(UNRECOGNIZED_PDU, f"a PDU of unknown type {kind:02X}H")
        if not _can_be(event, length):
            return self._invalid(
                INVALID_PARAMETER, f"a PDU of type {kind:02X}H, {length} bytes long"
            )
        self._blame(UNEXPECTED_PDU, f"a PDU of type {kind:02X}H in state Sta{self.state:d}")
        if event is not Event.DATA:
            self.pdu = PDU_HEADER.pack(kind, length) + self.connection.read(length)
        elif self.state in _TAKES_DATA:
            self.data_bytes = length
        elif self.state is State.AWAITING_CLOSE:
            self.connection.skip(length)
        else:
            self._in_frame = False
        return event

    def _invalid(self, reason: int, why: str) -> Event:
        self._blame(reason, why)
        self._in_frame = False
        return Event.INVALID_PDU

    def _blame(self, reason: int, why: str) -> None:
        """Remember what to say should the next action abort."""
        self._fault = (reason, why)

    def _send(self, pdu: bytes) -> None:
        """Send a PDU that is not P-DATA. Whether it gets there shows in what comes, or not."""
        try:
            if not self.sending.acquire(timeout=self.connection.timeouts.close):
                self.connection.disconnect()
                return
            try:
                self.connection.send([pdu])
            finally:
                self.sending.release()
        except TransportTrouble:
            self.connection.disconnect()

    def _send_abort(self, source: int, reason: int) -> None:
        pdu = A_ABORT_RQ()
        pdu.source, pdu.reason_diagnostic = source, reason
        self._send(pdu.encode())

    def _start_artim(self, seconds: float) -> None:
        self.connection.expect_within(seconds)

    # Association establishment, PS3.8 table 9-6

    def _ae_1(self) -> None:
        """Issue TRANSPORT CONNECT request: the connection has been given to us."""

    def _ae_2(self) -> None:
        """Send A-ASSOCIATE-RQ."""
        self._start_artim(self.connection.timeouts.associate)
        self._send(self._outgoing)

    def _ae_3(self) -> None:
        """Issue A-ASSOCIATE confirmation (accept)."""
        self.connection.expect_within(None)

    def _ae_4(self) -> None:
        """Issue A-ASSOCIATE confirmation (reject) and close the transport connection."""
        self.connection.close()

    def _ae_5(self) -> None:
        """Issue transport connection response; start ARTIM."""
        self._start_artim(self.connection.timeouts.associate)

    def _ae_6(self) -> None:
        """Stop ARTIM; issue A-ASSOCIATE indication, or, for what the service provider cannot
        take, send A-ASSOCIATE-RJ and start ARTIM."""
        self.connection.expect_within(None)
        rejection = self._screen(self.pdu) if self._screen is not None else b""
        if rejection:
            self.state = State.AWAITING_CLOSE
            self._send(rejection)
            self._start_artim(self.connection.timeouts.close)

    def _ae_7(self) -> None:
        """Send A-ASSOCIATE-AC."""
        self._send(self._outgoing)

    def _ae_8(self) -> None:
        """Send A-ASSOCIATE-RJ and start ARTIM."""
        self._send(self._outgoing)
        self._start_artim(self.connection.timeouts.close)

    # Data transfer, table 9-7, and the same while a release is under way

    def _indicate_data(self) -> None:
        """DT-2, AR-6: issue P-DATA indication; it is there for the taking."""

    # Association release, table 9-8

    def _ar_1(self) -> None:
        """Send A-RELEASE-RQ."""
        self._send(A_RELEASE_RQ().encode())
        self._start_artim(self.connection.timeouts.release)

    def _indicate_release(self) -> None:
        """AR-2: issue A-RELEASE indication."""

    def _ar_3(self) -> None:
        """Issue A-RELEASE confirmation and close the transport connection."""
        self.connection.close()

    def _ar_4(self) -> None:
        """Send A-RELEASE-RP and start ARTIM."""
        self._send(A_RELEASE_RP().encode())
        self._start_artim(self.connection.timeouts.close)

    def _ar_5(self) -> None:
        """Stop ARTIM."""
        self.connection.close()

    def _ar_8(self) -> None:
        """Issue A-RELEASE indication (collision): who has asked for the association goes first."""
        collided = NEXT_STATES["AR-8"]
        self.state = collided[0] if self.is_requestor else collided[1]

    def _ar_9(self) -> None:
        """Send A-RELEASE-RP."""
        self._send(A_RELEASE_RP().encode())

    def _confirm_release(self) -> None:
        """AR-10: issue A-RELEASE confirmation."""

    # Association abort, table 9-9

    def _aa_1(self) -> None:
        """Send A-ABORT (service-user source) and start ARTIM."""
        self.why = self.why or self._fault[1]
        self._send_abort(SERVICE_USER, NOT_SPECIFIED)
        self._start_artim(self.connection.timeouts.close)

    def _aa_2(self) -> None:
        """Stop ARTIM and close the transport connection."""
        self.connection.close()

    def _aa_3(self) -> None:
        """Issue A-ABORT or A-P-ABORT indication, as the peer says, and close."""
        source, reason = self.pdu[8], self.pdu[9]
        self.why = f"the peer has aborted (source {source}, reason {reason})"
        self.connection.close()

    def _aa_4(self) -> None:
        """Issue A-P-ABORT indication."""
        self.connection.close()

    def _aa_5(self) -> None:
        """Stop ARTIM."""
        self.connection.close()

    def _aa_6(self) -> None:
        """Ignore the PDU."""

    def _aa_7(self) -> None:
        """Send A-ABORT."""
        self._send_abort(SERVICE_PROVIDER, self._fault[0])

    def _aa_8(self) -> None:
        """Send A-ABORT (service-provider source), issue A-P-ABORT indication, start ARTIM."""
        self.why = self.why or self._fault[1]
        self._send_abort(SERVICE_PROVIDER, self._fault[0])
        self._start_artim(self.connection.timeouts.close)


def _can_be(event: Event, length: int) -> bool:
    if event in (Event.ASSOCIATE_RQ, Event.ASSOCIATE_AC):
        return 68 <= length <= MAX_NEGOTIATION_BYTES
    return length <= MAX_DATA_BYTES if event is Event.DATA else length == _SHORT_PDU_BYTES


_ACTIONS: dict[str, Callable[[Machine], None]] = {
    "AE-1": Machine._ae_1, "AE-2": Machine._ae_2, "AE-3": Machine._ae_3, "AE-4": Machine._ae_4,
    "AE-5": Machine._ae_5, "AE-6": Machine._ae_6, "AE-7": Machine._ae_7, "AE-8": Machine._ae_8,
    "DT-2": Machine._indicate_data,
    "AR-1": Machine._ar_1, "AR-2": Machine._indicate_release, "AR-3": Machine._ar_3,
    "AR-4": Machine._ar_4, "AR-5": Machine._ar_5, "AR-6": Machine._indicate_data,
    "AR-8": Machine._ar_8, "AR-9": Machine._ar_9, "AR-10": Machine._confirm_release,
    "AA-1": Machine._aa_1, "AA-2": Machine._aa_2, "AA-3": Machine._aa_3, "AA-4": Machine._aa_4,
    "AA-5": Machine._aa_5, "AA-6": Machine._aa_6, "AA-7": Machine._aa_7, "AA-8": Machine._aa_8,
}  # fmt: skip
