"""An HTTP client that costs next to nothing, so that what is measured is the server.

One process for each client, each on a connection that stays. Answers are read and thrown away.
Imports nothing but what Python brings, as every client is a process of its own.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 600.0
_BUFFER = 1024 * 1024
_LONGEST_HEAD = 64 * 1024
_START_SECONDS = 0.05
_KEPT = 512


class WebError(Exception):
    """The message says what came instead of an answer."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One answer: when it was asked for, the seconds until its last byte, its body's bytes.

    `beginning`: the first of these bytes, to be told by when it is not what was asked for.
    """

    at: float
    seconds: float
    status: int
    size: int
    beginning: bytes


class Clients:
    """So many clients on one processor, as a context manager."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()  # it is there

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            process.kill()

    def repeat(
        self, port: int, requests: Sequence[bytes], clients: int, seconds: float
    ) -> list[Taken]:
        """So many clients ask for so long, each one request after another, each from another one
        on. What has begun is waited for. Raises WebError."""
        begin = time.monotonic() + _START_SECONDS
        for number, pipe in enumerate(self._pipes[:clients]):
            first = number * len(requests) // clients
            own = [*requests[first:], *requests[:first]]
            pipe.send((port, own, begin, begin + seconds))
        return _gathered(self._pipes[:clients])

    def each(self, port: int, requests: Sequence[bytes]) -> list[Taken]:
        """One client asks each request once. Raises WebError."""
        self._pipes[0].send((port, list(requests), 0.0, None))
        return _gathered(self._pipes[:1])


def _gathered(pipes: Sequence[Connection]) -> list[Taken]:
    found = [pipe.recv() for pipe in pipes]
    for each in found:
        if isinstance(each, str):
            raise WebError(each)
    return [taken for each in found for taken in each]


def _serve(pipe: Connection) -> None:
    """What a client's process does: what the pipe says, until it closes."""
    connections: dict[int, _Connection] = {}
    pipe.send("")
    while True:
        try:
            port, requests, begin, end = pipe.recv()
        except EOFError:
            return
        connection = connections.setdefault(port, _Connection(port))
        try:
            pipe.send(_ask(connection, requests, begin, end))
        except (OSError, ValueError, WebError) as error:
            connection.close()
            pipe.send(f"{type(error).__name__}: {error}")


def _ask(
    connection: _Connection, requests: list[bytes], begin: float, end: float | None
) -> list[Taken]:
    connection.open()
    time.sleep(max(0.0, begin - time.monotonic()))
    taken: list[Taken] = []
    while True:
        taken.append(connection.ask(requests[len(taken) % len(requests)]))
        if len(taken) == len(requests) if end is None else time.monotonic() >= end:
            return taken


class _Connection:
    """A connection that is made anew where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(_BUFFER))

    def open(self) -> socket.socket:
        """The socket, connected."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        """Forget the socket."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def ask(self, request: bytes) -> Taken:
        """One answer to its end. Raises WebError, OSError."""
        started = time.monotonic()
        head, rest = self._head(request)
        status, headers = _parsed(head)
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = self._chunks(rest)
        elif b"content-length" in headers:
            body = self._bytes(rest, int(headers[b"content-length"]))
        else:
            body = self._all(rest, status)
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return Taken(started, time.monotonic() - started, status, body, rest[:_KEPT])

    def _head(self, request: bytes) -> tuple[bytes, bytes]:
        for attempt in (1, 2):
            data = b""
            try:
                connected = self.open()
                connected.sendall(request)
                while b"\r\n\r\n" not in data:
                    got = connected.recv(_LONGEST_HEAD)
                    if not got or len(data) > _LONGEST_HEAD:
                        break
                    data += got
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was closed while nobody looked
            if b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                return head, rest
            self.close()
            if data or attempt == 2:
                break
        raise WebError("the server closed the connection instead of answering")

    def _bytes(self, rest: bytes, size: int) -> int:
        connected = self.open()
        left = size - len(rest)
        while left > 0:
            got = connected.recv_into(self._buffer, min(left, _BUFFER))
            if not got:
                raise WebError(f"the answer broke off {left} bytes before its end")
            left -= got
        return size

    def _chunks(self, rest: bytes) -> int:
        """A chunked body (RFC 9112 section 7.1)."""
        data, size, connected = bytearray(rest), 0, self.open()

        def fill(wanted: int) -> None:
            while len(data) < wanted:
                got = connected.recv_into(self._buffer)
                if not got:
                    raise WebError("a chunked answer broke off")
                data.extend(self._buffer[:got])

        while True:
            while (end := data.find(b"\r\n")) < 0:
                fill(len(data) + 1)
            length = int(bytes(data[:end]).partition(b";")[0], 16)
            fill(end + 2 + length + 2)
            del data[: end + 2 + length + 2]
            if length == 0:
                return size
            size += length

    def _all(self, rest: bytes, status: int) -> int:
        """A body that ends with the connection."""
        if status in (204, 304):
            return 0
        size, connected = len(rest), self.open()
        while got := connected.recv_into(self._buffer):
            size += got
        self.close()
        return size


def _parsed(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise WebError(f"not HTTP: {lines[0][:80]!r}")
    pairs = (line.partition(b":") for line in lines[1:])
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
