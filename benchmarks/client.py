"""A DICOM client that costs next to nothing, so that what is measured is the server.

It speaks what the benchmarks need of PS3.7 and PS3.8 and believes what it is told.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Self

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from benchmarks.errors import SendFailed
from benchmarks.running import Server

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = b"2.25.190383254287651273546125341"
_LARGEST_PDU = 256 * 1024
_PATIENCE_SECONDS = 600.0
_C_STORE_RQ, _C_FIND_RQ, _C_MOVE_RQ = 0x0001, 0x0020, 0x0021
_DESTINATION, _DATA_SET, _STATUS, _INSTANCE, _COMPLETED = 0x0600, 0x0800, 0x0900, 0x1000, 0x1021
_NO_DATA_SET = 0x0101
_COMMAND, _LAST = 1, 2

Buffer = bytes | memoryview


class Association:
    """An association with a server on this machine, as a context manager."""

    def __init__(self, server: Server, calling: str, classes: dict[str, str]) -> None:
        """`classes`: the transfer syntax to propose for each SOP class. Raises SendFailed."""
        self._name = server.name
        self._message = 0
        self._contexts = {uid: 2 * number + 1 for number, uid in enumerate(classes)}
        self._socket = socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb", _LARGEST_PDU)
        self._socket.sendall(_associate_rq(server.aet, calling, classes))
        kind, body = self._pdu()
        if kind != 2:
            raise SendFailed(server.name, "the association is refused")
        self.largest_pdu, refused = _accepted(body)
        if refused:
            raise SendFailed(server.name, "a presentation context is refused")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._socket, self._reader:
            try:
                self._socket.sendall(struct.pack(">BxIxxxx", 5, 4))
                self._pdu()
            except (OSError, SendFailed):
                pass  # whoever breaks off at the end has done its work

    def find(self, identifier: bytes) -> list[bytes]:
        """Answers to a study-level C-FIND in Study Root, still encoded. Raises SendFailed."""
        self._message += 1
        command = _command(
            {
                0x0002: STUDY_ROOT_FIND,
                0x0100: _C_FIND_RQ,
                0x0110: self._message,
                0x0700: 0,
                0x0800: 0,
            }
        )
        context = self._contexts[STUDY_ROOT_FIND]
        self._socket.sendall(
            _p_data(context, _COMMAND | _LAST, command) + _p_data(context, _LAST, identifier)
        )
        answers: list[bytes] = []
        while True:
            response, data = self._response()
            status = response[_STATUS]
            if status not in (0xFF00, 0xFF01):
                if status != 0:
                    raise SendFailed(self._name, f"C-FIND ended with status {status:04X}")
                return answers
            answers.append(data)

    def move(self, identifier: bytes, destination: str) -> int:
        """How many instances a C-MOVE in Study Root had sent. Raises SendFailed."""
        command = self._request(STUDY_ROOT_MOVE, _C_MOVE_RQ, {_DESTINATION: destination})
        context = self._contexts[STUDY_ROOT_MOVE]
        self._socket.sendall(command + _p_data(context, _LAST, identifier))
        response, _ = self._response()
        while response[_STATUS] == 0xFF00:
            response, _ = self._response()
        if response[_STATUS] != 0:
            raise SendFailed(self._name, f"C-MOVE ended with status {response[_STATUS]:04X}")
        return response.get(_COMPLETED, 0)

    def store(self, sop_class: str, uid: str, data_set: Iterable[Buffer]) -> None:
        """C-STORE of a data set in pieces, in the proposed transfer syntax. Raises SendFailed."""
        self._message += 1
        command = _command(
            {
                0x0002: sop_class,
                0x0100: _C_STORE_RQ,
                0x0110: self._message,
                0x0700: 0,
                0x0800: 0,
                0x1000: uid,
            }
        )
        context = self._contexts[sop_class]
        self._socket.sendall(_p_data(context, _COMMAND | _LAST, command))
        for piece, last in _with_last(_cut(data_set, self.largest_pdu - 6)):
            head = struct.pack(">BxIIBB", 4, len(piece) + 6, len(piece) + 2, context, _LAST * last)
            self._send_both(head, piece)
        response, _ = self._response()
        status = response[_STATUS]
        if status != 0 and status >> 12 != 0xB:
            raise SendFailed(self._name, f"C-STORE ended with status {status:04X}")

    def _request(
        self, sop_class: str, command_field: int, more: dict[int, str] | None = None
    ) -> bytes:
        """A request with a data set, as a PDU."""
        self._message = self._message % 0xFFFF + 1
        elements: dict[int, int | str] = {0x0002: sop_class, 0x0100: command_field}
        elements |= {0x0110: self._message, 0x0700: 0, _DATA_SET: 0, **(more or {})}
        command = _command(dict(sorted(elements.items())))
        return _p_data(self._contexts[sop_class], _COMMAND | _LAST, command)

    def _send_both(self, head: bytes, piece: Buffer) -> None:
        sent = self._socket.sendmsg([head, piece])
        if sent < len(head):
            self._socket.sendall(head[sent:])
        self._socket.sendall(memoryview(piece)[max(0, sent - len(head)) :])

    def _response(self) -> tuple[dict[int, int], bytes]:
        """The numbers in the next response's command, and its data set."""
        command, data, whole = b"", [], False
        response: dict[int, int] = {}
        while not whole:
            kind, body = self._pdu()
            if kind != 4:
                raise SendFailed(self._name, f"PDU of type {kind} instead of a response")
            for header, fragment in _values(body):
                if not header & _COMMAND:
                    data.append(fragment)
                    whole = bool(header & _LAST)
                    continue
                command += fragment
                if header & _LAST:
                    response = _numbers(command)
                    whole = response[_DATA_SET] == _NO_DATA_SET
        return response, b"".join(data)

    def _pdu(self) -> tuple[int, bytes]:
        head = self._reader.read(6)
        if len(head) < 6:
            raise SendFailed(self._name, "it closed the connection")
        kind, length = struct.unpack(">BxI", head)
        return kind, self._reader.read(length)


def encoded(dataset: Dataset, *, implicit: bool = True) -> bytes:
    """The data set in little endian."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, implicit
    write_dataset(out, dataset)
    return bytes(out.getvalue())


def _associate_rq(aet: str, calling: str, classes: dict[str, str]) -> bytes:
    items = [_item(0x10, _APPLICATION_CONTEXT)]
    for number, (sop_class, syntax) in enumerate(classes.items()):
        inner = _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode())
        items.append(_item(0x20, bytes((2 * number + 1, 0, 0, 0)) + inner))
    limits = _item(0x51, struct.pack(">I", _LARGEST_PDU)) + _item(0x52, _IMPLEMENTATION)
    items.append(_item(0x50, limits))
    names = f"{aet:16}{calling:16}".encode()
    body = struct.pack(">Hxx32s32x", 1, names) + b"".join(items)
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _accepted(body: bytes) -> tuple[int, int]:
    """The largest PDU that the server takes, and how many contexts it refuses."""
    largest, refused, reader = 16384, 0, BytesIO(body[68:])
    while head := reader.read(4):
        kind, length = struct.unpack(">BxH", head)
        value = reader.read(length)
        if kind == 0x21:
            refused += value[2] != 0
        elif kind == 0x50 and value[0] == 0x51:
            largest = struct.unpack(">I", value[4:8])[0]
    return min(largest or _LARGEST_PDU, _LARGEST_PDU), refused


def _command(elements: dict[int, int | str]) -> bytes:
    parts = []
    for element, value in elements.items():
        data = struct.pack("<H", value) if isinstance(value, int) else value.encode()
        data += b"\0" * (len(data) % 2)
        parts.append(struct.pack("<HHI", 0, element, len(data)) + data)
    body = b"".join(parts)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _numbers(command: bytes) -> dict[int, int]:
    """The elements of a command that are unsigned short numbers."""
    numbers, at = {}, 0
    while at < len(command):
        element, length = struct.unpack_from("<HI", command, at + 2)
        if length == 2:
            (numbers[element],) = struct.unpack_from("<H", command, at + 8)
        at += 8 + length
    return numbers


def _p_data(context: int, header: int, value: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, context, header) + value


def _values(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        length, _, header = struct.unpack_from(">IBB", body, at)
        yield header, body[at + 6 : at + 4 + length]
        at += 4 + length


def _cut(pieces: Iterable[Buffer], largest: int) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for at in range(0, len(view), largest):
            yield view[at : at + largest]


def _with_last(pieces: Iterable[memoryview]) -> Iterator[tuple[memoryview, bool]]:
    before = None
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    if before is not None:
        yield before, True
