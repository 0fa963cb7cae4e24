"""Objects in a directory: one file an object, whole before anybody can see it, and on the disk
before its writer hears that it is stored.

After a power cut an object whose writer heard nothing may be there with its end missing; after the
death of a process only whole ones are.
"""

import builtins
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from storage.errors import ObjectNotFound, StoreError, StoreUnavailable, disk_error
from storage.folders import make_folder, make_root, names_go_with_files, sync_folder
from storage.keys import check_key, check_prefix, is_visible
from storage.locks import SharedLock, file_lock
from storage.staging import StagedWriter, Staging
from storage.store import ObjectStat

_RENAME_ATTEMPTS = 5


class LocalStore:
    """An ObjectStore in the directory `root`, which is made where it is missing.

    Several processes may use one directory. A key may not run through another object: where
    ``a`` is stored, ``a/b`` cannot be.

    Raises:
        StoreUnavailable: `root` cannot be made or used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._rename_lock = self.root / ".rename.lock"
        self._renaming = SharedLock(self._rename_lock)
        self._lasting_folders = {str(self.root)}
        self._prefix = f"{self.root}{os.sep}"
        make_root(self.root)
        self._staging = Staging(self.root)
        self._names_go_with_files = names_go_with_files(self.root)

    def create(self, key: str) -> StagedWriter:
        """Begin an object; see `ObjectStore.create`."""
        check_key(key)
        return StagedWriter(self._staging, key, self._publish)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole; durable on return."""
        check_key(key)
        self._put(key, data)

    def open(self, key: str) -> BinaryIO:
        """Return the object as a seekable stream; raises ObjectNotFound."""
        return os.fdopen(self._open(key), "rb")

    def read(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, fewer where the object ends before."""
        if start < 0 or length < 0:
            raise ValueError("start and length of a range cannot be negative")
        file = self._open(key)
        try:
            end = min(start + length, os.fstat(file).st_size)
            data = os.pread(file, end - start, start) if start < end else b""
            if start + len(data) < end:
                data += _read_on(file, start + len(data), end)
            return data
        except OSError as error:
            raise disk_error(error, self.root, key=key) from error
        finally:
            os.close(file)

    def stat(self, key: str) -> ObjectStat:
        """Return size and time of an object; raises ObjectNotFound."""
        file = self._open(key)
        try:
            return _object_stat(key, os.fstat(file))
        finally:
            os.close(file)

    def delete(self, key: str) -> None:
        """Remove an object for good; it may be gone already."""
        check_key(key)
        self._delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield each object whose key begins with `prefix`, in no order."""
        check_prefix(prefix)
        return self._walk(prefix)

    def presign(self, key: str, expires: timedelta) -> str | None:
        """Return None: files have no URLs."""
        check_key(key)
        return None

    def check(self) -> None:
        """Write and remove a small object; raises StoreUnavailable or StoreFull if that fails."""
        probe = f".probe/{uuid.uuid4().hex}"
        self._put(probe, bytes(4096))
        self._delete(probe)

    def close(self) -> None:
        """Remove this store's temporary files."""
        self._staging.close()
        self._renaming.close()

    def discard(self, key: str, file: BinaryIO) -> bool:
        """Remove the object only if it is still the open `file`, not one that replaced it.

        Returns whether the object is gone. Needs no ObjectNotFound: gone is gone.
        """
        path = self._path(key)
        with file_lock(self._rename_lock):
            try:
                if not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return False
                path.unlink()
            except FileNotFoundError:
                return True
            except OSError as error:
                raise disk_error(error, self.root, key=key) from error
        return True

    def _path(self, key: str) -> Path:
        return self.root / key

    def _open(self, key: str) -> int:
        check_key(key)
        try:
            file = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_root()
            raise ObjectNotFound(key) from error
        except OSError as error:
            raise disk_error(error, self.root, key=key) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise ObjectNotFound(key)
        return file

    def _check_root(self) -> None:
        # Without this an unmounted disk would look like an archive in which everything is lost.
        if not self._staging.folder.is_dir():
            raise StoreUnavailable(
                f"the directory {self.root} has gone or was emptied: mount or restore it, "
                "then restart"
            )

    def _put(self, key: str, data: bytes) -> None:
        with StagedWriter(self._staging, key, self._publish) as writer:
            writer.write(data)
            writer.commit()

    def _publish(self, writer: StagedWriter) -> None:
        # Strings instead of paths here: building those costs as much as a small object's write.
        target = f"{self._prefix}{writer.key}"
        folder = os.path.dirname(target)  # noqa: PTH120
        try:
            if os.path.lexists(target):
                writer.sync()  # what is there stays until the new bytes are on the disk
            self._rename(writer, folder, target)
            self._sync(writer, folder, target)
        except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise StoreError(
                f"key {writer.key!r} runs through another object of this directory", key=writer.key
            ) from error
        except OSError as error:
            raise disk_error(error, self.root, key=writer.key) from error

    def _rename(self, writer: StagedWriter, folder: str, target: str) -> None:
        for attempt in range(1, _RENAME_ATTEMPTS + 1):
            try:
                if folder not in self._lasting_folders:
                    self._make_lasting(Path(folder))
                with self._renaming.held():
                    os.rename(writer.path, target)  # noqa: PTH104
                return
            except FileNotFoundError:
                if attempt == _RENAME_ATTEMPTS:
                    raise
                self._check_root()
                self._forget(Path(folder))

    def _sync(self, writer: StagedWriter, folder: str, target: str) -> None:
        """Bring bytes and name to the disk, or take the name away again.

        After the rename, so that one commit of the file system's journal takes both. Each commit
        carries everybody's bytes: to wait for two of them halves what eight senders get through.
        """
        try:
            writer.sync()
            if not self._names_go_with_files:
                sync_folder(folder)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(target)  # noqa: PTH108
            raise

    def _make_lasting(self, folder: Path) -> None:
        # Also where the folder is there: the process that made it may not have synced it yet.
        if str(folder) in self._lasting_folders:
            return
        parent = folder.parent
        self._make_lasting(parent)
        make_folder(folder)
        sync_folder(parent)
        self._lasting_folders.add(str(folder))

    def _forget(self, folder: Path) -> None:
        while folder != self.root:
            self._lasting_folders.discard(str(folder))
            folder = folder.parent

    def _delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
            sync_folder(path.parent)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._check_root()
        except OSError as error:
            raise disk_error(error, self.root, key=key) from error

    def _walk(self, prefix: str) -> Iterator[ObjectStat]:
        self._check_root()
        above, _, start = prefix.rpartition("/")
        folders = [(above, start)]
        while folders:
            folder, beginning = folders.pop()
            for entry in self._entries(self._path(folder)):
                key = f"{folder}/{entry.name}" if folder else entry.name
                if not entry.name.startswith(beginning) or not is_visible(key):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append((key, ""))
                    continue
                try:
                    yield _object_stat(key, entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue

    def _entries(self, path: Path) -> builtins.list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return [*entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise disk_error(error, self.root) from error


def _object_stat(key: str, status: os.stat_result) -> ObjectStat:
    return ObjectStat(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _read_on(file: int, start: int, end: int) -> bytes:
    # One system call reads 2 GiB at most.
    pieces = []
    while start < end and (piece := os.pread(file, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)
