"""Bytes to and from a peer: one reused buffer, whole writes, and a limit to every wait.

A plain socket blocks in the kernel with its own timeouts (SO_RCVTIMEO, SO_SNDTIMEO): one system
call for each read or write, where Python's timeouts need two. TLS needs Python's.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from typing import Any

from dicom_node.errors import AssociationAborted
from dicom_node.upper_layer.timeouts import SLOWEST_BYTES_A_SECOND, Timeouts

Buffer = bytes | bytearray | memoryview

FIRST_BUFFER_BYTES = 64 << 10
LARGE_BUFFER_BYTES = 512 << 10
WORTH_WAITING_BYTES = 8 << 10
MOST_PARTS_A_WRITE = 512  # the system takes 1024 (IOV_MAX)
JOINED_TLS_BYTES = 128 << 10

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_SILENT = (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class TransportTrouble(AssociationAborted):
    """The transport connection does not carry what it should."""


class ConnectionEnded(TransportTrouble):
    """The peer has closed the connection, or it broke."""


class PeerSilent(TransportTrouble):
    """The peer has sent, or taken, too little for too long."""


class Interrupted(TransportTrouble):
    """We have been told to stop waiting for the peer."""


class Connection:
    """A connected socket, plain or TLS. One thread reads; who writes at the same time takes turns
    elsewhere, and never does so over TLS, whose state reading and writing share."""

    def __init__(
        self, connected: socket.socket, timeouts: Timeouts, address: tuple[str, int]
    ) -> None:
        self.timeouts = timeouts
        self.address = address
        """IP address and port of the peer."""
        self._socket = connected
        self._tls = connected if isinstance(connected, ssl.SSLSocket) else None
        connected.settimeout(timeouts.stalled if self._tls is not None else None)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._receive_seconds = 0.0
        self._wait(timeouts.idle)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeouts.stalled))
        self._buffer = bytearray(FIRST_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._deadline: float | None = None
        self._began = 0.0
        self._received = 0
        self._interrupted = False

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self._tls is not None

    @property
    def certificate_name(self) -> str | None:
        """The common name in the peer's certificate, which TLS has verified."""
        certificate = self._tls.getpeercert() if self._tls is not None else None
        names: Any = (certificate or {}).get("subject", ())
        return next((v for part in names for key, v in part if key == "commonName"), None)

    def enlarge(self) -> None:
        """Make room for much at a time, once objects come."""
        if len(self._buffer) < LARGE_BUFFER_BYTES:
            self._replace_buffer(LARGE_BUFFER_BYTES)

    def expect_within(self, seconds: float | None) -> None:
        """From now on everything must come before so many seconds are over (ARTIM); None: each
        part may take its time again."""
        self._deadline = None if seconds is None else time.monotonic() + seconds
        if seconds is None:
            self._wait(self.timeouts.idle)

    def begin(self) -> None:
        """A new message is awaited: the peer may rest, and its speed is measured anew."""
        self._began = 0.0
        self._received = self._end - self._start
        self._acknowledge_at_once()

    @property
    def has_heard(self) -> bool:
        """Whether anything has come, since `begin` or at all."""
        return self._received > 0

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        """The next bytes as numbers. Raises TransportTrouble."""
        size = form.size
        if self._end - self._start < size:
            self._gather(size)
        values = form.unpack_from(self._buffer, self._start)
        self._start += size
        return values

    def take(self, most: int, then: int = 0) -> memoryview:
        """The next bytes that are there, at least one, at most so many: valid until the next call.

        Where `most` is much, it is waited for, with the `then` bytes that are sure to follow it:
        one wait for a fragment and the next one's header. Raises TransportTrouble.
        """
        if self._start == self._end:
            self._fill(most + then if most >= WORTH_WAITING_BYTES else 0)
        stop = min(self._start + most, self._end)
        taken = self._view[self._start : stop]
        self._start = stop
        return taken

    def read(self, size: int) -> bytes:
        """Exactly so many bytes. Raises TransportTrouble."""
        whole = bytearray()
        while len(whole) < size:
            whole += self.take(size - len(whole))
        return bytes(whole)

    def skip(self, size: int) -> None:
        """Pass over so many bytes. Raises TransportTrouble."""
        while size:
            size -= len(self.take(size))

    def is_readable(self) -> bool:
        """Whether something has come that has not been taken."""
        if self._start < self._end or (self._tls is not None and self._tls.pending()):
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send everything. Raises TransportTrouble."""
        try:
            if self._tls is not None:
                self._send_over_tls(self._tls, parts)
            else:
                self._send_plain(parts)
        except _SILENT as error:
            raise PeerSilent("the peer takes nothing any more") from error
        except (OSError, ValueError) as error:
            raise ConnectionEnded(f"the connection broke while sending: {_why(error)}") from error

    def interrupt(self) -> None:
        """Make whoever waits for the peer, on another thread, stop waiting. We may still send."""
        self._interrupted = True
        with contextlib.suppress(OSError):  # closed in the meantime
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def disconnect(self) -> None:
        """Break the connection; whoever waits on another thread hears of it."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _acknowledge_at_once(self) -> None:
        """Or the system, once we have sent something, delays its acknowledgements; and a peer that
        leaves Nagle's algorithm on, as most of DCMTK's do, sends the end of an object only after
        one: 40 ms for each."""
        if _QUICK_ACK is not None:
            with contextlib.suppress(OSError):  # the connection has broken: the next read says so
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _gather(self, size: int) -> None:
        if len(self._buffer) - self._start < size:
            self._replace_buffer(len(self._buffer))
        while self._end - self._start < size:
            self._fill()

    def _fill(self, wanted: int = 0) -> None:
        """Receive what there is behind what has not been taken, or so much."""
        if self._start == self._end:
            self._start = self._end = 0
        self._allow()
        try:
            if wanted and self._tls is None:
                room = min(wanted, len(self._buffer) - self._end)
                count = self._socket.recv_into(self._view[self._end :], room, socket.MSG_WAITALL)
            else:
                count = self._socket.recv_into(self._view[self._end :])
        except _SILENT as error:
            raise PeerSilent("the peer has fallen silent") from error
        except (OSError, ValueError) as error:
            raise ConnectionEnded(f"the connection broke: {_why(error)}") from error
        if not count:
            if self._interrupted:
                raise Interrupted("we are shutting down")
            raise ConnectionEnded("the peer has closed the connection")
        self._end += count
        self._received += count

    def _allow(self) -> None:
        """Let the next read wait as long as it may. Raises PeerSilent where it may not wait."""
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise PeerSilent("the peer has not said in time what it wants")
            self._wait(left)
        elif self._received:
            now = time.monotonic()
            if not self._began:
                self._began = now
            elapsed = now - self._began
            if (
                elapsed > self.timeouts.stalled
                and self._received < elapsed * SLOWEST_BYTES_A_SECOND
            ):
                raise PeerSilent(f"{self._received} bytes in {elapsed:.0f} s are too few")
            self._wait(self.timeouts.stalled)
        else:
            self._wait(self.timeouts.idle)

    def _wait(self, seconds: float) -> None:
        if seconds != self._receive_seconds:
            self._receive_seconds = seconds
            if self._tls is not None:
                self._tls.settimeout(seconds)
            else:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def _replace_buffer(self, size: int) -> None:
        rest = self._view[self._start : self._end]
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _send_plain(self, parts: Sequence[Buffer]) -> None:
        for first in range(0, len(parts), MOST_PARTS_A_WRITE):
            batch = parts[first : first + MOST_PARTS_A_WRITE]
            left = sum(map(len, batch))
            sent = self._socket.sendmsg(batch)
            if sent != left:
                self._send_rest(batch, sent, left)

    def _send_rest(self, batch: Sequence[Buffer], sent: int, size: int) -> None:
        """After a write that was cut short: bounded as reading is, by silence and by speed."""
        began, rest = time.monotonic(), [memoryview(part) for part in batch]
        total = 0
        while True:
            total += sent
            rest = _without(rest, sent)
            if not rest:
                return
            elapsed = time.monotonic() - began
            if elapsed > self.timeouts.stalled and total < elapsed * SLOWEST_BYTES_A_SECOND:
                raise PeerSilent(f"the peer takes {total} of {size} bytes in {elapsed:.0f} s")
            sent = self._socket.sendmsg(rest)

    def _send_over_tls(self, tls: ssl.SSLSocket, parts: Sequence[Buffer]) -> None:
        joined = bytearray()
        for part in parts:
            joined += part
            if len(joined) >= JOINED_TLS_BYTES:
                tls.sendall(joined)
                joined = bytearray()
        if joined:
            tls.sendall(joined)


def _without(parts: Sequence[memoryview], sent: int) -> list[memoryview]:
    """What is left of the parts after so many bytes."""
    rest = []
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            rest.append(part[sent:])
            sent = 0
    return rest


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("@ll", whole, max(1, int((seconds - whole) * 1e6)))


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
