"""An association as its services use it: DIMSE messages in and out (PS3.7 6.3, PS3.8 annex E)."""

import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dicom_node.dimse import C_CANCEL_RQ, C_STORE_RQ, MAX_COMMAND_BYTES, Command, decode
from dicom_node.errors import AssociationAborted, ProtocolError
from dicom_node.upper_layer.connection import Buffer, TransportTrouble
from dicom_node.upper_layer.fragments import message_pdus, repeated_message_pdus
from dicom_node.upper_layer.machine import PDU_HEADER, Machine
from dicom_node.upper_layer.proposal import Window
from dicom_node.upper_layer.states import TRANSITIONS, Event, State

MAX_IDENTIFIER_BYTES = 1 << 20
MOST_REMEMBERED_CANCELS = 64
MOST_HELD_MESSAGES = 16

# Length of the item, presentation context ID, message control header (PS3.8 9.3.5.1, E.2)
_FRAGMENT = struct.Struct(">IBB")
_COMMAND, _LAST = 0x01, 0x02
HEADER_BYTES = PDU_HEADER.size + _FRAGMENT.size


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context, after role selection (PS3.7 D.3.3.4)."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    remote_is_scu: bool
    remote_is_scp: bool


@dataclass(frozen=True, slots=True)
class Remote:
    """Who is on the other side."""

    aet: str
    called_aet: str
    """The AE title that was called: ours where we have accepted, the peer's where we have asked."""
    address: str
    port: int
    certificate_name: str | None = None
    """Common name in the peer's TLS certificate."""
    user: str | None = None
    """Who has signed in by user identity."""

    def __str__(self) -> str:
        return f"{self.aet} at {self.address}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What has been agreed upon besides contexts."""

    max_pdu_bytes: int
    """The longest PDU, without its header, that the peer takes; 0: any."""
    window: Window
    """Operations that may be under way at once (PS3.7 D.3.3.3)."""
    extended: Mapping[str, bytes]
    """Service class application information by SOP class, as the acceptor has answered."""


@dataclass(slots=True)
class Message:
    """A message whose command set has come; its data set, if it has one, is on its way."""

    context: Context
    command: Command
    unread: bool
    """Whether its data set has still to be taken."""


class Association:
    """An established association, of either side. One thread receives, any may send."""

    def __init__(
        self, machine: Machine, remote: Remote, contexts: Mapping[int, Context], terms: Terms
    ) -> None:
        self.remote = remote
        self.contexts = contexts
        self.terms = terms
        self.before_release: Callable[[], object] | None = None
        """Called when the peer asks for the release, before it is granted."""
        self.waiting_since: float | None = None
        """Since when (time.monotonic) the peer has asked nothing; None: something is under way."""
        self._machine = machine
        self._connection = machine.connection
        self._fragment_bytes = 0  # still to come of the fragment that is being taken
        self._is_last = False
        self._coming: Message | None = None  # the message whose data set is on its way
        self._held: deque[Message] = deque()
        self._cancelled: deque[int] = deque(maxlen=MOST_REMEMBERED_CANCELS)
        self._message_id = 0

    @property
    def is_encrypted(self) -> bool:
        """Whether it runs over TLS."""
        return self._connection.is_tls

    # -- receiving

    def receive(self) -> Message | None:
        """The next message but C-CANCEL-RQ, of which `cancelled` tells; None once the peer has
        released. What has not been taken of the last data set is passed over.

        Raises AssociationAborted.
        """
        if self._held:
            return self._held.popleft()
        while self._machine.state is not State.AWAITING_LOCAL_RELEASE_ANSWER:
            message = self._next_message()
            if message is not None and not self._is_cancel(message):
                return message
        self._grant_release()
        return None

    def stream(self, message: Message, sink: Callable[[memoryview], object]) -> int:
        """Hand on its data set as it arrives; returns its length in bytes.

        What `sink` gets is valid during the call only. Raises AssociationAborted, and what `sink`
        raises; the rest of the data set is then passed over by `receive`.
        """
        if not message.unread or message is not self._coming:
            return 0
        total, take = 0, self._connection.take
        try:
            while True:
                then = 0 if self._is_last else HEADER_BYTES
                while self._fragment_bytes:
                    part = take(self._fragment_bytes, then)
                    self._fragment_bytes -= len(part)
                    total += len(part)
                    sink(part)
                if self._is_last:
                    break
                self._next_data_fragment(message)
        except TransportTrouble as trouble:
            raise self._lost(trouble) from trouble
        message.unread = False
        self._coming = None
        return total

    def identifier(self, message: Message, limit: int = MAX_IDENTIFIER_BYTES) -> bytes:
        """Its whole data set. Raises AssociationAborted, also where it is longer than `limit`."""
        whole = bytearray()

        def keep(part: memoryview) -> None:
            if len(whole) + len(part) > limit:
                raise self._refused(ProtocolError(f"an identifier of over {limit} bytes"))
            whole.extend(part)

        self.stream(message, keep)
        return bytes(whole)

    def cancelled(self, message_id: int) -> bool:
        """Whether a C-CANCEL-RQ for this message has come, or the peer asks for the release.

        Waits for nothing but the rest of a message that has begun to come. Other messages are
        held for `receive`; behind one with a data set nothing is looked for. Raises
        AssociationAborted.
        """
        while (
            self._coming is None
            and len(self._held) < MOST_HELD_MESSAGES
            and self._machine.state is State.ESTABLISHED
            and self._connection.is_readable()
        ):
            message = self._next_message()
            if message is not None and not self._is_cancel(message):
                self._held.append(message)
        return message_id in self._cancelled or self._machine.state is not State.ESTABLISHED

    # -- sending

    def send(self, context_id: int, command: Command, data: Iterable[Buffer] = ()) -> None:
        """Send a message; `data` is its data set in parts of any length, which may be made while
        it is sent, and must stay as they are until this returns. Of any thread.

        Sets `has_data_set` of the command. Raises AssociationAborted.
        """
        with self._machine.sending:
            for parts in message_pdus(context_id, command, data, self.terms.max_pdu_bytes):
                self._machine.send_data(parts)

    def send_each(self, context_id: int, command: Command, data_sets: Iterable[bytes]) -> None:
        """Send the same command set with one data set after another, many messages in one write.

        Of any thread. Raises AssociationAborted.
        """
        limit = self.terms.max_pdu_bytes
        with self._machine.sending:
            for parts in repeated_message_pdus(context_id, command, data_sets, limit):
                self._machine.send_data(parts)

    def next_message_id(self) -> int:
        """A message ID for a request of ours, other than those under way (PS3.7 E.1)."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    # -- ending

    def release(self) -> None:
        """Ask for the release and wait until it is over, one way or another (PS3.8 7.2)."""
        machine = self._machine
        if machine.state is State.ESTABLISHED:
            machine.fire(Event.RELEASE_REQUEST)
        while not machine.is_over:
            if (Event.RELEASE_RESPONSE, machine.state) in TRANSITIONS:
                machine.fire(Event.RELEASE_RESPONSE)
            elif machine.next_event() is Event.DATA:
                machine.pass_over_data()
        machine.finish()

    def abort(self, why: str = "we have aborted") -> None:
        """A-ABORT, unless the association is over already (PS3.8 7.3); closes the connection."""
        self._machine.abort(why)
        self._machine.finish()

    def interrupt(self) -> None:
        """Make the thread that receives abort the association. Of any thread."""
        self._connection.interrupt()

    def disconnect(self) -> None:
        """Break the connection under whoever uses it. Of any thread."""
        self._connection.disconnect()

    # -- messages and their fragments

    def _next_message(self) -> Message | None:
        """The next message's command set; None: the peer asks for the release."""
        if self._coming is not None:
            self.stream(self._coming, _nowhere)
        self._connection.begin()
        self.waiting_since = time.monotonic()
        try:
            return self._read_command()
        except TransportTrouble as trouble:
            raise self._lost(trouble) from trouble
        except ProtocolError as error:
            raise self._refused(error) from error
        finally:
            self.waiting_since = None

    def _read_command(self) -> Message | None:
        opened = self._next_fragment()
        if opened is None:
            return None
        self.waiting_since = None
        context_id, command = opened[0], bytearray()
        while True:
            if opened != (context_id, True):
                raise ProtocolError("a command set is missing, or does not go on")
            if len(command) + self._fragment_bytes > MAX_COMMAND_BYTES:
                raise ProtocolError(f"a command set of over {MAX_COMMAND_BYTES} bytes")
            command += self._connection.read(self._fragment_bytes)
            self._fragment_bytes = 0
            if self._is_last:
                return self._message(context_id, command)
            opened = self._next_fragment()

    def _message(self, context_id: int, encoded: bytearray) -> Message:
        context = self.contexts.get(context_id)
        if context is None:
            raise ProtocolError(f"a message in context {context_id}, which is not accepted")
        command = decode(encoded)
        message = Message(context, command, command.has_data_set)
        if command.has_data_set:
            self._coming = message
            self._is_last = False
            if command.command_field == C_STORE_RQ:
                self._connection.enlarge()
        return message

    def _next_data_fragment(self, message: Message) -> None:
        try:
            opened = self._next_fragment()
            if opened != (message.context.id, False):
                raise ProtocolError("something else in the middle of a data set")
        except ProtocolError as error:
            raise self._refused(error) from error

    def _next_fragment(self) -> tuple[int, bool] | None:
        """Go to the next fragment: its context ID, and whether it is of a command set.

        None: the peer asks for the release instead.
        """
        machine = self._machine
        if not machine.data_bytes:
            event = machine.next_event()
            if event is Event.RELEASE_RQ and not machine.is_over:
                return None
            if event is not Event.DATA or machine.is_over:
                raise AssociationAborted(machine.why)
        if machine.data_bytes < _FRAGMENT.size:
            raise ProtocolError("a P-DATA-TF PDU that ends before its fragment begins")
        length, context_id, control = self._connection.unpack(_FRAGMENT)
        if length < 2 or length + 4 > machine.data_bytes:
            raise ProtocolError(f"a fragment of {length} bytes, which its PDU does not hold")
        machine.data_bytes -= length + 4
        self._fragment_bytes = length - 2
        self._is_last = bool(control & _LAST)
        return context_id, bool(control & _COMMAND)

    def _is_cancel(self, message: Message) -> bool:
        if message.command.command_field != C_CANCEL_RQ:
            return False
        self._cancelled.append(message.command.message_id_being_responded_to or 0)
        return True

    def _grant_release(self) -> None:
        if self.before_release is not None:
            self.before_release()
        if self._machine.state is State.AWAITING_LOCAL_RELEASE_ANSWER:
            self._machine.fire(Event.RELEASE_RESPONSE)
        self._machine.finish()

    def _lost(self, trouble: TransportTrouble) -> AssociationAborted:
        self._machine.lose(trouble)
        return AssociationAborted(self._machine.why)

    def _refused(self, error: ProtocolError) -> AssociationAborted:
        self._machine.refuse(error)
        return AssociationAborted(self._machine.why)


def _nowhere(_part: memoryview) -> None:
    """Where a data set goes that nobody has asked for."""
