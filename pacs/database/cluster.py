"""Make the embedded PostgreSQL's files: whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from pacs.database.account import Account
from pacs.database.binaries import Binaries
from pacs.database.errors import DatabaseUnavailable, DataDirectoryError

DATABASE = "filmless"
"""The name of the embedded server's database and of its user."""

_BUILTIN_LOCALES_SINCE = 17

# What an administrator may change in cluster/postgresql.conf.
_CONFIGURATION = """
# Filmless: sized for one modest server.
max_connections = 100
shared_buffers = 256MB
effective_cache_size = 1GB
maintenance_work_mem = 128MB
max_wal_size = 2GB
checkpoint_completion_target = 0.9
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def make_cluster(directory: Path, binaries: Binaries, account: Account) -> None:
    """Make `directory/cluster` and `directory/password`.

    It is made beside its place and moved there when it is whole and on disk, so that a half-made
    one is never taken for a database. Raises DataDirectoryError for a full disk and
    DatabaseUnavailable for whatever else initdb complains of.
    """
    workplace = directory / "cluster.new"
    shutil.rmtree(workplace, ignore_errors=True)
    try:
        workplace.mkdir(mode=0o700)
        password = secrets.token_urlsafe(32)
        password_file = workplace / "password"
        _write_private(password_file, password)
        account.give(password_file)
        account.give(workplace)
        _initdb(workplace / "cluster", password_file, binaries, account)
        with (workplace / "cluster" / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        _write_private(directory / "password", password)
        (workplace / "cluster").rename(directory / "cluster")
        _sync_folder(directory)
    except OSError as error:
        raise failure("the database could not be made", str(error), directory) from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _initdb(cluster: Path, password_file: Path, binaries: Binaries, account: Account) -> None:
    locale = ["--locale=C"]
    if binaries.major >= _BUILTIN_LOCALES_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    answer = subprocess.run(  # noqa: S603
        [
            *account.prefix,
            binaries.initdb,
            f"--pgdata={cluster}",
            f"--username={DATABASE}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--text-search-config=simple",
            "--data-checksums",
            *locale,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if answer.returncode != 0:
        raise failure("the database could not be made", answer.stderr, cluster.parent.parent)


def failure(what: str, cause: str, where: Path) -> DatabaseUnavailable | DataDirectoryError:
    """The error for what PostgreSQL's programs, or the system under them, said went wrong."""
    if "No space left on device" in cause:
        return DataDirectoryError(f"the disk that holds {where} is full: make room and start again")
    lines = cause.strip().splitlines() or ["no reason given"]
    told = next((line for line in lines if "error:" in line or "FATAL:" in line), lines[-1])
    return DatabaseUnavailable(f"{what} ({where}): {told}")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, durably and in one step."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
