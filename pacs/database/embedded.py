"""The PostgreSQL that the product brings along: one cluster in one folder, run as our own child.

It listens on a Unix socket only, asks for a password that stands in a file of mode 0600, and is
brought back from whatever state a power cut or `kill -9` has left it in.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from pacs.database import processes, sockets
from pacs.database.account import Account, server_account
from pacs.database.binaries import Binaries, find_binaries
from pacs.database.cluster import DATABASE, failure, make_cluster
from pacs.database.errors import DatabaseUnavailable, DatabaseUnsupported, DataDirectoryError
from pacs.database.lock import FolderLock

_LOG_LIMIT = 16 << 20
_ORPHAN_SECONDS = 30.0
_ANSWER_SECONDS = 60.0
_PATIENCE_SECONDS = 2.0  # an owner that was killed takes a moment to be gone

# What must hold, whatever postgresql.conf says. Errors are answered to the program, which decides
# what to log; the server's own log would repeat statements and keys, and those hold patient data.
_FIXED = {
    "listen_addresses": "",
    "port": str(sockets.PORT),
    "fsync": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "logging_collector": "off",
    "log_destination": "stderr",
}


def silent(_line: str) -> None:
    """For callers that show no progress."""


class EmbeddedPostgres:
    """The cluster in `directory`, owned by at most one process of this machine at a time.

    `directory` gets: `cluster/` (PostgreSQL's data), `socket/`, `password`, `postgres.log`, `lock`.
    """

    def __init__(self, directory: Path, say: Callable[[str], None] = silent) -> None:
        self.directory = directory.absolute()
        self.cluster = self.directory / "cluster"
        self.log = self.directory / "postgres.log"
        self._say = say
        self._lock = FolderLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

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

    def start(self, *, patience: float = _PATIENCE_SECONDS) -> str:
        """Start the server, making the cluster first where there is none; returns its URL.

        Waits up to `patience` seconds for another process to give the cluster up. Raises
        DataDirectoryInUse when it does not, DatabaseUnsupported when the files are of another major
        version, DataDirectoryError for a full disk or a folder out of reach, DatabaseUnavailable
        when the server does not come up.
        """
        _make_folder(self.directory)
        self._lock.acquire(self._say, patience=patience)
        try:
            self._run()
        except BaseException:
            self.stop()
            raise
        return self.url

    def restart(self) -> None:
        """Start the server again after it died; the lock is still ours. Raises as `start` does."""
        self._reap()
        self._run()

    @property
    def url(self) -> str:
        """Where the server answers, password included."""
        password = quote((self.directory / "password").read_text().strip(), safe="")
        host = quote(str(sockets.folder(self.directory)), safe="")
        return (
            f"postgresql://{DATABASE}:{password}@/{DATABASE}?host={host}&require_auth=scram-sha-256"
        )

    def alive(self) -> bool:
        """Whether our server process runs."""
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Wait for the server process to end; False when it still runs."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown: transactions that are open are undone, everything committed is kept."""
        if self.alive() and self._process is not None:
            processes.send(self._process.pid, signal.SIGINT)
            if not self.wait(60):
                processes.send(self._process.pid, signal.SIGQUIT)
        self._reap()
        sockets.remove_if_outside(self.directory)
        self._lock.release()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _run(self) -> None:
        binaries = find_binaries()
        account = server_account(self.cluster, binaries.postgres)
        if not self.cluster.exists():
            self._say("making a new database (first start)")
            make_cluster(self.directory, binaries, account)
        self._refuse_other_version(binaries)
        self._take_down_leftovers()
        self._spawn(binaries, account)
        self._wait_until_ready()

    def _refuse_other_version(self, binaries: Binaries) -> None:
        version = self.cluster / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else "no"
        if found != str(binaries.major):
            raise DatabaseUnsupported(
                f"the database in {self.cluster} is of PostgreSQL {found}, this program runs"
                f" PostgreSQL {binaries.major}: start the version of Filmless that made it and move"
                " the data with pg_dump, or name a server in PACS_DATABASE_URL"
            )

    def _take_down_leftovers(self) -> None:
        """End what an owner that was killed has left running, and its lock file with it."""
        leftovers = processes.postgres_in(self.cluster)
        if leftovers:
            self._say("shutting down the PostgreSQL that a killed process has left behind")
            pids = {process.pid for process in leftovers}
            heads = [process.pid for process in leftovers if process.parent not in pids]
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                for pid in heads:
                    processes.send(pid, number)
                if processes.wait_until_none(self.cluster, _ORPHAN_SECONDS):
                    break
                heads = [process.pid for process in processes.postgres_in(self.cluster)]
            else:
                raise DataDirectoryError(
                    f"PostgreSQL processes in {self.cluster} cannot be ended: "
                    + ", ".join(str(process.pid) for process in leftovers)
                )
        # PostgreSQL itself would believe these when their number is a zombie's or a stranger's.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        sockets.clear(self.directory)

    def _spawn(self, binaries: Binaries, account: Account) -> None:
        sockets.provide(self.directory, account)
        settings = {**_FIXED, "unix_socket_directories": str(sockets.folder(self.directory))}
        command: list[str | Path] = [*account.prefix, *_shut_down_with_us()]
        command += [binaries.postgres, "-D", self.cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._open_log() as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                # Its own session: Ctrl-C is for the supervisor, which stops the server last.
                start_new_session=True,
            )

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _wait_until_ready(self) -> None:
        """Wait as long as the process lives: recovery after a crash takes its time."""
        started = said = time.monotonic()
        while True:
            try:
                with psycopg.connect(self.url, dbname="postgres", autocommit=True) as connection:
                    _create_database(connection)
                return
            except psycopg.OperationalError as error:
                if not self.alive():
                    raise failure(
                        "PostgreSQL did not start", self._last_words(), self.log
                    ) from error
                if "password authentication failed" in str(error):
                    raise DataDirectoryError(
                        f"{self.directory / 'password'} is not the password of the database in"
                        f" {self.cluster}: put the file back from a backup"
                    ) from error
                if not _is_recovering(error) and time.monotonic() - started > _ANSWER_SECONDS:
                    raise DatabaseUnavailable(
                        f"PostgreSQL runs but does not answer ({self.log}): {error}"
                    ) from error
            if time.monotonic() - said > 3:
                said = time.monotonic()
                self._say(f"PostgreSQL is recovering ({said - started:.0f} s)")
            time.sleep(0.02)

    def _last_words(self) -> str:
        """The last lines of the server's log that say why it stopped."""
        lines = self.log.read_text(errors="replace").splitlines()[-20:]
        return next((line for line in lines if "FATAL" in line or "PANIC" in line), lines[-1])


def _is_recovering(error: psycopg.OperationalError) -> bool:
    return "starting up" in str(error) or "not yet accepting connections" in str(error)


def _shut_down_with_us() -> tuple[str, ...]:
    """The words before a command that have it told to shut down when this process dies."""
    setpriv = shutil.which("setpriv")
    # The kernel sends the signal when the thread ends that started the child, not the process.
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return ()
    return (setpriv, "--pdeathsig=INT", "--")


def _create_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    if not connection.execute(
        "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
    ).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _make_folder(folder: Path, mode: int | None = None) -> None:
    """Make a folder of ours; under root others may pass, since the server's user has to."""
    if mode is None:
        mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(mode)
    except OSError as error:
        raise DataDirectoryError(f"{folder} cannot be used: {error.strerror}") from error
