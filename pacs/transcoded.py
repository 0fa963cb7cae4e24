"""Whole objects in another transfer syntax than they are stored in, as Part 10 files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless, HTJ2KLosslessRPCL

from pacs.archive import Archive
from pacs.dicom import codecs
from pacs.dicom.transcoding import encapsulate, transcode, write_part10
from pacs.renditions import htj2k
from pacs.retrieve import CHUNK_BYTES, StoredInstance, presentation_of

HTJ2K_TARGETS = (str(HTJ2KLossless), str(HTJ2KLosslessRPCL))
TARGETS = (str(ExplicitVRLittleEndian), *HTJ2K_TARGETS)
_HELD_IN_MEMORY = 8 << 20


def read_transcoded(archive: Archive, stored: StoredInstance, target: str) -> Iterator[bytes]:
    """The object as a Part 10 file in one of TARGETS, in pieces; made before the first is given.

    Only the encoding changes, and so its UID does not (PS3.4 B.4.1). One frame at a time is in
    memory, the whole in a temporary file where it is large. Raises CannotTranscode, NotEncodable,
    UndecodableFrame and StoreError.
    """
    with tempfile.SpooledTemporaryFile(max_size=_HELD_IN_MEMORY) as file:
        out = cast(BinaryIO, file)
        with archive.store.open(stored.object_key) as original:
            if target in HTJ2K_TARGETS:
                _to_htj2k(archive, stored, original, target, out)
            else:
                write_part10(pydicom.dcmread(original, specific_tags=[]).file_meta, target, out)
                original.seek(0)
                transcode(original, target, out)
        out.seek(0)
        while chunk := out.read(CHUNK_BYTES):
            yield chunk


def _to_htj2k(
    archive: Archive, stored: StoredInstance, original: BinaryIO, target: str, out: BinaryIO
) -> None:
    header = presentation_of(archive, stored).image
    frames = (htj2k(archive, stored, number) for number in range(1, stored.number_of_frames + 1))
    photometric = codecs.htj2k_photometric(str(header.get("PhotometricInterpretation", "")))
    encapsulate(original, frames, target, photometric, out)
