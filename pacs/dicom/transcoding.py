"""Stored objects for peers that cannot take them as stored: uncompressed, little endian.

Only the encoding changes. What is decompressed is the same instance under the same UID (PS3.4 B.4.1
leaves that to the sender); that it once was lossy stays on record (PS3.3 C.7.6.1.1.5).
"""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from pacs.dicom import codecs
from pacs.dicom.part10 import PREAMBLE
from pacs.errors import PacsError

TARGETS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""What objects can be transcoded to, the better one first."""

COPY_BYTES = 1 << 20
_LONGEST_VALUE = 0xFFFFFFFE
_LOSSY_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
}
_PIXEL_DATA = 0x7FE00010
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_FLOAT_WORDS = {0x7FE00008: (b"OF", 4), 0x7FE00009: (b"OD", 8)}
# Of encapsulated pixel data only: offset tables, and an icon that is encapsulated itself.
_ONLY_WHERE_COMPRESSED = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "IconImageSequence")


class CannotTranscode(PacsError):
    """An object that cannot be put into another transfer syntax; says why."""


def can_transcode(transfer_syntax_uid: str) -> bool:
    """Whether objects of this transfer syntax can be attempted at all."""
    syntax = UID(transfer_syntax_uid)
    return not syntax.is_private and syntax.is_transfer_syntax


def transcode(stored: BinaryIO, target: str, out: BinaryIO) -> None:
    """Write the data set of a stored Part 10 file to `out`, encoded as `target` says.

    One frame at a time is in memory. Elements behind the pixel data (digital signatures, padding)
    belong to the encoding and stay behind. Raises CannotTranscode.
    """
    if target not in TARGETS:
        raise CannotTranscode(f"nothing is transcoded to {target}")
    try:
        header = pydicom.dcmread(stored, stop_before_pixels=True)
        source = UID(header.file_meta.TransferSyntaxUID)
        if source == DeflatedExplicitVRLittleEndian:
            stored.seek(0)
            _write_header(pydicom.dcmread(stored), target, out)
        elif source.is_compressed:
            _decompress(header, source, stored, target, out)
        else:
            _write_header(header, target, out)
            _copy_pixels(header, stored, target, out)
    except CannotTranscode:
        raise
    except (codecs.UndecodableFrame, *_BAD_DATA_SET) as error:
        # The cause may quote a value; this goes to the log.
        raise CannotTranscode(f"the object cannot be decoded ({type(error).__name__})") from error


_BAD_DATA_SET = (
    *(ValueError, TypeError, KeyError, AttributeError, NotImplementedError, EOFError),
    *(pydicom.errors.InvalidDicomError, struct.error, IndexError, OverflowError),
)


def write_part10(meta: FileMetaDataset, target: str, out: BinaryIO) -> None:
    """Preamble and file meta information of what is transcoded to `target`."""
    meta.TransferSyntaxUID = UID(target)
    out.write(PREAMBLE)
    write_file_meta_info(DicomIO(out), meta, enforce_standard=False)


def encapsulate(
    stored: BinaryIO, codestreams: Iterator[bytes], target: str, photometric: str, out: BinaryIO
) -> None:
    """Write a stored Part 10 file with frames that somebody encoded as `target` says.

    `photometric`: what these are. The offset table stays empty, as it may (PS3.5 A.4), since
    frames are written as they come. Raises CannotTranscode.
    """
    try:
        header = pydicom.dcmread(stored, stop_before_pixels=True)
        for keyword in _ONLY_WHERE_COMPRESSED:
            if keyword in header:
                delattr(header, keyword)
        header.PhotometricInterpretation = photometric
        if int(header.get("SamplesPerPixel") or 1) > 1:
            header.PlanarConfiguration = 0
        write_part10(header.file_meta, target, out)
        _write_header(header, target, out)
    except _BAD_DATA_SET as error:
        raise CannotTranscode(f"its header cannot be read ({type(error).__name__})") from error
    out.write(struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", _UNDEFINED_LENGTH))
    out.write(struct.pack("<HHI", *_ITEM, 0))
    for codestream in codestreams:
        odd = len(codestream) % 2
        out.write(struct.pack("<HHI", *_ITEM, len(codestream) + odd))
        out.write(codestream)
        out.write(b"\0" * odd)
    out.write(struct.pack("<HHI", *_SEQUENCE_END, 0))


def _write_header(header: Dataset, target: str, out: BinaryIO) -> None:
    stream = DicomIO(out)
    stream.is_implicit_VR = target == ImplicitVRLittleEndian
    stream.is_little_endian = True
    write_dataset(stream, header)


def _decompress(header: Dataset, source: UID, stored: BinaryIO, target: str, out: BinaryIO) -> None:
    for keyword in _ONLY_WHERE_COMPRESSED:
        if keyword in header:
            delattr(header, keyword)
    if not _at_pixel_data(stored, implicit=header.original_encoding[0] is True):
        _write_header(header, target, out)
        return
    frames = _decoded_frames(header, source, stored)
    first, photometric = next(frames)
    _describe(header, source, first, photometric)
    _write_header(header, target, out)
    number = int(header.get("NumberOfFrames") or 1)
    word = b"OW" if first.dtype.itemsize > 1 else b"OB"
    length = number * first.nbytes
    _write_element_header(_PIXEL_DATA, word, length + length % 2, target, out)
    out.write(first.tobytes())
    written = 1
    for frame, _ in frames:
        if frame.nbytes != first.nbytes:
            raise CannotTranscode("its frames are of several sizes")
        out.write(frame.tobytes())
        written += 1
    if written != number:
        raise CannotTranscode(f"it has {written} frames where it says {number}")
    out.write(b"\0" * (length % 2))


def _decoded_frames(
    header: Dataset, source: UID, stored: BinaryIO
) -> Iterator[tuple[NDArray[Any], str]]:
    # Lossy colour becomes RGB, as most viewers want it; lossless samples stay what they are.
    raw = source not in _LOSSY_METHODS
    number = int(header.get("NumberOfFrames") or 1)
    for frame in generate_frames(stored, number_of_frames=number):
        array, photometric = codecs.decode(header, frame, source, raw=raw)
        yield (
            np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False),
            photometric,
        )


def _describe(header: Dataset, source: UID, frame: NDArray[Any], photometric: str) -> None:
    header.PhotometricInterpretation = photometric
    header.BitsAllocated = frame.dtype.itemsize * 8
    if int(header.get("SamplesPerPixel") or 1) > 1:
        header.PlanarConfiguration = 0
    method = _LOSSY_METHODS.get(source)
    if method is not None:
        header.LossyImageCompression = "01"
        if not header.get("LossyImageCompressionMethod"):
            header.LossyImageCompressionMethod = method


def _at_pixel_data(stored: BinaryIO, *, implicit: bool) -> bool:
    """Go from the pixel data element to its value; whether there is one."""
    start = stored.read(8 if implicit else 12)
    if len(start) < 8:
        return False
    group, element = struct.unpack_from("<HH", start)
    return bool(group << 16 | element == _PIXEL_DATA)


def _copy_pixels(header: Dataset, stored: BinaryIO, target: str, out: BinaryIO) -> None:
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = stored.read(8)
    if len(start) < 8:
        return
    group, element = struct.unpack_from(f"{order}HH", start)
    tag = group << 16 | element
    if tag != _PIXEL_DATA and tag not in _FLOAT_WORDS:
        return  # what stands behind where pixel data would
    vr = b"OW"
    if implicit:
        (length,) = struct.unpack_from(f"{order}I", start, 4)
    else:
        vr = start[4:6]
        (length,) = struct.unpack(f"{order}I", stored.read(4))
    if tag in _FLOAT_WORDS:
        vr, word = _FLOAT_WORDS[tag]
    else:
        word = 1 if vr == b"OB" else max(2, int(header.get("BitsAllocated") or 16) // 8)
    _write_element_header(tag, vr, length, target, out)
    swap = word > 1 and not little
    while length:
        piece = stored.read(min(length, COPY_BYTES))
        if not piece:
            raise CannotTranscode("its pixel data end too early")
        length -= len(piece)
        out.write(np.frombuffer(piece, f">u{word}").byteswap().tobytes() if swap else piece)


def _write_element_header(tag: int, vr: bytes, length: int, target: str, out: BinaryIO) -> None:
    if length > _LONGEST_VALUE:
        raise CannotTranscode("uncompressed, its pixel data are over 4 GiB")
    group, element = tag >> 16, tag & 0xFFFF
    if target == ImplicitVRLittleEndian:
        out.write(struct.pack("<HHI", group, element, length))
    else:
        out.write(struct.pack("<HH2sxxI", group, element, vr, length))
