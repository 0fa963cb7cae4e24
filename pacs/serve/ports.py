"""Ports: whether one can be had, before anything is started that would need it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pacs.errors import PacsError


class PortUnavailable(PacsError):
    """A port that cannot be listened on; names it and the flag that changes it."""


def claim(host: str, port: int, flag: str) -> int:
    """The port to listen on: `port`, or a free one when it is 0. Raises PortUnavailable."""
    with hold(host, port, flag) as probe, _in_words(host, port, flag):
        # Another program's listener shows only now on some systems.
        probe.listen()
        chosen: int = probe.getsockname()[1]
        return chosen


def hold(host: str, port: int, flag: str) -> socket.socket:
    """A socket bound to the port, which does not listen yet. Raises PortUnavailable."""
    with _in_words(host, port, flag):
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        held = socket.socket(family, kind, protocol)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
        except BaseException:
            held.close()
            raise
        return held


@contextmanager
def _in_words(host: str, port: int, flag: str) -> Iterator[None]:
    """Say what a failure means, and which flag or setting changes it."""
    setting = f"PACS_{flag.removeprefix('--').upper().replace('-', '_')}"
    try:
        yield
    except socket.gaierror as error:
        raise PortUnavailable(f"no address of this machine is named {host!r} (--host)") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = (
                f"port {port} on {host} is in use by another program: end that program,"
                f" or choose another port with {flag} ({setting})"
            )
        elif error.errno == errno.EACCES:
            reason = (
                f"port {port} may be used by root only: choose one above 1023 with {flag}"
                f" ({setting})"
            )
        elif error.errno == errno.EADDRNOTAVAIL:
            reason = f"{host} is not an address of this machine: choose one with --host (PACS_HOST)"
        else:
            reason = f"port {port} on {host} cannot be used: {error.strerror}"
        raise PortUnavailable(reason) from error
