"""The hospital's own PostgreSQL: Debian's, one a session, on a free port of this machine."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.plugins.ports import free_port

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_START_SECONDS = 30
_STOP_SECONDS = 120


class DebianPostgres:
    """A cluster in `folder`, reached over TCP with a password."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = _BINARIES[-1]
        self._password = secrets.token_hex(16)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        password_file = folder / "password"
        password_file.write_text(self._password)
        if os.getuid() == 0:
            for path in (folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        self._run(
            "initdb",
            *("-D", str(folder / "cluster"), "-U", "postgres", "--pwfile", str(password_file)),
            *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"),
        )

    def url(self, database: str) -> str:
        """The address of a database of this server."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and return once it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._as_postgres(),
                    str(self._bin / "postgres"),
                    *("-D", str(self._folder / "cluster"), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"unix_socket_directories={self._folder}"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL did not start:\n{self._log_text()}")
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Fast shutdown."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def _log_text(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-3000:]

    def new_database(self) -> str:
        """The address of a new, empty database."""
        name = f"filmless_{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_postgres(), str(self._bin / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)

    def _as_postgres(self) -> list[str]:
        if os.getuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[DebianPostgres]:
    """A running server, ended with the session."""
    if not _BINARIES:
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="filmless-pg-"))
    server = DebianPostgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def hospital_database_url(debian_postgres: DebianPostgres) -> str:
    """A new, empty database on it."""
    make: Callable[[], str] = debian_postgres.new_database
    return make()
