"""Ports: whether one can be had, before anything is started that would need it."""

from __future__ import annotations

import errno
import socket

from pacs.errors import PacsError


class PortUnavailable(PacsError):
    """A port that cannot be listened on; names it and the flag that changes it."""


def claim(host: str, port: int, flag: str) -> int:
    """The port to listen on: `port`, or a free one when it is 0. Raises PortUnavailable."""
    setting = f"PACS_{flag.removeprefix('--').upper().replace('-', '_')}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # Another program's listener shows only now on some systems.
            probe.listen()
            chosen: int = probe.getsockname()[1]
            return chosen
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
