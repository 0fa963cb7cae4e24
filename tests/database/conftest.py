"""Folders for clusters of their own."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pacs.database.processes import postgres_in, send


@pytest.fixture(scope="module")
def cluster_folder() -> Iterator[Path]:
    """A folder for an embedded server, the same for all tests of a module: it takes a beating."""
    with _folder() as folder:
        yield folder


@pytest.fixture
def fresh_folder() -> Iterator[Path]:
    """A folder in which no server has been yet."""
    with _folder() as folder:
        yield folder


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="filmless-"))
    folder.chmod(0o711)
    try:
        yield folder / "postgres"
    finally:
        cluster = folder / "postgres" / "cluster"
        if cluster.exists():
            for process in postgres_in(cluster):
                send(process.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def as_root() -> None:
    """Skip where the test needs root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
