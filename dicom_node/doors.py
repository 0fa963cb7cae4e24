"""The sockets that a node listens on."""

import socket
import ssl

from dicom_node.errors import AddressUnavailable
from dicom_node.tls import listening_context
from pacs.settings import Settings

BACKLOG = 128


class Door:
    """A socket that listens, and what encrypts there."""

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self.listening = listening
        self.tls = tls
        host, port = listening.getsockname()[:2]
        self.address = (str(host), int(port))
        """Host and port, known still when the door is closed."""


def open_doors(settings: Settings, host: str, port: int) -> list[Door]:
    """The doors of a node by itself. Raises AddressUnavailable and TlsUnusable."""
    doors = [Door(_listen(host, port, "dicom-port"))]
    try:
        if settings.dicom_tls_port is not None:
            tls = listening_context(settings)
            doors.append(Door(_listen(host, settings.dicom_tls_port, "dicom-tls-port"), tls))
    except Exception:
        doors[0].listening.close()
        raise
    return doors


def _listen(host: str, port: int, name: str) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressUnavailable(
            f"DICOM cannot listen on {host}:{port}: {error.strerror or error}. "
            f"Choose another with --{name}, or end the program that has it"
        ) from error
