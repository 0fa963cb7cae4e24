"""`pacs serve`: bring the database and the parts up, keep them up, take them down in order."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pacs.database.data_directory import prepare
from pacs.database.embedded import EmbeddedPostgres
from pacs.database.engine import connect, libpq_url
from pacs.database.errors import DatabaseError, DatabaseUnavailable
from pacs.database.lock import FolderLock
from pacs.database.migrate import migrate
from pacs.errors import PacsError
from pacs.serve.child import Child
from pacs.serve.parts import PARTS_LOCK, PartName
from pacs.serve.ports import PortUnavailable, claim
from pacs.serve.receivers import Receivers
from pacs.settings import Settings
from storage.errors import StoreFull, StoreUnavailable
from storage.spool import SpooledStore
from storage.store import open_store

_TICK_SECONDS = 0.1
_RETRY_SECONDS = 3.0
_STOP_SECONDS = 40.0
# A part that cannot start is told to the administrator by giving up, once it is no coincidence.
_HOPELESS_DEATHS = 4
_OTHER_COMMANDS_SECONDS = 600.0

_PORTS = {
    "http_port": ("the web", "--http-port"),
    "dicom_port": ("DICOM", "--dicom-port"),
    "dicom_tls_port": ("DICOM over TLS", "PACS_DICOM_TLS_PORT"),
}

_T = TypeVar("_T")


class PartFailed(PacsError):
    """A part cannot be started; its own lines before this say why."""


class _Stopped(Exception):
    """Somebody has asked us to stop while we were still starting."""


def say(line: str) -> None:
    """Tell whoever started us what is going on."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def serve(settings: Settings, parts: Sequence[PartName]) -> None:
    """Run the parts until SIGTERM or SIGINT; what is in flight is finished, then it returns.

    Prints `ready` and the addresses on standard output once every part answers. Raises PacsError
    or StoreError when something about the configuration or this machine has to be changed first.
    """
    os.umask(0o077)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    prepare(settings.data_dir)
    lock = FolderLock(settings.data_dir)
    lock.acquire(say, patience=2.0)
    try:
        _wait_for_orphans(settings)
        settings = _with_ports(settings, parts)
        _check_store(settings, stop)
        with (
            _receivers(settings, parts) as receivers,
            _database(settings, stop) as (server, url),
        ):
            _Supervisor(settings, parts, url, server=server, receivers=receivers, stop=stop).run()
    except _Stopped:
        return
    finally:
        lock.release()


def _wait_for_orphans(settings: Settings) -> None:
    """Parts of a supervisor that was killed finish what is in flight, on ports that we need."""
    running = FolderLock(settings.data_dir, PARTS_LOCK)
    running.acquire(say, patience=_STOP_SECONDS)
    running.release()


def _with_ports(settings: Settings, parts: Sequence[PartName]) -> Settings:
    """The settings with real port numbers in place of 0."""
    ports: dict[str, int] = {}
    if "api" in parts:
        ports["http_port"] = claim(settings.host, settings.http_port, "--http-port")
    if "dicom" in parts:
        ports["dicom_port"] = claim(settings.host, settings.dicom_port, "--dicom-port")
        if settings.dicom_tls_port is not None:
            ports["dicom_tls_port"] = claim(
                settings.host, settings.dicom_tls_port, "dicom_tls_port"
            )
    for port in ports.values():
        several = [name for name, other in ports.items() if other == port]
        if len(several) > 1:
            first, second = (_PORTS[name] for name in several[:2])
            raise PortUnavailable(
                f"port {port} cannot serve both {first[0]} and {second[0]}:"
                f" choose another with {first[1]} or {second[1]}"
            )
    return settings.model_copy(update=ports)


@contextmanager
def _receivers(settings: Settings, parts: Sequence[PartName]) -> Iterator[Receivers | None]:
    """What the receivers of DICOM share, where there are to be any."""
    if "dicom" not in parts:
        yield None
        return
    receivers = Receivers(settings)
    try:
        yield receivers
    finally:
        receivers.close()


@contextmanager
def _database(
    settings: Settings, stop: threading.Event
) -> Iterator[tuple[EmbeddedPostgres | None, str]]:
    """The database, up and migrated; the embedded one is stopped last of all."""
    if settings.database_url is not None:
        url = libpq_url(settings.database_url)
        _patiently(lambda: migrate(url, say), DatabaseUnavailable, stop)
        yield None, url
        return
    say("starting PostgreSQL")
    server = EmbeddedPostgres(settings.data_dir / "postgres", say)
    server.start(patience=_OTHER_COMMANDS_SECONDS)
    try:
        migrate(server.url, say)
        yield server, server.url
    finally:
        server.stop()


def _check_store(settings: Settings, stop: threading.Event) -> None:
    store = open_store(settings.object_store_url, spool=settings.spool_dir, ack=settings.ack)
    passing = (StoreUnavailable, StoreFull)
    try:
        if not isinstance(store, SpooledStore):
            _patiently(store.check, passing, stop)
            return
        _patiently(store.check_spool, passing, stop)
        try:
            store.check_remote()
        except passing as error:
            say(f"pacs: {error} - until then, what arrives waits safely in {settings.spool_dir}")
    finally:
        store.close()


def _patiently(
    attempt: Callable[[], _T],
    passing: type[Exception] | tuple[type[Exception], ...],
    stop: threading.Event,
) -> _T:
    """Try until it succeeds, saying every few seconds why it does not."""
    while True:
        try:
            return attempt()
        except passing as error:
            say(f"pacs: {error} - trying again every {_RETRY_SECONDS:g} s")
        if stop.wait(_RETRY_SECONDS):
            raise _Stopped


class _Supervisor:
    """The parts and the embedded database, once everything that can be checked before is fine."""

    def __init__(
        self,
        settings: Settings,
        parts: Sequence[PartName],
        url: str,
        *,
        server: EmbeddedPostgres | None,
        receivers: Receivers | None,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._url = url
        self._server = server
        self._stop = stop
        self._receivers = receivers
        self._children = [child for name in parts for child in self._children_of(name)]
        self._announced = False
        self._next_database_start = 0.0

    def run(self) -> None:
        """Keep everything running until told to stop. Raises PartFailed."""
        try:
            if self._stop.is_set():
                return
            say(f"starting {', '.join(self._parts)}")
            for child in self._children:
                child.start()
            while not self._stop.wait(_TICK_SECONDS):
                self._tend_database()
                self._tend_children()
                if not self._announced and all(child.ready for child in self._children):
                    self._announce()
            say("stopping")
        finally:
            if self._receivers is not None:
                self._receivers.close()
            for child in self._children:
                child.ask_to_stop()
            deadline = time.monotonic() + _STOP_SECONDS
            for child in self._children:
                if not child.wait(max(0.1, deadline - time.monotonic())):
                    say(f"pacs: {child.name} did not end in time and was killed")

    def _children_of(self, name: PartName) -> list[Child]:
        receivers = self._receivers
        if name != "dicom" or receivers is None:
            return [Child(name, self._settings, self._url)]
        return [
            Child(
                name,
                self._settings,
                self._url,
                receiver=receivers.order(number),
                descriptors=receivers.descriptors,
            )
            for number in range(1, receivers.count + 1)
        ]

    def _tend_database(self) -> None:
        server = self._server
        if server is None or server.alive() or time.monotonic() < self._next_database_start:
            return
        say("pacs: PostgreSQL has ended; starting it again")
        try:
            server.restart()
        except DatabaseError as error:
            self._next_database_start = time.monotonic() + _RETRY_SECONDS
            say(f"pacs: {error}")

    def _tend_children(self) -> None:
        for child in self._children:
            news = child.tend()
            if news is None:
                continue
            if not self._announced and child.deaths_in_a_row >= _HOPELESS_DEATHS:
                raise PartFailed(f"{child.name} cannot be started; the lines before this say why")
            say(f"pacs: {news}")

    def _announce(self) -> None:
        self._announced = True
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        addresses = {
            "api": f"http://{host}:{settings.http_port}",
            "dicom": f"dicom://{settings.aet}@{host}:{settings.dicom_port}",
            "worker": "worker",
        }
        sys.stdout.write(f"ready {' '.join(addresses[name] for name in self._parts)}\n")
        sys.stdout.flush()
        if "api" in self._parts:
            _remind_of_users(self._url)


def _remind_of_users(url: str) -> None:
    from pacs.people.users import list_users

    engine = connect(url, pool_size=1)
    try:
        with engine.connect() as connection:
            there_are_some = bool(list_users(connection))
    except DatabaseError as error:
        say(f"pacs: {error}")
    else:
        if not there_are_some:
            say("nobody can sign in yet: pacs users add NAME --role admin makes the first account")
    finally:
        engine.dispose()
