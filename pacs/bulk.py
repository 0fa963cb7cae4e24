"""Bulk data of stored instances: the values that metadata name by a URI instead of holding them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pacs.archive import Archive
from pacs.dicom.errors import IngestError
from pacs.dicom.header import encoding_of, inflate
from pacs.dicom.layout import PIXEL_DATA_TAGS
from pacs.dicom.values import Value, in_little_endian, locate
from pacs.metadata import dicom_json
from pacs.retrieve import CHUNK_BYTES, NotFound, StoredInstance

ENCAPSULATED_DOCUMENT = 0x00420011
_MIME_TYPE = 0x00420012
_DEEPEST = 16
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_ITEM_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class BulkValue:
    """One value of an instance, and where its bytes are.

    `held`: the whole data set, where it is no range of the object (deflated).
    """

    stored: StoredInstance
    path: tuple[int, ...]
    value: Value
    held: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return self.value.end - self.value.start

    def read(self, archive: Archive, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` up to `end`, little endian, in pieces. Raises StoreError."""
        last = self.size if end is None else end
        if self.value.swapped is not None:
            whole = archive.store.read(self.stored.object_key, self.value.start, self.size)
            yield in_little_endian(whole, self.value.swapped)[start:last]
            return
        at, stop = self.value.start + start, self.value.start + last
        if self.held is not None:
            yield self.held[at:stop]
            return
        while at < stop:
            piece = archive.store.read(self.stored.object_key, at, min(CHUNK_BYTES, stop - at))
            if not piece:
                return
            yield piece
            at += len(piece)


def parse_path(text: str) -> tuple[int, ...] | None:
    """`7FE00010`, or `54000100/1/54001010` for an attribute of an item; None for no path."""
    parts = text.split("/")
    if len(parts) % 2 == 0 or len(parts) > 2 * _DEEPEST:
        return None
    for position, part in enumerate(parts):
        if not (_ITEM_NUMBER if position % 2 else _TAG).fullmatch(part):
            return None
    return tuple(
        int(part) if position % 2 else int(part, 16) for position, part in enumerate(parts)
    )


def bulk_value(archive: Archive, stored: StoredInstance, path: Sequence[int]) -> BulkValue:
    """The value at a path of `parse_path`; raises NotFound, also for a sequence.

    Encapsulated pixel data have no bytes of their own: they are had frame by frame.
    """
    held: bytes | None = None
    encoding = encoding_of(stored.transfer_syntax_uid)
    start, size = stored.dataset_start, stored.size
    try:
        if stored.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            whole = archive.store.read(stored.object_key, 0, stored.size)
            held = inflate(whole, stored.dataset_start, archive.settings.max_object_bytes)
            start, size = 0, len(held)

        def read(at: int, length: int) -> bytes:
            if held is not None:
                return held[at : at + length]
            return archive.store.read(stored.object_key, at, length)

        value = locate(read, encoding, start, size, path)
    except IngestError:
        value = None  # it was whole when it came, and has no such path
    if value is None or value.end > size:
        raise NotFound(f"value of {stored.sop_instance_uid}", "bulk data")
    return BulkValue(stored, tuple(path), value, held)


def mime_type(archive: Archive, stored: StoredInstance) -> str:
    """What an encapsulated document says it is, in lower case; empty where it does not say."""
    try:
        found = bulk_value(archive, stored, (_MIME_TYPE,))
    except NotFound:
        return ""
    return (
        b"".join(found.read(archive, 0, min(found.size, 64))).decode("latin-1").strip(" \0").lower()
    )


def bulk_paths(archive: Archive, stored: StoredInstance) -> list[str]:
    """The paths of all bulk data of an instance, pixel data last. Raises StoreError."""
    document = orjson.loads(dicom_json(archive, stored.object_key, stored.size))
    paths = list(_paths(document, ""))
    return sorted(paths, key=lambda path: path in _PIXEL_PATHS)


_PIXEL_PATHS = frozenset(f"{tag:08X}" for tag in PIXEL_DATA_TAGS)


def _paths(model: dict[str, Any], above: str) -> Iterator[str]:
    for tag, attribute in model.items():
        if "BulkDataURI" in attribute:
            yield above + tag
        if attribute["vr"] == "SQ":
            for number, item in enumerate(attribute.get("Value", ()), 1):
                yield from _paths(item, f"{above}{tag}/{number}/")
