"""Objects in an S3 bucket: Amazon's, MinIO, SeaweedFS, Ceph or any other that speaks it.

Needs the package `minio` (extra ``s3``). Uploads that a crash cuts short leave unfinished parts on
the server; a lifecycle rule AbortIncompleteMultipartUpload of the bucket removes them.
"""

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.helpers import check_bucket_name

from storage.errors import (
    ChecksumMismatch,
    ObjectNotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from storage.etag import EtagReader
from storage.folders import make_root
from storage.keys import check_key, check_prefix, is_visible
from storage.staging import StagedWriter, Staging
from storage.store import ObjectStat

PART_SIZE = 16 * 1024 * 1024
_CONNECT_SECONDS = 3.0
_READ_SECONDS = 30.0
_RETRIES = 2
_CONNECTIONS = 32
_STREAM_BUFFER = 256 * 1024
_LARGEST_OBJECT = 5 * 1024**4
# An answer that breaks off is asked for again; urllib3 repeats only what had no answer at all.
_BROKEN_OFF = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)
_NO_OBJECT = {"NoSuchKey", "NoSuchObject"}
_NO_BUCKET = "there is no such bucket: create it, or correct the store URL"
_NO_ROOM = {"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "InsufficientCapacity"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


class S3Store:
    """An ObjectStore in one bucket, which has to exist. Writes are staged as files in `staging`.

    Connections are given up after 3 seconds without a connection or 30 without a byte,
    and tried three times in all. Certificates are checked against SSL_CERT_FILE where it is set.

    Raises:
        StoreError: endpoint or bucket name cannot be right.
        StoreUnavailable: `staging` cannot be used.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        staging: Path,
        region: str | None = None,
        session_token: str | None = None,
    ) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.netloc or url.path not in ("", "/"):
            raise StoreError(f"S3 endpoint {endpoint!r} must look like http://host:port")
        self._bucket = bucket
        self._place = f"S3 at {url.scheme}://{url.netloc}, bucket {bucket}"
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            maxsize=_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            retries=urllib3.Retry(
                total=_RETRIES,
                backoff_factor=0.2,
                status_forcelist=[500, 502, 503, 504],
                respect_retry_after_header=False,
            ),
        )
        try:
            check_bucket_name(bucket, True)
            self._client = Minio(
                url.netloc,
                access_key=access_key,
                secret_key=secret_key,
                session_token=session_token,
                secure=url.scheme == "https",
                region=region,
                http_client=self._http,
            )
        except ValueError as error:
            raise StoreError(f"{self._place}: {error}") from error
        make_root(staging)
        self._staging = Staging(staging)

    def create(self, key: str) -> StagedWriter:
        """Begin an object; see `ObjectStore.create`."""
        check_key(key)
        return StagedWriter(self._staging, key, self._publish)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole; S3 has it on return."""
        check_key(key)
        self._send(key, io.BytesIO(data), len(data))

    def send(self, key: str, file: BinaryIO, size: int) -> None:
        """Store the `size` bytes of `file`, which stands at its start, and verify what S3 got.

        Memory stays at two parts of 16 MiB, however large the object is.

        Raises:
            ChecksumMismatch: S3 holds other bytes than were sent.
        """
        check_key(key)
        self._send(key, file, size)

    def open(self, key: str) -> BinaryIO:
        """Return the object as a seekable stream, fetched as it is read; raises ObjectNotFound."""
        check_key(key)
        return io.BufferedReader(_S3Stream(self, key), _STREAM_BUFFER)

    def read(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, fewer where the object ends before."""
        check_key(key)
        if start < 0 or length < 0:
            raise ValueError("start and length of a range cannot be negative")
        if length == 0:
            self.stat(key)
            return b""
        start, length = min(start, _LARGEST_OBJECT), min(length, _LARGEST_OBJECT)
        with self.talking(key):
            for _ in range(_RETRIES):
                with suppress(*_BROKEN_OFF):
                    return self._read_once(key, start, length)
            return self._read_once(key, start, length)

    def stat(self, key: str) -> ObjectStat:
        """Return size and time of an object; raises ObjectNotFound."""
        check_key(key)
        with self.talking(key):
            try:
                found = self._client.stat_object(self._bucket, key)
            except S3Error as error:
                if error.code in _NO_OBJECT:
                    self._check_bucket(key)
                raise
        return ObjectStat(key, found.size, found.last_modified)

    def delete(self, key: str) -> None:
        """Remove an object; it may be gone already."""
        check_key(key)
        with self.talking(key):
            self._client.remove_object(self._bucket, key)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield each object whose key begins with `prefix`, in no order."""
        check_prefix(prefix)
        return self._list(prefix)

    def presign(self, key: str, expires: timedelta) -> str | None:
        """Return a URL that gives the object to anybody for 1 second to 7 days."""
        check_key(key)
        with self.talking(key):
            url: str = self._client.presigned_get_object(self._bucket, key, expires=expires)
        return url

    def check(self) -> None:
        """Write and remove a small object; raises StoreUnavailable or StoreFull if that fails."""
        probe = f".probe/{uuid.uuid4().hex}"
        self._send(probe, io.BytesIO(bytes(64)), 64)
        with self.talking(probe):
            self._client.remove_object(self._bucket, probe)

    def close(self) -> None:
        """Close the connections and remove this store's temporary files."""
        self._http.clear()
        self._staging.close()

    def request(self, key: str, start: int, length: int, etag: str | None) -> Any:
        """Begin a GET from `start` (`length` 0: to the end), of the version `etag` if given."""
        headers = {"If-Match": etag} if etag else None
        return self._client.get_object(
            self._bucket, key, offset=start, length=length, request_headers=headers
        )

    @contextmanager
    def talking(self, key: str) -> Iterator[None]:
        """Turn what minio and urllib3 raise into this room's errors."""
        try:
            yield
        except S3Error as error:
            raise self._refusal(error, key) from error
        except (ServerError, InvalidResponseError) as error:
            raise self._strange_answer(error, key) from error
        except (urllib3.exceptions.HTTPError, MinioException) as error:
            raise StoreUnavailable(
                f"{self._place}: {_cause(error)}; check that the server runs and that the "
                "endpoint of the store URL is right",
                key=key,
            ) from error

    def _check_bucket(self, key: str) -> None:
        # The answer to a HEAD has no body to say whether object or bucket is missing.
        if not self._client.bucket_exists(self._bucket):
            raise StoreUnavailable(f"{self._place}: {_NO_BUCKET}", key=key)

    def _publish(self, writer: StagedWriter) -> None:
        with writer.read_back() as file:
            self._send(writer.key, file, writer.size)
        os.unlink(writer.path)  # noqa: PTH108

    def _send(self, key: str, file: BinaryIO, size: int) -> None:
        reader = EtagReader(file, PART_SIZE)
        with self.talking(key):
            try:
                stored = self._client.put_object(
                    self._bucket,
                    key,
                    reader,
                    size,
                    part_size=PART_SIZE,
                    num_parallel_uploads=1,
                )
            except (ValueError, OSError) as error:
                raise StoreError(
                    f"object {key!r} of {size} bytes cannot be sent: {error}", key=key
                ) from error
        # Under SSE-KMS and on some servers the ETag is no MD5: then the bytes themselves answer.
        if stored.etag != reader.etag() and not self._holds(key, file):
            raise ChecksumMismatch(
                f"{self._place} did not keep object {key!r} as it was sent: it has to be sent "
                "again, and the server's disks want a look",
                key=key,
            )

    def _holds(self, key: str, file: BinaryIO) -> bool:
        file.seek(0)
        with self.open(key) as remote:
            while True:
                ours, theirs = file.read(PART_SIZE), remote.read(PART_SIZE)
                if ours != theirs:
                    return False
                if not ours:
                    return True

    def _read_once(self, key: str, start: int, length: int) -> bytes:
        try:
            response = self.request(key, start, length, None)
        except S3Error as error:
            if error.code == "InvalidRange":
                return b""
            raise
        try:
            data: bytes = response.read()
            return data
        finally:
            response.close()
            response.release_conn()

    def _list(self, prefix: str) -> Iterator[ObjectStat]:
        listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
        while True:
            with self.talking(prefix):
                found = next(listed, None)
            if found is None:
                return
            if is_visible(found.object_name) and not found.is_dir:
                yield ObjectStat(found.object_name, found.size, found.last_modified)

    def _refusal(self, error: S3Error, key: str) -> StoreError:
        code = error.code
        if code in _NO_OBJECT:
            return ObjectNotFound(key)
        if code in _NO_ROOM:
            return StoreFull(f"{self._place} has no room left ({code}): add space to it", key=key)
        if code == "NoSuchBucket":
            advice = _NO_BUCKET
        elif code in _REFUSED:
            advice = (
                f"the credentials are refused ({code}): check AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY and the rights on the bucket"
            )
        elif code == "RequestTimeTooSkewed":
            advice = "the clocks of server and client differ too much: set them by NTP"
        else:
            advice = f"it answered {code} ({error.message}): look into the server's log"
        return StoreUnavailable(f"{self._place}: {advice}", key=key)

    def _strange_answer(self, error: ServerError | InvalidResponseError, key: str) -> StoreError:
        status = getattr(error, "status_code", None) or getattr(error, "_code", None)
        if status == 507:
            return StoreFull(f"{self._place} has no room left (507): add space to it", key=key)
        return StoreUnavailable(
            f"{self._place} answered HTTP {status}, not as S3 does: check that the endpoint of "
            "the store URL is an S3 server and healthy",
            key=key,
        )


class _S3Stream(io.RawIOBase):
    """An object read from where it is needed; goes on after a broken connection."""

    def __init__(self, store: S3Store, key: str) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self.name = key  # as files have one, by which others tell them
        self._position = 0
        with store.talking(key):
            self._response: Any = store.request(key, 0, 0, None)
        self._size = int(self._response.headers["Content-Length"])
        self._etag: str | None = self._response.headers.get("ETag")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        position = base + offset
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        if position != self._position:
            self._hang_up()
            self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        with self._store.talking(self._key):
            data = self._read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _read(self, wanted: int) -> bytes:
        for attempt in range(_RETRIES + 1):
            try:
                if self._response is None:
                    self._response = self._store.request(self._key, self._position, 0, self._etag)
                data: bytes = self._response.read(wanted)
            except _BROKEN_OFF:
                self._hang_up()
                if attempt == _RETRIES:
                    raise
                continue
            if data:
                return data
            self._hang_up()
        raise StoreUnavailable(
            f"object {self._key!r} ends after {self._position} of {self._size} bytes", key=self._key
        )

    def _hang_up(self) -> None:
        response, self._response = getattr(self, "_response", None), None
        if response is not None:
            # Only a connection whose answer was read to its end can serve another request.
            if self._position < self._size:
                response.close()
            response.release_conn()


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.SSLError):
        return f"its certificate is not accepted ({reason}), put its authority into SSL_CERT_FILE"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "nothing answers there"
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    return f"the connection failed ({reason})"
