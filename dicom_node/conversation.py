"""One connection, from its acceptance to its end, on a thread of its own."""

import logging
import socket
import ssl
import time
from concurrent.futures import Executor
from contextlib import suppress

from dicom_node.admission import Admission
from dicom_node.callers import Callers
from dicom_node.dimse import UNRECOGNIZED_OPERATION, response_to
from dicom_node.errors import AssociationAborted
from dicom_node.services import handler_of
from dicom_node.services.session import Session
from dicom_node.slots import Slots
from dicom_node.upper_layer.acceptor import AssociationRefused, accept
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.timeouts import Timeouts
from pacs.archive import Archive

log = logging.getLogger(__name__)

RESTED_SECONDS = 1.0


class Conversation:
    """What comes of one connection. Its thread calls `run`; the rest may be called by any."""

    def __init__(
        self,
        accepted: socket.socket,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        timeouts: Timeouts,
    ) -> None:
        self.address = address[0]
        self._port = address[1]
        self.is_dismissed = False
        """Whether its connection has been broken to make room."""
        self._socket = accepted
        self._tls = tls
        self._timeouts = timeouts
        self._association: Association | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the peer has asked for an association, and got it."""
        return self._association is not None

    @property
    def is_resting(self) -> bool:
        """Whether nothing has been asked, and nothing is on its way, for a moment."""
        since = self._association.waiting_since if self._association is not None else None
        return since is not None and time.monotonic() - since > RESTED_SECONDS

    def interrupt(self) -> None:
        """Abort the association as soon as what is being made durable has been answered."""
        if self._association is not None:
            self._association.interrupt()
        else:
            self.disconnect()

    def disconnect(self) -> None:
        """Break the connection."""
        with suppress(OSError):  # closed in the meantime
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def dismiss(self) -> None:
        """Break the connection to make room for another."""
        self.is_dismissed = True
        self.disconnect()

    def run(self, archive: Archive, callers: Callers, slots: Slots, committers: Executor) -> None:
        """Live through it. Nothing is raised; what matters is in the log, once."""
        connection = None
        try:
            self._shake_hands()
            connection = Connection(self._socket, self._timeouts, (self.address, self._port))
            admission = Admission(archive, callers, slots, connection)
            try:
                self._converse(connection, admission, committers)
            finally:
                admission.leave()
        except AssociationRefused as refused:
            log.warning(
                "association from %s at %s refused: %s",
                refused.proposal.calling_aet,
                self.address,
                refused.rejection.why,
            )
        except (AssociationAborted, OSError) as error:
            # Balancers and monitors connect only to see whether somebody is there.
            if connection is not None:
                nothing_said = not connection.has_heard
            else:
                nothing_said = isinstance(error, (ssl.SSLEOFError, ConnectionError))
            level = logging.DEBUG if self.is_dismissed or nothing_said else logging.WARNING
            log.log(level, "connection from %s: %s", self.address, error)
        except Exception:
            log.exception("connection from %s failed", self.address)
        finally:
            self._socket.close()

    def _shake_hands(self) -> None:
        """Begin TLS, where that is spoken on this port. Raises OSError."""
        if self._tls is None:
            return
        self._socket.settimeout(self._timeouts.connect)
        self._socket = self._tls.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket.do_handshake()

    def _converse(self, connection: Connection, admission: Admission, committers: Executor) -> None:
        association = accept(connection, admission.decide)
        session = Session(admission.archive, association, admission.device, committers)
        self._association = association

        def before_release() -> None:
            session.settle()
            admission.leave()  # who hears of the release may associate again at once

        association.before_release = before_release
        try:
            _serve(session)
        except AssociationAborted as aborted:
            log.warning("association with %s is over: %s", association.remote, aborted)
        except Exception:
            log.exception("association with %s aborted: a service failed", association.remote)
        finally:
            session.settle()
            association.abort()
            if session.stored or session.refused:
                log.info(
                    "%s: %d objects stored, %d refused",
                    association.remote,
                    session.stored,
                    session.refused,
                )


def _serve(session: Session) -> None:
    """Serve what is asked, one request after another, until the release."""
    association = session.association
    while (message := association.receive()) is not None:
        handler = handler_of(message)
        if handler is not None:
            handler(session, message)
        elif not message.command.is_response:
            answer = response_to(message.command, UNRECOGNIZED_OPERATION)
            association.send(message.context.id, answer)
