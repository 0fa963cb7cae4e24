"""DIMSE command sets (PS3.7 6.3.1, E.1): group 0000 in implicit VR little endian, by hand.

They are small and come by the thousand, so no data set is made of them: a Command is plain
attributes. What is read is bounded and checked; retired and unknown elements are skipped.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from dicom_node.errors import ProtocolError

MAX_COMMAND_BYTES = 64 << 10
MAX_UID_CHARACTERS = 64
MAX_COMMENT_CHARACTERS = 64

# (0000,0100) Command Field, PS3.7 E.1
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RQ, C_GET_RSP = 0x0010, 0x8010
C_FIND_RQ, C_FIND_RSP = 0x0020, 0x8020
C_MOVE_RQ, C_MOVE_RSP = 0x0021, 0x8021
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_GET_RQ, N_GET_RSP = 0x0110, 0x8110
N_SET_RQ, N_SET_RSP = 0x0120, 0x8120
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130
N_CREATE_RQ, N_CREATE_RSP = 0x0140, 0x8140
N_DELETE_RQ, N_DELETE_RSP = 0x0150, 0x8150
C_CANCEL_RQ = 0x0FFF
RESPONSE: Final = 0x8000
"""The bit of the command field that makes a request's response."""

# (0000,0700) Priority
MEDIUM, HIGH, LOW = 0x0000, 0x0001, 0x0002

# (0000,0800) Command Data Set Type: any other value than 0101H says that a data set follows.
NO_DATA_SET, DATA_SET = 0x0101, 0x0001

# (0000,0900) Status: PS3.7 C, PS3.4 B.2.3 and C.4
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_SOP_CLASS = 0x0118
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION_TYPE = 0x0123
NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
CANNOT_CALCULATE_MATCHES = 0xA701
CANNOT_PERFORM_SUBOPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
DATA_SET_DOES_NOT_MATCH = 0xA900
SUBOPERATIONS_INCOMPLETE = 0xB000
CANNOT_UNDERSTAND = 0xC000
CANCELLED = 0xFE00
PENDING = 0xFF00
PENDING_WITHOUT_OPTIONAL_KEYS = 0xFF01


def is_warning(status: int) -> bool:
    """Whether a status says that it was done, but not quite as asked (PS3.7 C.1.2)."""
    return status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116)


@dataclass(slots=True, kw_only=True)
class Command:
    """A command set; None: the element is absent."""

    command_field: int
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    affected_sop_class_uid: str | None = None
    requested_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    requested_sop_instance_uid: str | None = None
    priority: int | None = None
    has_data_set: bool = False
    status: int | None = None
    offending_elements: tuple[int, ...] | None = None
    error_comment: str | None = None
    error_id: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifiers: tuple[int, ...] | None = None
    remaining_suboperations: int | None = None
    completed_suboperations: int | None = None
    failed_suboperations: int | None = None
    warning_suboperations: int | None = None
    move_destination: str | None = None
    move_originator_aet: str | None = None
    move_originator_message_id: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether this answers a request."""
        return bool(self.command_field & RESPONSE)

    def encode(self) -> bytes:
        """The bytes of the command set, with its group length.

        A comment is cut to what fits. Raises ValueError for any other value that does not.
        """
        elements = bytearray()
        for number, name, write in _WRITTEN:
            value = getattr(self, name)
            if value is not None:
                try:
                    elements += write(number, value)
                except (struct.error, UnicodeEncodeError) as error:
                    raise ValueError(f"{name} cannot be {value!r}") from error
        return _unsigned_long(0x0000, len(elements)) + elements


def response_to(request: Command, status: int, comment: str = "", **more: Any) -> Command:
    """The response to a request: same SOP class and instance, its message ID, a status.

    `more`: further attributes of the Command, such as `completed_suboperations`.
    """
    return Command(
        command_field=request.command_field | RESPONSE,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=_repeatable(
            request.affected_sop_class_uid or request.requested_sop_class_uid
        ),
        affected_sop_instance_uid=_repeatable(
            request.affected_sop_instance_uid or request.requested_sop_instance_uid
        ),
        status=status,
        error_comment=comment or None,
        **more,
    )


def decode(data: bytes | bytearray) -> Command:
    """The command set in these bytes. Raises ProtocolError."""
    if len(data) > MAX_COMMAND_BYTES:
        raise ProtocolError(f"a command set of over {MAX_COMMAND_BYTES} bytes")
    values: dict[str, Any] = {}
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:
            raise ProtocolError("a command set that ends within an element")
        group, number, length = _HEADER.unpack_from(data, at)
        at += 8
        if group != 0x0000:
            raise ProtocolError(f"a command set with an element of group {group:04X}")
        if length > end - at:
            raise ProtocolError(f"(0000,{number:04X}) reaches beyond its command set")
        known = _READ.get(number)
        if known is not None:
            name, read = known
            if name in values:
                raise ProtocolError(f"(0000,{number:04X}) twice in one command set")
            values[name] = read(number, data[at : at + length])
        at += length
    return _checked(values)


def _checked(values: dict[str, Any]) -> Command:
    if values.get("command_field") is None:
        raise ProtocolError("a command set without (0000,0100) Command Field")
    if "has_data_set" not in values:
        raise ProtocolError("a command set without (0000,0800) Command Data Set Type")
    command = Command(**values)
    if command.is_response or command.command_field == C_CANCEL_RQ:
        if command.message_id_being_responded_to is None:
            raise ProtocolError("a response without (0000,0120) Message ID Being Responded To")
        if command.is_response and command.status is None:
            raise ProtocolError("a response without (0000,0900) Status")
    elif command.message_id is None:
        raise ProtocolError("a request without (0000,0110) Message ID")
    return command


def _repeatable(uid: str | None) -> str | None:
    """A UID of a request, to be said again in its response; None where it is none."""
    return uid if uid and len(uid) <= MAX_UID_CHARACTERS and uid.isascii() else None


_HEADER = struct.Struct("<HHI")
_SHORT = struct.Struct("<HHIH")
_LONG = struct.Struct("<HHII")


def _unsigned_short(number: int, value: int) -> bytes:
    return _SHORT.pack(0, number, 2, value)


def _unsigned_long(number: int, value: int) -> bytes:
    return _LONG.pack(0, number, 4, value)


def _follows(number: int, value: bool) -> bytes:
    return _SHORT.pack(0, number, 2, DATA_SET if value else NO_DATA_SET)


def _uid(number: int, value: str) -> bytes:
    return _padded(number, value.encode("ascii"), b"\0")


def _title(number: int, value: str) -> bytes:
    return _padded(number, value.encode("ascii"), b" ")


def _comment(number: int, value: str) -> bytes:
    text = value.encode("ascii", "replace").replace(b"\\", b"/")[:MAX_COMMENT_CHARACTERS]
    return _padded(number, text, b" ")


def _tags(number: int, value: tuple[int, ...]) -> bytes:
    return _HEADER.pack(0, number, 4 * len(value)) + b"".join(
        struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value
    )


def _padded(number: int, value: bytes, padding: bytes) -> bytes:
    if len(value) % 2:
        value += padding
    return _HEADER.pack(0, number, len(value)) + value


def _read_short(number: int, value: bytes | bytearray) -> int | None:
    if not value:
        return None
    if len(value) != 2:
        raise ProtocolError(f"(0000,{number:04X}) of {len(value)} bytes instead of 2")
    return value[0] | value[1] << 8


def _read_follows(number: int, value: bytes | bytearray) -> bool:
    return _read_short(number, value) != NO_DATA_SET


def _read_uid(_number: int, value: bytes | bytearray) -> str:
    # What is no UID is refused by whoever wants one; it must not end the association here.
    return value.decode("latin-1").rstrip("\0 ").strip()


def _read_text(_number: int, value: bytes | bytearray) -> str:
    return value.decode("latin-1").strip("\0 ")


def _read_tags(number: int, value: bytes | bytearray) -> tuple[int, ...]:
    if len(value) % 4:
        raise ProtocolError(f"(0000,{number:04X}) of {len(value)} bytes, which are no tags")
    return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", value))


_Write = Callable[[int, Any], bytes]
_Read = Callable[[int, bytes | bytearray], Any]
_US: tuple[_Write, _Read] = (_unsigned_short, _read_short)
_UI: tuple[_Write, _Read] = (_uid, _read_uid)
_AE: tuple[_Write, _Read] = (_title, _read_text)
_AT: tuple[_Write, _Read] = (_tags, _read_tags)

# In ascending order (PS3.5 7.1), with the VRs of PS3.7 E.1.
_ELEMENTS: tuple[tuple[int, str, tuple[_Write, _Read]], ...] = (
    (0x0002, "affected_sop_class_uid", _UI),
    (0x0003, "requested_sop_class_uid", _UI),
    (0x0100, "command_field", _US),
    (0x0110, "message_id", _US),
    (0x0120, "message_id_being_responded_to", _US),
    (0x0600, "move_destination", _AE),
    (0x0700, "priority", _US),
    (0x0800, "has_data_set", (_follows, _read_follows)),
    (0x0900, "status", _US),
    (0x0901, "offending_elements", _AT),
    (0x0902, "error_comment", (_comment, _read_text)),
    (0x0903, "error_id", _US),
    (0x1000, "affected_sop_instance_uid", _UI),
    (0x1001, "requested_sop_instance_uid", _UI),
    (0x1002, "event_type_id", _US),
    (0x1005, "attribute_identifiers", _AT),
    (0x1008, "action_type_id", _US),
    (0x1020, "remaining_suboperations", _US),
    (0x1021, "completed_suboperations", _US),
    (0x1022, "failed_suboperations", _US),
    (0x1023, "warning_suboperations", _US),
    (0x1030, "move_originator_aet", _AE),
    (0x1031, "move_originator_message_id", _US),
)
_WRITTEN = tuple((number, name, write) for number, name, (write, _) in _ELEMENTS)
_READ = {number: (name, read) for number, name, (_, read) in _ELEMENTS}
