"""The DICOM listener: one AE title, one port."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pynetdicom import _config, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import AssociationServer, RequestHandler

from dicom_node.association import MAX_PDU_BYTES, ArchiveAssociation, BoundedSocket, Service
from dicom_node.callers import Callers
from dicom_node.errors import AddressUnavailable
from dicom_node.incoming import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs.archive import Archive

log = logging.getLogger(__name__)

BACKLOG = 128
ACSE_SECONDS = 30.0
NETWORK_SECONDS = 60.0
GRACE_SECONDS = 10.0
ABORT_SECONDS = 2.0
# Connections beyond the limit of associations, so that these hear why they are refused.
CONNECTIONS_TO_REFUSE = 32


class _Handler(RequestHandler):  # type: ignore[misc]
    """Makes an association of a connection."""

    def _create_association(self) -> ArchiveAssociation:
        association = ArchiveAssociation(self.ae, MODE_ACCEPTOR, self.server.service)
        association._server = self.server
        association.name = f"AcceptorThread@{self.client_address[0]}:{self.client_address[1]}"
        association.set_socket(BoundedSocket(association, self.request, NETWORK_SECONDS))
        association.acceptor.maximum_length = self.ae.maximum_pdu_size
        association.acceptor.ae_title = self.server.ae_title
        association.acceptor.address_info = self.local
        association.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        association.acceptor.implementation_version_name = self.ae.implementation_version_name
        association.requestor.address_info = self.remote
        association.bind(evt.EVT_C_ECHO, _echo)
        return association


class _Listener(AssociationServer):  # type: ignore[misc]
    """The listening socket."""

    request_queue_size = BACKLOG

    def __init__(self, ae: ApplicationEntity, address: tuple[str, int], service: Service) -> None:
        self.service = service
        super().__init__(ae, address, ae.ae_title, [], request_handler=_Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; without Nagle's algorithm, or each answer waits for 40 ms."""
        client, address = super().get_request()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for this connection's threads, be it only to refuse it."""
        room = self.ae.maximum_associations + CONNECTIONS_TO_REFUSE
        if len(self.active_associations) < room:
            return True
        log.warning("connection from %s closed: there are %d already", client_address[0], room)
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what came of a connection that could not be taken."""
        log.exception("connection from %s failed", client_address[0])


class Node:
    """A running DICOM listener on an archive; a context manager.

    Called by any AE title but the archive's it refuses (PS3.8 9.3.4: called AE title not
    recognised). `port` 0 means a free one; `address` says which.
    """

    def __init__(self, archive: Archive, host: str, port: int) -> None:
        settings = archive.settings
        self.aet = settings.aet
        self._host, self._port = host, port
        self._service = Service(archive.ingest, Callers(archive.engine).refusal)
        self._ae = ApplicationEntity(ae_title=settings.aet)
        self._ae.require_called_aet = True
        self._ae.maximum_associations = settings.max_associations
        self._ae.maximum_pdu_size = MAX_PDU_BYTES
        self._ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self._ae.acse_timeout = ACSE_SECONDS
        self._ae.dimse_timeout = NETWORK_SECONDS
        self._ae.network_timeout = NETWORK_SECONDS
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the node listens on."""
        if self._listener is None:
            return self._host, self._port
        host, port = self._listener.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Begin to listen. Raises AddressUnavailable."""
        # We log what matters ourselves; its own lines would name SOP instances by the thousand.
        _config.LOG_HANDLER_LEVEL = "none"
        try:
            self._listener = _Listener(self._ae, (self._host, self._port), self._service)
        except OSError as error:
            raise AddressUnavailable(
                f"DICOM cannot listen on {self._host}:{self._port}: {error.strerror or error}. "
                "Choose another with --dicom-port, or end the program that has it"
            ) from error
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.2,), name="dicom-listener", daemon=True
        )
        self._thread.start()
        log.info("DICOM: %s listens on %s:%d", self.aet, *self.address)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Accept no more; let associations come to their end for `grace` seconds, then abort them.

        Associations that nothing has been asked on are not waited for. An object that is being
        made durable is, and its sender hears of it.
        """
        if self._listener is None or self._thread is None:
            return
        listener, self._listener = self._listener, None
        _stop_accepting(listener)
        self._thread.join()
        deadline = time.monotonic() + grace
        while (running := listener.active_associations) and time.monotonic() < deadline:
            for association in running:
                if not association.has_begun:
                    association.disconnect()
                elif association.is_established and association.has_rested():
                    _abort(association)
            time.sleep(0.05)
        for association in listener.active_associations:
            log.warning(
                "association with %s aborted: shutting down", association.requestor.ae_title
            )
            _abort(association)
        _wait_for_end(listener, ABORT_SECONDS)
        for association in listener.active_associations:
            association.disconnect()
        _wait_for_end(listener, ABORT_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def run(archive: Archive, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Listen until SIGTERM or SIGINT, calling `ready` with AE title, host and port once it does.

    Must be called on the main thread of its process. Raises AddressUnavailable.
    """
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with Node(archive, host, port) as node:
        ready(f"{node.aet} on {node.address[0]}:{node.address[1]}")
        stop.wait()


def _stop_accepting(listener: _Listener) -> None:
    super(AssociationServer, listener).shutdown()
    listener.server_close()


def _abort(association: ArchiveAssociation) -> None:
    """Abort without waiting for it: a peer silent in the middle of a PDU delays it."""
    threading.Thread(target=association.abort, name="dicom-abort", daemon=True).start()


def _wait_for_end(listener: _Listener, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for association in listener.active_associations:
        association.join(max(0.0, deadline - time.monotonic()))


def _echo(_event: Any) -> int:
    return 0x0000
