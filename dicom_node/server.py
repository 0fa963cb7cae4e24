"""The DICOM listener: one AE title, one port, and one more for TLS where there is a certificate."""

import logging
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from dicom_node.callers import Callers
from dicom_node.conversation import Conversation
from dicom_node.doors import BACKLOG, Door, open_doors
from dicom_node.slots import Slots, new_slots_file
from dicom_node.upper_layer.timeouts import Timeouts
from pacs.archive import Archive

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
ABORT_SECONDS = 4.0
# Connections beyond the limit of associations, so that these hear why they are refused.
CONNECTIONS_TO_REFUSE = 32
COMMITTERS = 8

_STANDS_BACK_SECONDS = 0.005
_BREATH_SECONDS = 0.1
_REMINDER_SECONDS = 10.0


class Node:
    """A running DICOM listener on an archive; a context manager.

    By itself it listens on `host` and `port` (0: a free one; `address` says which), and for TLS as
    the settings say. As one of several receivers it is given the doors that they share, and their
    slots for associations.
    """

    def __init__(
        self,
        archive: Archive,
        host: str = "",
        port: int = 0,
        *,
        doors: Sequence[Door] = (),
        slots: Slots | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.aet = archive.settings.aet
        self._archive = archive
        self._doors = list(doors)
        self.address = doors[0].address if doors else (host, port)
        """Host and port of the node's door without TLS."""
        self.tls_address: tuple[str, int] | None = None
        """Host and port of the node's door with TLS, where it has one."""
        self._slots = slots
        self._timeouts = timeouts or Timeouts()
        self._callers = Callers(archive.engine)
        self._most = archive.settings.max_associations + CONNECTIONS_TO_REFUSE
        self._conversations: dict[Conversation, threading.Thread] = {}
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._reminder = 0.0

    def start(self) -> None:
        """Begin to listen. Raises AddressUnavailable and TlsUnusable."""
        if not self._doors:
            self._doors = open_doors(self._archive.settings, *self.address)
        self.address = self._doors[0].address
        self.tls_address = next((door.address for door in self._doors if door.tls), None)
        if self._slots is None:
            self._slots = Slots(new_slots_file(self._archive.settings.max_associations))
        self._committers = ThreadPoolExecutor(COMMITTERS, "dicom-commit")
        self._wake, self._woken = socket.socketpair()
        for door in self._doors:
            door.listening.listen(BACKLOG)
            door.listening.setblocking(False)
        self._listener = threading.Thread(
            target=self._listen, args=(self._slots,), name="dicom-listener", daemon=True
        )
        self._listener.start()
        for door in self._doors:
            how = " over TLS" if door.tls is not None else ""
            log.info("DICOM%s: %s listens on %s:%d", how, self.aet, *door.address)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Accept no more; let associations come to their end for `grace` seconds, then abort them.

        Associations that nothing has been asked on are not waited for. An object that is being
        made durable is, and its sender hears of it.
        """
        if self._listener is None:
            return
        self._wake.close()
        self._listener.join()
        self._listener = None
        deadline = time.monotonic() + grace
        while (running := self._running()) and time.monotonic() < deadline:
            for conversation in running:
                if not conversation.has_begun or conversation.is_resting:
                    conversation.interrupt()
            time.sleep(0.05)
        for conversation in running:
            log.warning("association from %s aborted: shutting down", conversation.address)
            conversation.interrupt()
        self._wait_for_end(ABORT_SECONDS)
        for conversation in self._running():
            conversation.disconnect()
        self._wait_for_end(ABORT_SECONDS)
        self._committers.shutdown()
        if self._slots is not None:
            self._slots.close()
            self._slots = None

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

    def _listen(self, slots: Slots) -> None:
        doors = {door.listening.fileno(): door for door in self._doors}
        poll = select.poll()
        for descriptor in (*doors, self._woken.fileno()):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._woken.fileno() in ready:
                break
            if slots.is_busier_than_another():
                time.sleep(_STANDS_BACK_SECONDS)  # let another receiver have it
            for descriptor in ready:
                self._accept(doors[descriptor], slots)
        self._woken.close()
        for door in self._doors:
            door.listening.close()
        self._doors = []

    def _accept(self, door: Door, slots: Slots) -> None:
        try:
            accepted, address = door.listening.accept()
        except BlockingIOError:
            return  # another receiver was faster
        except OSError as error:
            log.warning("DICOM cannot take a connection: %s", error.strerror)
            time.sleep(_BREATH_SECONDS)
            return
        if not self._make_room(str(address[0])):
            accepted.close()
            return
        conversation = Conversation(accepted, address[:2], door.tls, self._timeouts)
        thread = threading.Thread(
            target=self._run, args=(conversation, slots), name="dicom-association", daemon=True
        )
        with self._lock:
            self._conversations[conversation] = thread
        try:
            thread.start()
        except RuntimeError:
            log.warning("connection from %s closed: no more threads can be had", address[0])
            self._forget(conversation)
            accepted.close()

    def _make_room(self, address: str) -> bool:
        """Whether one more connection may be, be it only to be refused.

        Those that have said nothing yet give way, the oldest first: a flood of connections must
        not keep a modality out.
        """
        with self._lock:
            if len(self._conversations) < self._most:
                return True
            silent = (c for c in self._conversations if not c.has_begun and not c.is_dismissed)
            oldest = next(silent, None)
        now = time.monotonic()
        if now >= self._reminder:
            self._reminder = now + _REMINDER_SECONDS
            log.warning(
                "connection from %s: there are %d already; those that say nothing are closed",
                address,
                self._most,
            )
        if oldest is None:
            return False
        oldest.dismiss()
        return True

    def _run(self, conversation: Conversation, slots: Slots) -> None:
        try:
            conversation.run(self._archive, self._callers, slots, self._committers)
        finally:
            self._forget(conversation)

    def _forget(self, conversation: Conversation) -> None:
        with self._lock:
            del self._conversations[conversation]

    def _running(self) -> list[Conversation]:
        with self._lock:
            return list(self._conversations)

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._conversations.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def run(
    archive: Archive, doors: Sequence[Door], slots: Slots, ready: Callable[[str], None]
) -> None:
    """Listen until SIGTERM or SIGINT, calling `ready` with AE title, host and port once it does.

    Must be called on the main thread of its process.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with Node(archive, doors=doors, slots=slots) as node:
        ready(f"{node.aet} on {node.address[0]}:{node.address[1]}")
        stop.wait()
