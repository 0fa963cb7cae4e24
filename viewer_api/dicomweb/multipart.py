"""multipart/related (RFC 2387, RFC 2046 section 5.1), both ways, never whole in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from viewer_api.dicomweb.header_text import split_outside_quotes

_LONGEST_HEADERS = 8192
_LONGEST_PREAMBLE = 65536
_LONGEST_PADDING = 256
_MOST_PARTS = 100_000
_LARGE_PIECE = 1 << 21


class MultipartError(Exception):
    """The body is not the multipart message that its Content-Type announces; says why."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins; header names are lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the current part, a view of what was fed."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The current part is whole."""


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class _Tail(Enum):
    """What follows the boundary string where it was found."""

    NEXT_PART = auto()
    CLOSE = auto()
    UNDECIDED = auto()
    NOT_A_DELIMITER = auto()


class MultipartParser:
    """Incremental: feed it bytes as they come, take events.

    The data of parts are views of what is fed, never copies. Between two calls no more is kept than
    the headers of a part, or what may be the beginning of a delimiter.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._state = _State.PREAMBLE
        # A message may begin with the boundary; then the line break before it is missing.
        self._kept = b"\r\n"
        self._preamble = 0
        self._parts = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in these bytes, which must not be changed until they have been taken.

        Raises MultipartError.
        """
        if self._kept:
            data, self._kept = self._kept + data, b""
        at = 0
        while self._state is not _State.EPILOGUE:
            if self._state is _State.HEADERS:
                end = self._end_of_headers(data, at)
                if end < 0:
                    self._kept = bytes(data[at:])
                    return
                self._state = _State.BODY
                begin = PartBegin(_headers(bytes(data[at:end])))
                at = end + 4
                yield begin
                continue
            start, tail, after = self._find_delimiter(data, at)
            yield from self._pass_on(data, at, start)
            if tail is _Tail.UNDECIDED:
                self._kept = bytes(data[start:])
                return
            yield from self._end_part(closing=tail is _Tail.CLOSE)
            at = after

    def close(self) -> None:
        """Say that the bytes have ended. Raises MultipartError unless the message is whole."""
        if self._state is not _State.EPILOGUE:
            raise MultipartError("the message ends before its closing boundary")

    @staticmethod
    def _end_of_headers(data: bytes, at: int) -> int:
        """Where the empty line after the headers is; -1 where it has not come yet.

        The line break that ended the boundary line counts as theirs, so that a part without any
        header is not a special case.
        """
        end = data.find(b"\r\n\r\n", at, at + _LONGEST_HEADERS + 4)
        if end < 0 and len(data) - at > _LONGEST_HEADERS:
            raise MultipartError("the headers of a part are too long")
        return end

    def _find_delimiter(self, data: bytes, at: int) -> tuple[int, _Tail, int]:
        """Where the next delimiter begins, or may begin; what it is, and where it ends."""
        search = at
        while (start := data.find(self._delimiter, search)) >= 0:
            tail, after = _tail(data, start + len(self._delimiter))
            if tail is not _Tail.NOT_A_DELIMITER:
                return start, tail, after
            search = start + 2
        # Its first byte, a carriage return, is no part of the rest of it.
        start = data.find(b"\r", max(search, len(data) - len(self._delimiter) + 1))
        while start >= 0 and not self._delimiter.startswith(data[start:]):
            start = data.find(b"\r", start + 1)
        return (len(data) if start < 0 else start), _Tail.UNDECIDED, 0

    def _pass_on(self, data: bytes, at: int, end: int) -> Iterator[Event]:
        """Data of a part, or preamble, which means nothing."""
        if self._state is _State.BODY:
            if end > at:
                yield PartData(memoryview(data)[at:end])
            return
        self._preamble += end - at
        if self._preamble > _LONGEST_PREAMBLE:
            raise MultipartError("the first boundary does not come")

    def _end_part(self, *, closing: bool) -> Iterator[Event]:
        if self._state is _State.BODY:
            yield PartEnd()
        if closing:
            self._state = _State.EPILOGUE
            return
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise MultipartError(f"more than {_MOST_PARTS} parts in one message")
        self._state = _State.HEADERS


def _tail(data: bytes, after: int) -> tuple[_Tail, int]:
    """What the boundary string that ends at `after` is, and where what follows it begins."""
    if data.startswith(b"--", after):
        return _Tail.CLOSE, after + 2
    position = after
    limit = min(len(data), after + _LONGEST_PADDING)
    while position < limit and data[position] in b" \t":
        position += 1
    rest = bytes(data[position : position + 2])
    if rest == b"\r\n":
        return _Tail.NEXT_PART, position
    if rest in (b"", b"\r") or (rest == b"-" and position == after):
        return _Tail.UNDECIDED, after
    return _Tail.NOT_A_DELIMITER, after


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Media type and parameters of a Content-Type header, names in lower case, quotes removed."""
    media_type, *rest = split_outside_quotes(value, ";")
    parameters = {}
    for part in rest:
        name, _, content = part.partition("=")
        parameters[name.strip().lower()] = content.strip().strip('"').strip()
    return media_type.strip().lower(), parameters


def boundary_of(parameters: Mapping[str, str]) -> str:
    """The boundary that a multipart Content-Type names. Raises MultipartError."""
    boundary = parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii() or not boundary.isprintable():
        raise MultipartError("the Content-Type names no boundary of 1 to 70 printable characters")
    return boundary


def new_boundary() -> str:
    """A boundary that occurs in no part, short of a chance of one in 2^128."""
    return f"filmless-{secrets.token_hex(16)}"


def part_start(boundary: str, headers: Mapping[str, str]) -> bytes:
    """What stands before the bytes of a part."""
    lines = [f"--{boundary}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


PART_STOP = b"\r\n"
"""What stands after the bytes of a part."""


def message_end(boundary: str) -> bytes:
    """What stands after the last part."""
    return f"--{boundary}--\r\n".encode("ascii")


def write_message(
    boundary: str, parts: Iterable[tuple[Mapping[str, str], Iterable[bytes]]]
) -> Iterator[bytes]:
    """The message, piece by piece, as the parts give their bytes."""

    def every() -> Iterator[bytes]:
        for headers, pieces in parts:
            yield part_start(boundary, headers)
            yield from pieces
            yield PART_STOP
        yield message_end(boundary)

    return _gathered(every())


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in large pieces: each piece costs the web server as much as another."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if len(piece) < _LARGE_PIECE:
            waiting.append(piece)
            size += len(piece)
        if size >= _LARGE_PIECE or (len(piece) >= _LARGE_PIECE and waiting):
            yield b"".join(waiting)
            waiting, size = [], 0
        if len(piece) >= _LARGE_PIECE:
            yield piece
    if waiting:
        yield b"".join(waiting)


def _headers(block: bytes) -> dict[str, str]:
    headers = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers
