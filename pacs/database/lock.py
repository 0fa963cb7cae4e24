"""A lock on a folder that ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pacs.database.errors import DataDirectoryInUse


class FolderLock:
    """An advisory lock (`flock`) on a file in `folder`; the file names its holder for people."""

    def __init__(self, folder: Path, name: str = "lock") -> None:
        self._path = folder / name
        self._file: IO[str] | None = None

    def acquire(
        self, say: Callable[[str], None], *, patience: float = 0.0, shared: bool = False
    ) -> None:
        """Take the lock, waiting up to `patience` seconds. Raises DataDirectoryInUse.

        Any number of processes may hold it `shared`, as long as none holds it alone.
        """
        deadline = time.monotonic() + patience
        told = False
        while not self._try(shared):
            if time.monotonic() >= deadline:
                raise DataDirectoryInUse(
                    f"{self._path.parent} is in use by {self.holder()}:"
                    " stop that first, or choose another data directory"
                )
            if not told:
                say(f"waiting for {self.holder()}")
                told = True
            time.sleep(0.05)
        if not shared:
            self._sign()

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> str:
        """Who holds the lock alone, as far as its file tells."""
        try:
            return self._path.read_text().strip() or "another process"
        except OSError:
            return "another process"

    def _try(self, shared: bool) -> bool:
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def _sign(self) -> None:
        if self._file is not None:
            self._file.truncate(0)
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
            self._file.write(f"process {os.getpid()} ({command})\n")
            self._file.flush()
