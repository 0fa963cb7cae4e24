"""Objects on their way in: temporary files that no crash leaves behind for long.

Each store that is open has a folder of its own under ``.incoming`` and keeps a lock in it. Opening
a store removes the folders whose lock nobody holds, that is those of dead processes. Process
numbers would not do: containers that share a directory do not share them.
"""

import fcntl
import itertools
import os
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from storage.errors import StoreError, disk_error

INCOMING = ".incoming"
_LOCK = "lock"
_BEGIN_BYTES = 1 << 20


class Staging:
    """The temporary files of one open store, under `root`.

    Raises:
        StoreUnavailable: `root` cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self._numbers = itertools.count()
        self._lock: int | None
        incoming = root / INCOMING
        try:
            incoming.mkdir(mode=0o700, exist_ok=True)
            _remove_leftovers(incoming)
            self.folder, self._lock = _claim_folder(incoming)
        except OSError as error:
            raise disk_error(error, root) from error
        self._prefix = f"{self.folder}{os.sep}"

    def new_path(self) -> str:
        """Return a path of its own for one temporary file."""
        return f"{self._prefix}{next(self._numbers)}"

    def close(self) -> None:
        """Remove what is left and let go of the folder; a second call does nothing."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            _remove_folder(self.folder)
        except OSError as error:
            raise disk_error(error, self.folder) from error
        finally:
            os.close(lock)


class StagedWriter:
    """An ObjectWriter into a temporary file, which `publish` turns into the object at commit.

    Nothing is left under the temporary name once `publish` has succeeded.
    """

    def __init__(
        self, staging: Staging, key: str, publish: Callable[["StagedWriter"], None]
    ) -> None:
        self.key = key
        self.size = 0
        self._begun = 0
        self.path = staging.new_path()
        self._folder = staging.folder
        self._publish = publish
        self._state: Literal["open", "committed", "aborted"] = "open"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise disk_error(error, staging.folder, key=key) from error

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data` without copying it; a failed write aborts the object."""
        self._check_open()
        view = memoryview(data)
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        try:
            done = os.write(self._file, view)
            while done < len(view):
                done += os.write(self._file, view[done:])
        except OSError as error:
            self.abort()
            raise disk_error(error, self._folder, key=self.key) from error
        self.size += len(view)
        if self.size - self._begun >= _BEGIN_BYTES:
            self._begin_to_sync()

    def read_back(self) -> BinaryIO:
        """Return a seekable view of what was written so far; the caller closes it."""
        self._check_open()
        try:
            return open(self.path, "rb")  # noqa: PTH123 - a string: see Staging.new_path
        except OSError as error:
            raise disk_error(error, self._folder, key=self.key) from error

    def _begin_to_sync(self) -> None:
        """Have the system begin to write what it holds back, while more is on its way.

        A hint: the pages are asked to go, which makes the system write them, and stay as long as
        they are being written.
        """
        if sys.platform == "linux":
            length = self.size - self._begun
            os.posix_fadvise(self._file, self._begun, length, os.POSIX_FADV_DONTNEED)
        self._begun = self.size

    def sync(self) -> None:
        """Bring the bytes to the disk; OSError as the system says it."""
        os.fsync(self._file)

    def commit(self) -> None:
        """Store the object; whatever fails, nothing of it stays but the error."""
        self._check_open()
        try:
            self._publish(self)
        except BaseException:
            self.abort()
            raise
        self._end("committed")

    def abort(self) -> None:
        """Forget what was written; does nothing once the writer has ended."""
        if self._state == "open":
            self._end("aborted")
            with suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()

    def _check_open(self) -> None:
        if self._state != "open":
            raise StoreError(f"object {self.key!r} was {self._state} already", key=self.key)

    def _end(self, state: Literal["committed", "aborted"]) -> None:
        self._state = state
        os.close(self._file)


def _claim_folder(incoming: Path) -> tuple[Path, int]:
    while True:
        folder = incoming / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_still(folder / _LOCK, lock):
            return folder, lock
        os.close(lock)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove_leftovers(incoming: Path) -> None:
    for folder in incoming.iterdir():
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Either its owner is about to lock it and will take another name, or died before it.
            with suppress(OSError):
                folder.rmdir()
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _remove_folder(folder)
        finally:
            os.close(lock)


def _remove_folder(folder: Path) -> None:
    # The lock goes last: a folder without one is never looked into again.
    for file in folder.iterdir():
        if file.name != _LOCK:
            file.unlink(missing_ok=True)
    (folder / _LOCK).unlink(missing_ok=True)
    folder.rmdir()
