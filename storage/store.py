"""The doors of this room: what a store of objects can do, and opening one by its URL."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from storage.errors import StoreError

_AWS_ENDPOINT = "https://s3.amazonaws.com"
_S3_PARAMETERS = {"endpoint", "region"}


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a store knows of an object: its key, its size in bytes, when it was stored (UTC)."""

    key: str
    size: int
    modified: datetime


class ObjectWriter(Protocol):
    """Bytes on their way into a store. As a context manager it aborts unless committed."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`; it is not kept, so its buffer may be used again at once."""

    def read_back(self) -> BinaryIO:
        """Return a seekable view of what was written so far; the caller closes it."""

    def commit(self) -> None:
        """Store the object: all or nothing, durable and visible under its key on return."""

    def abort(self) -> None:
        """Forget what was written; does nothing after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ObjectStore(Protocol):
    """Objects by key. Safe for many threads and processes at once; keys: see `storage.keys`.

    Every method raises StoreError for an impossible key, StoreUnavailable where the disk or the
    server cannot be used, and StoreFull where a write finds no room.
    """

    def create(self, key: str) -> ObjectWriter:
        """Begin an object; one that is already there stays until the new one is committed."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole; durable on return."""

    def open(self, key: str) -> BinaryIO:
        """Return the object as a seekable stream, read as it is needed; raises ObjectNotFound."""

    def read(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, fewer where the object ends before.

        Raises:
            ObjectNotFound: no such object.
            ValueError: `start` or `length` is negative.
        """

    def stat(self, key: str) -> ObjectStat:
        """Return size and time of an object; raises ObjectNotFound."""

    def delete(self, key: str) -> None:
        """Remove an object; it may be gone already."""

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield each object whose key begins with `prefix`, in no order."""

    def presign(self, key: str, expires: timedelta) -> str | None:
        """Return a URL that gives the object to anybody for a while, None where there is none.

        The object is not looked for. `expires` is one second to seven days.
        """

    def check(self) -> None:
        """Write and remove a small object; raises StoreUnavailable or StoreFull if that fails."""

    def close(self) -> None:
        """Let go of connections and temporary files; writers that are still open are aborted."""


def open_store(url: str, *, spool: Path, ack: Literal["spool", "store"] = "spool") -> ObjectStore:
    """Open the store that `url` names.

    Args:
        url: ``file:///absolute/directory`` or ``s3://bucket?endpoint=http://host:port&region=name``
            (credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, where needed
            AWS_SESSION_TOKEN; without `endpoint` it is Amazon's).
        spool: directory on this machine where objects wait for S3, or are staged on their way.
        ack: with S3, whether a write is done once it is in the spool (and somebody calls
            `SpooledStore.upload` later) or only once S3 has it.

    Raises:
        StoreError: the URL or the environment cannot be used; the message says why.
        StoreUnavailable: the directory cannot be used. S3 is not asked anything yet: `check` does.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            return _open_directory(parts)
        if parts.scheme == "s3":
            return _open_s3(parts, spool, ack)
    except ValueError as error:
        raise StoreError(f"store URL {url!r} cannot be read: {error}") from error
    raise StoreError(f"store URL {url!r} must begin with file:/// or s3://")


def _open_directory(parts: SplitResult) -> ObjectStore:
    from storage.local import LocalStore

    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or parts.query:
        raise StoreError(f"store URL {parts.geturl()!r} must look like file:///absolute/directory")
    return LocalStore(Path(path))


def _open_s3(parts: SplitResult, spool: Path, ack: Literal["spool", "store"]) -> ObjectStore:
    from storage.local import LocalStore
    from storage.spool import SpooledStore

    try:
        from storage.s3 import S3Store
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "minio":
            raise
        raise StoreError(
            "an s3:// store needs the package minio: install filmless with its extra, "
            "pip install 'filmless[s3]'"
        ) from error
    parameters = parse_qs(parts.query, strict_parsing=bool(parts.query))
    unknown = sorted(set(parameters) - _S3_PARAMETERS)
    if unknown or parts.path not in ("", "/") or any(len(v) > 1 for v in parameters.values()):
        raise StoreError(
            "an S3 store URL must look like s3://bucket?endpoint=http://host:port&region=name"
            + (f"; it has no parameter {unknown[0]!r}" if unknown else "")
        )
    access_key = os.environ.get("AWS_ACCESS_KEY_ID")
    secret_key = os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise StoreError(
            "an s3:// store needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    remote = S3Store(
        parts.netloc,
        endpoint=parameters.get("endpoint", [_AWS_ENDPOINT])[0],
        region=parameters.get("region", [None])[0],
        access_key=access_key,
        secret_key=secret_key,
        session_token=os.environ.get("AWS_SESSION_TOKEN"),
        staging=spool,
    )
    spooled = SpooledStore(LocalStore(spool), remote)
    if ack == "spool":
        return spooled
    waiting = next(spooled.pending(), None)
    if waiting is not None:
        spooled.close()
        raise StoreError(
            f"objects still wait in the spool {spool}: run with ack=spool until they are uploaded",
            key=waiting.key,
        )
    return remote
