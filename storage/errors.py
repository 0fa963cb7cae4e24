"""What can go wrong with stored objects. Every message is one sentence that says what to do."""

import errno
from pathlib import Path


class StoreError(Exception):
    """A store cannot do what was asked; `key` names the object, empty where none is meant."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class ObjectNotFound(StoreError):
    """No object is stored under `key`."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object is stored under {key!r}", key=key)


class StoreFull(StoreError):
    """There is no room for more bytes. Temporary: it goes on once space has been freed."""


class StoreUnavailable(StoreError):
    """The disk or the S3 server cannot be used. Temporary: it goes on once the cause is gone."""


class ChecksumMismatch(StoreError):
    """The stored bytes are not the bytes that were sent."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def disk_error(error: OSError, place: Path, *, key: str = "") -> StoreError:
    """Return the StoreFull or StoreUnavailable that an operating system error at `place` means."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoreFull(f"no room left in {place} ({reason}): free some disk space", key=key)
    return StoreUnavailable(
        f"cannot use {place} ({reason}): check that it is mounted, whole and writable", key=key
    )
