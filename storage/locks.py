"""Locks that threads and processes of one machine share by a file; they end with their process."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import disk_error


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone.

    Raises:
        StoreUnavailable: the lock file cannot be made.
    """
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


class SharedLock:
    """The lock file `path` held together with others who hold it so, and with nobody alone.

    The file stays open, so that holding it costs no more than counting where many threads do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._lock: int | None = None
        self._holders = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it. Raises StoreUnavailable where the lock file cannot be made."""
        with self._mutex:
            if self._lock is None:
                self._lock = _open(self._path)
            if self._holders == 0:
                fcntl.flock(self._lock, fcntl.LOCK_SH)
            self._holders += 1
        try:
            yield
        finally:
            with self._mutex:
                self._holders -= 1
                if self._holders == 0:
                    fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; it is opened again by whoever holds it next."""
        with self._mutex:
            if self._lock is not None and self._holders == 0:
                os.close(self._lock)
                self._lock = None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
