"""Objects that are safe on this machine at once and go to another store in time."""

import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from storage.errors import ObjectNotFound
from storage.keys import check_key
from storage.local import LocalStore
from storage.locks import file_lock
from storage.staging import StagedWriter
from storage.store import ObjectStat, ObjectStore

_LOCKS = 256


class RemoteStore(ObjectStore, Protocol):
    """A store that can take a file and vouch for what it has taken."""

    def send(self, key: str, file: BinaryIO, size: int) -> None:
        """Store the `size` bytes of `file`; raises ChecksumMismatch where they came out others."""


class SpooledStore:
    """An ObjectStore that writes to `local` and, by `upload`, moves objects to `remote`.

    An object is in either or, while it moves, in both: looking here first and there second never
    misses it. Several processes may share the local directory; each machine has its own.
    """

    def __init__(self, local: LocalStore, remote: RemoteStore) -> None:
        self._local = local
        self._remote = remote

    def create(self, key: str) -> StagedWriter:
        """Begin an object in the spool; see `ObjectStore.create`."""
        return self._local.create(key)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` in the spool; durable on return."""
        self._local.put(key, data)

    def open(self, key: str) -> BinaryIO:
        """Return the object as a seekable stream; raises ObjectNotFound."""
        try:
            return self._local.open(key)
        except ObjectNotFound:
            return self._remote.open(key)

    def read(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, fewer where the object ends before."""
        try:
            return self._local.read(key, start, length)
        except ObjectNotFound:
            return self._remote.read(key, start, length)

    def stat(self, key: str) -> ObjectStat:
        """Return size and time of an object; raises ObjectNotFound."""
        try:
            return self._local.stat(key)
        except ObjectNotFound:
            return self._remote.stat(key)

    def delete(self, key: str) -> None:
        """Remove an object from both places; the remote store has to be there for it."""
        check_key(key)
        with file_lock(self._upload_lock(key)):
            self._local.delete(key)
            self._remote.delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield each object whose key begins with `prefix`, in no order, and each once."""
        # The spool is read to its end first: what leaves it afterwards is in the remote store.
        waiting = {found.key: found for found in self._local.list(prefix)}
        yield from waiting.values()
        for found in self._remote.list(prefix):
            if found.key not in waiting:
                yield found

    def presign(self, key: str, expires: timedelta) -> str | None:
        """Return the remote store's URL, None while the object is still in the spool."""
        try:
            self._local.stat(key)
        except ObjectNotFound:
            return self._remote.presign(key, expires)
        return None

    def check(self) -> None:
        """Check the spool and the remote store; see `ObjectStore.check`."""
        self.check_spool()
        self.check_remote()

    def check_spool(self) -> None:
        """Check what receiving needs; see `ObjectStore.check`."""
        self._local.check()

    def check_remote(self) -> None:
        """Check what uploading needs; see `ObjectStore.check`."""
        self._remote.check()

    def close(self) -> None:
        """Close both stores."""
        self._local.close()
        self._remote.close()

    def upload(self, key: str) -> None:
        """Move an object to the remote store; does nothing where it is there already.

        The local copy goes only once the remote store has proved by checksum that it has the same
        bytes. May be repeated, also after a crash in its middle, and by several at once.

        Raises:
            ObjectNotFound: neither place has it.
            ChecksumMismatch: the remote store holds other bytes; the local copy stays.
        """
        check_key(key)
        with file_lock(self._upload_lock(key)):
            if not self._send(key):
                self._remote.stat(key)

    def pending(self) -> Iterator[ObjectStat]:
        """Yield each object that still waits in the spool."""
        return self._local.list()

    def _send(self, key: str) -> bool:
        gone = False
        while not gone:
            try:
                file = self._local.open(key)
            except ObjectNotFound:
                return False
            with file:
                self._remote.send(key, file, self._size(file))
                gone = self._local.discard(key, file)
        return True

    @staticmethod
    def _size(file: BinaryIO) -> int:
        size = file.seek(0, 2)
        file.seek(0)
        return size

    def _upload_lock(self, key: str) -> Path:
        # Keys share locks, so that there are not as many lock files as there were objects.
        return self._local.root / f".upload-{zlib.crc32(key.encode()) % _LOCKS:02x}.lock"
