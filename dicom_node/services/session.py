"""What serves one association, from its request to its end."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor

from dicom_node.errors import AssociationAborted
from dicom_node.upper_layer.association import Association
from pacs.archive import Archive
from pacs.commitment import Commitment
from pacs.devices import Device

log = logging.getLogger(__name__)


class Session:
    """An admitted peer on an association, and the archive that it is served from."""

    def __init__(
        self,
        archive: Archive,
        association: Association,
        device: Device | None,
        committers: Executor,
    ) -> None:
        self.archive = archive
        self.association = association
        self.device = device
        """The known device on the other side; None: a program of this machine that is none."""
        self.stored = self.refused = 0
        self.reports: dict[int, Commitment] = {}
        """Storage commitments reported on this association, by the message ID of the report."""
        self._committers = committers
        self._window = association.terms.window.invoked
        self._places = threading.Semaphore(self._window)
        self._counting = threading.Lock()

    def complete(self, work: Callable[[], None]) -> None:
        """Do what makes a request's result durable and answers it.

        Here and now; or, where the peer may have several operations under way at once (PS3.7
        D.3.3.3), beside the receiving of the next, in any order. Raises AssociationAborted.
        """
        if self._window == 1:
            work()
            return
        self._places.acquire()
        try:
            self._committers.submit(self._complete_beside, work)
        except BaseException:
            self._places.release()
            raise

    def settle(self) -> None:
        """Wait until everything that has been begun is complete."""
        if self._window > 1:
            for _ in range(self._window):
                self._places.acquire()
            self._places.release(self._window)

    def count(self, *, stored: bool) -> None:
        """One more object has come, and was stored or refused."""
        with self._counting:
            if stored:
                self.stored += 1
            else:
                self.refused += 1

    def _complete_beside(self, work: Callable[[], None]) -> None:
        try:
            work()
        except AssociationAborted:
            log.debug("%s: an answer could not be sent", self.association.remote)
        except Exception:
            log.exception("%s: a request could not be answered", self.association.remote)
            self.association.disconnect()
        finally:
            self._places.release()
