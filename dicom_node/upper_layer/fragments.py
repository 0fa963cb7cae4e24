"""Messages as P-DATA-TF PDUs (PS3.8 9.3.5, annex E): whole PDUs of the peer's maximum length, whose
payload is the caller's own bytes, many in one write."""

import itertools
import struct
from collections.abc import Iterable, Iterator

from dicom_node.dimse import Command
from dicom_node.upper_layer.connection import MOST_PARTS_A_WRITE, Buffer

LONGEST_PDU_BYTES = 512 << 10
"""What we send at most in one PDU, should the peer take more."""
WRITE_BYTES = 1 << 20
"""A write is begun once so much is ready."""
REPEATED_WRITE_BYTES = 64 << 10
"""The same, of many small messages: the peer can begin with the first."""

# Type, length; length of the only item in it, presentation context ID, message control header
_HEADERS = struct.Struct(">BxIIBB")
_P_DATA_TF = 0x04
_ITEM_BYTES = 6
_DATA_SET, _COMMAND, _LAST = 0, 1, 2


def message_pdus(
    context_id: int, command: Command, data: Iterable[Buffer], max_pdu_bytes: int
) -> Iterator[list[Buffer]]:
    """The parts of a message, in lists for one write each; a small message is one list.

    Sets `has_data_set` of the command. `max_pdu_bytes` is the longest PDU that the peer takes,
    without its header; 0: any.
    """
    fragment_bytes = _fragment_bytes(max_pdu_bytes)
    parts = (memoryview(part).cast("B") for part in data if len(part))
    first = next(parts, None)
    command.has_data_set = first is not None
    encoded = memoryview(command.encode())
    batch: list[Buffer] = []
    for fragment, is_last in _cut((encoded,), fragment_bytes):
        batch += _pdu(context_id, _COMMAND, fragment, is_last)
    size = 0
    if first is not None:
        for fragment, is_last in _cut(itertools.chain((first,), parts), fragment_bytes):
            batch += _pdu(context_id, _DATA_SET, fragment, is_last)
            size += fragment_bytes
            if size >= WRITE_BYTES or len(batch) >= MOST_PARTS_A_WRITE:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def repeated_message_pdus(
    context_id: int, command: Command, data_sets: Iterable[bytes], max_pdu_bytes: int
) -> Iterator[list[Buffer]]:
    """The parts of messages of the same command set, such as pending responses, one for each data
    set, in lists for one write each."""
    fragment_bytes = _fragment_bytes(max_pdu_bytes)
    command.has_data_set = True
    encoded = memoryview(command.encode())
    head: list[Buffer] = []
    for fragment, is_last in _cut((encoded,), fragment_bytes):
        head += _pdu(context_id, _COMMAND, fragment, is_last)
    batch: list[Buffer] = []
    size = 0
    for data in data_sets:
        batch += head
        for fragment, is_last in _cut((memoryview(data),), fragment_bytes):
            batch += _pdu(context_id, _DATA_SET, fragment, is_last)
        size += len(encoded) + len(data)
        if size >= REPEATED_WRITE_BYTES or len(batch) >= MOST_PARTS_A_WRITE - 8:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _fragment_bytes(max_pdu_bytes: int) -> int:
    longest = min(max_pdu_bytes or LONGEST_PDU_BYTES, LONGEST_PDU_BYTES)
    return max(2, (longest - _ITEM_BYTES) & ~1)  # PS3.8 E.1: fragments are of even length


def _cut(
    parts: Iterable[memoryview], fragment_bytes: int
) -> Iterator[tuple[list[memoryview], bool]]:
    """The parts as fragments of this length, and whether each is the last."""
    fragment: list[memoryview] = []
    room = fragment_bytes
    for part in parts:
        at, length = 0, len(part)
        while at < length:
            if not room:
                yield fragment, False
                fragment, room = [], fragment_bytes
            piece = part[at : at + room]
            fragment.append(piece)
            at += len(piece)
            room -= len(piece)
    yield fragment, True


def _pdu(context_id: int, kind: int, fragment: list[memoryview], is_last: bool) -> list[Buffer]:
    length = sum(map(len, fragment)) + _ITEM_BYTES
    control = kind | _LAST if is_last else kind
    return [_HEADERS.pack(_P_DATA_TF, length, length - 4, context_id, control), *fragment]
