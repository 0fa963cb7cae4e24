"""STOW-RS of metadata and bulk data (PS3.18 10.5): data sets in JSON or XML, and their values in
parts of their own, put together to DICOM objects.

Bulk data goes to a temporary file while it arrives. Once the message is at its end each data set is
written through the one way in, with its values from there.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from pacs.dicom.header import is_uid
from pacs.dicom.native_xml_reading import read_native_xml
from pacs.dicom.writing import (
    EXPLICIT_LITTLE_ENDIAN,
    SOP_INSTANCE_UID,
    BadModel,
    Bulk,
    Encapsulated,
    part10,
    text_of,
)
from pacs.ingest import IngestError, Source, TooLarge
from storage.errors import StoreError, disk_error
from viewer_api.dicomweb.multipart import parse_content_type
from viewer_api.dicomweb.storing import Bytes, Commits, Outcome, UnexpectedPart
from viewer_api.dicomweb.transfer_syntaxes import OCTETS, compression, is_native

JSON, XML = "application/dicom+json", "application/dicom+xml"
_LARGEST_METADATA = 64 << 20
_MOST_INSTANCES = 10_000
_CHUNK_BYTES = 1 << 20
_PIXEL_DATA = "7FE00010"

# Of a media type without a transfer syntax the lossless one is meant (PS3.18 table 8.7.3-2 ff.).
_DEFAULT_SYNTAXES = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/x-dicom-rle": "1.2.840.10008.1.2.5",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/x-jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "video/mpeg": "1.2.840.10008.1.2.4.100",
    "video/mpeg2": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
    "video/h265": "1.2.840.10008.1.2.4.107",
}


class SyntaxNotSupported(BadModel):
    """Bulk data in a media type or transfer syntax that cannot be kept."""


@dataclass(slots=True)
class _Part:
    """Bulk data in the temporary file."""

    media_type: str
    transfer_syntax: str
    start: int
    length: int = 0
    too_large: bool = False


class Assembly:
    """Takes metadata and bulk data; `media_type` is that of the metadata."""

    def __init__(self, archive: Archive, source: Source, commits: Commits, media_type: str) -> None:
        self._archive = archive
        self._source = source
        self._commits = commits
        self._media_type = media_type
        self._metadata: bytearray | None = None
        self._models: list[dict[str, Any]] = []
        self._bulk: defaultdict[str, list[_Part]] = defaultdict(list)
        self._part: _Part | None = None
        try:
            self._file = tempfile.TemporaryFile(dir=archive.settings.data_dir)  # noqa: SIM115
        except OSError as error:
            raise disk_error(error, archive.settings.data_dir) from error

    def begin(self, headers: Mapping[str, str]) -> None:
        """A data set or bulk data, by its Content-Type."""
        media_type, parameters = parse_content_type(headers.get("content-type", OCTETS))
        location = headers.get("content-location", "").strip(" <>")
        if media_type in (self._media_type, "application/json" if self._media_type == JSON else ""):
            self._metadata = bytearray()
        elif location and (media_type == OCTETS or media_type in _DEFAULT_SYNTAXES):
            syntax = parameters.get("transfer-syntax", _DEFAULT_SYNTAXES.get(media_type, ""))
            self._part = _Part(media_type, syntax, self._file.tell())
            self._bulk[unquote(location)].append(self._part)
        else:
            expected = f"{self._media_type}, nor bulk data with a Content-Location"
            self._commits.fail(UnexpectedPart(media_type, expected))

    def write(self, data: Bytes) -> None:
        """Keep it. Raises StoreError where there is no room."""
        if self._metadata is not None:
            if len(self._metadata) + len(data) <= _LARGEST_METADATA:
                self._metadata += data
            elif self._metadata:
                self._metadata.clear()
                self._commits.fail(TooLarge(f"metadata is larger than {_LARGEST_METADATA} bytes"))
        elif self._part is not None:
            limit = self._archive.settings.max_object_bytes
            if self._part.length + len(data) > limit:
                self._part.too_large = True
                return
            try:
                self._file.write(data)
            except OSError as error:
                raise disk_error(error, self._archive.settings.data_dir) from error
            self._part.length += len(data)

    def end(self) -> None:
        """Read the data sets of a metadata part."""
        metadata, self._metadata, self._part = self._metadata, None, None
        if not metadata:
            return
        try:
            self._models += self._read(bytes(metadata))
        except BadModel as error:
            self._commits.fail(error)

    def finish(self, *, whole: bool) -> Outcome:
        """Put the objects together, and wait until each is safe or refused.

        Of a message that broke off nobody can say which of its objects have all of their values.
        """
        for model in self._models if whole else ():
            try:
                self._store(model)
            except IngestError as error:
                named = text_of(model, SOP_INSTANCE_UID)
                error.sop_instance_uid = named if is_uid(named) else None
                self._commits.fail(error)
            except (StoreError, DatabaseError) as error:
                self._commits.fail(error)
        self._models.clear()
        return self._commits.finish()

    def close(self) -> None:
        """Drop the bulk data, and end the threads."""
        with suppress(OSError):
            self._file.close()
        self._commits.close()

    def _read(self, metadata: bytes) -> list[dict[str, Any]]:
        if self._media_type == XML:
            models = [read_native_xml(metadata)]
        else:
            try:
                read = orjson.loads(metadata)
            except orjson.JSONDecodeError as error:
                raise BadModel("the metadata is no JSON") from error
            models = read if isinstance(read, list) else [read]
        if not all(isinstance(model, dict) for model in models):
            raise BadModel("the metadata is no array of data sets")
        if len(self._models) + len(models) > _MOST_INSTANCES:
            raise BadModel(f"more than {_MOST_INSTANCES} data sets in one message")
        return models

    def _store(self, model: dict[str, Any]) -> None:
        pixels = model.get(_PIXEL_DATA)
        uri = pixels.get("BulkDataURI") if isinstance(pixels, dict) else None
        parts = self._bulk.get(unquote(uri), []) if isinstance(uri, str) else []
        syntax = _syntax(parts)
        with ExitStack() as dropping:
            intake = dropping.enter_context(self._archive.ingest.begin(self._source))
            for piece in part10(model, self._find, syntax):
                intake.write(piece)
            dropping.pop_all()
            self._commits.add(intake)

    def _find(self, uri: str) -> Bulk | Encapsulated:
        parts = self._bulk.get(unquote(uri))
        if not parts:
            raise BadModel(f"its bulk data {uri[:100]!r} did not come")
        if any(part.too_large for part in parts):
            raise TooLarge("its bulk data is larger than an object may be (max_object_bytes)")
        if is_native(_syntax(parts)):
            return Bulk(sum(part.length for part in parts), lambda: self._pieces(*parts))
        return Encapsulated([self._value(part) for part in parts])

    def _value(self, part: _Part) -> Bulk:
        return Bulk(part.length, lambda: self._pieces(part))

    def _pieces(self, *parts: _Part) -> Iterator[bytes]:
        self._file.flush()
        for part in parts:
            at, end = part.start, part.start + part.length
            while at < end:
                try:
                    piece = os.pread(self._file.fileno(), min(_CHUNK_BYTES, end - at), at)
                except OSError as error:
                    raise disk_error(error, self._archive.settings.data_dir) from error
                if not piece:
                    raise BadModel("its bulk data was cut short")
                at += len(piece)
                yield piece


def _syntax(parts: list[_Part]) -> str:
    """The transfer syntax of an object with this pixel data. Raises SyntaxNotSupported."""
    syntaxes = {part.transfer_syntax or EXPLICIT_LITTLE_ENDIAN for part in parts}
    if len(syntaxes) > 1:
        raise SyntaxNotSupported("its frames came in several transfer syntaxes")
    syntax = syntaxes.pop() if syntaxes else EXPLICIT_LITTLE_ENDIAN
    if is_native(syntax):
        return EXPLICIT_LITTLE_ENDIAN  # plain little-endian values are the same in all of them
    if compression(syntax) is None:
        raise SyntaxNotSupported(f"bulk data in transfer syntax {syntax[:64]!r} is not taken")
    return syntax
