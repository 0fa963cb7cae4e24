"""Frames in another form than stored, made once and kept in the object store beside their object.

They are no objects of the archive: what is under `renditions/` may be lost, cut short or removed at
any time, and is then made anew. Nothing here fails because of what is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from zlib_ng import zlib_ng

from pacs.archive import Archive
from pacs.dicom import codecs
from pacs.dicom.codecs import NotEncodable
from pacs.retrieve import StoredInstance, check_frame, decoded, presentation_of
from storage.errors import ObjectNotFound, StoreError
from storage.spool import SpooledStore
from storage.store import ObjectStore

log = logging.getLogger(__name__)

PREFIX = "renditions/"
MOST_BYTES = 8 << 30
"""What all renditions together may take; the oldest go first."""

_LARGEST = 1 << 30
_CHECKSUM_BYTES = 4
_LOOK_AFTER_BYTES = 256 << 20
_REST_SECONDS = 30.0


class _Written:
    """How much this process has kept since it last looked whether that is too much."""

    def __init__(self) -> None:
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """Count these; whether it is time to look."""
        with self._lock:
            self._bytes += size
            if self._bytes < _LOOK_AFTER_BYTES:
                return False
            self._bytes = 0
            return True


_written = _Written()
# When each store that has failed is asked again: what waits for it waits for seconds, and a frame
# is made in a few hundredths of one.
_resting: WeakKeyDictionary[ObjectStore, float] = WeakKeyDictionary()


def htj2k(archive: Archive, stored: StoredInstance, number: int) -> bytes:
    """A frame (numbered from 1) as a lossless HTJ2K codestream for .201 and .202.

    Raises NotFound, UndecodableFrame, and NotEncodable where HTJ2K has no form for its pixels.
    """
    check_frame(stored, number)
    header = presentation_of(archive, stored).image
    if header.get("BitsAllocated") == 1:
        raise NotEncodable("single bits have no form in HTJ2K")

    def make() -> bytes:
        array, _ = decoded(archive, stored, number, header, raw=True)
        return codecs.encode_htj2k(array, str(header.get("PhotometricInterpretation", "")))

    return _kept(archive.store, f"{_folder(stored.object_key)}{number}.jph", make)


def drop(store: ObjectStore, object_key: str) -> None:
    """Remove what was made of an object, which is going. Raises StoreUnavailable."""
    for stat in store.list(_folder(object_key)):
        store.delete(stat.key)


def prune(store: ObjectStore, most_bytes: int = MOST_BYTES) -> int:
    """Remove the oldest where all together are over the bound, down to three quarters of it.

    Returns how many were removed. Raises StoreUnavailable.
    """
    found = sorted(store.list(PREFIX), key=lambda stat: stat.modified, reverse=True)
    size = sum(stat.size for stat in found)
    if size <= most_bytes:
        return 0
    removed = 0
    while found and size > most_bytes * 3 // 4:
        oldest = found.pop()
        store.delete(oldest.key)
        size -= oldest.size
        removed += 1
    return removed


def _folder(object_key: str) -> str:
    return f"{PREFIX}{object_key}/"


def _kept(store: ObjectStore, key: str, make: Callable[[], bytes]) -> bytes:
    if _resting.get(store, 0.0) > time.monotonic():
        return make()
    try:
        kept = store.read(key, 0, _LARGEST)
        body, checksum = kept[:-_CHECKSUM_BYTES], kept[-_CHECKSUM_BYTES:]
        if body and _checksum(body) == checksum:
            return body
        log.warning("%s is not what was kept there and is made anew", key)
    except ObjectNotFound:
        log.debug("%s is not kept", key)
    except StoreError as error:
        log.warning("%s cannot be looked for: %s", key, error)
        _resting[store] = time.monotonic() + _REST_SECONDS
        return make()
    made = make()
    _keep(store, key, made)
    return made


def _keep(store: ObjectStore, key: str, body: bytes) -> None:
    try:
        store.put(key, body + _checksum(body))
        if isinstance(store, SpooledStore):
            _take_out_of_spool(store, key)
    except StoreError as error:
        log.warning("%s cannot be kept: %s", key, error)
        _resting[store] = time.monotonic() + _REST_SECONDS
        return
    if _written.add(len(body)):
        threading.Thread(target=_prune_quietly, args=(store,), daemon=True).start()


def _take_out_of_spool(store: SpooledStore, key: str) -> None:
    """At once, and without a job: the spool is for what nobody could make again."""
    try:
        store.upload(key)
    except StoreError:
        store.delete(key)
        raise


def _prune_quietly(store: ObjectStore) -> None:
    try:
        removed = prune(store)
    except StoreError as error:
        log.warning("old renditions cannot be removed: %s", error)
    else:
        log.info("%d old renditions removed", removed)


def _checksum(body: bytes) -> bytes:
    return zlib_ng.crc32(body).to_bytes(_CHECKSUM_BYTES, "little")
