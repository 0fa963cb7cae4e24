"""Frames decoded and encoded: pydicom's decoders, with imagecodecs as their fast plugin.

What costs nothing to decode, and HTJ2K at a part of its resolution, goes past pydicom.
"""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders import base as decoders
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

import pacs.dicom.reading  # noqa: F401
from pacs.errors import PacsError

Buffer = bytes | memoryview

_PLUGIN = "imagecodecs"
_htj2k_decode = partial(imagecodecs.htj2k_decode, planar=False)
_DECODE: dict[UID, Callable[[bytes], NDArray[Any]]] = {
    JPEG2000: imagecodecs.jpeg2k_decode,
    JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    HTJ2K: _htj2k_decode,
    HTJ2KLossless: _htj2k_decode,
    HTJ2KLosslessRPCL: _htj2k_decode,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
    JPEGLossless: imagecodecs.ljpeg_decode,
    JPEGLosslessSV1: imagecodecs.ljpeg_decode,
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
}
_PLAIN = frozenset((ImplicitVRLittleEndian, ExplicitVRLittleEndian))
_HTJ2K = frozenset((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL))
_WIDEST_HTJ2K = 2
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_START_OF_FRAME = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xF7))
_LONGEST_MARKERS = 1 << 17
_BECOMES_RGB = (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT)
_RGB = (PhotometricInterpretation.RGB, *_BECOMES_RGB)

DECODER_DEPENDENCIES = dict.fromkeys(_DECODE, ("imagecodecs",))


BAD_PIXELS = (
    *(ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError),
    *(KeyError, IndexError, EOFError, OverflowError, struct.error, zlib.error),
)
"""What pydicom and the codecs raise at pixels that are not what they are said to be."""


class UndecodableFrame(PacsError):
    """A frame whose bytes are not what its transfer syntax says, or whose syntax has no decoder."""


class NotEncodable(PacsError):
    """Pixels for which a transfer syntax has no form, such as floating point numbers."""


def is_available(uid: str) -> bool:
    """Whether this plugin decodes the transfer syntax (pydicom's plugin protocol)."""
    return uid in _DECODE


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """One frame's samples, pixel by pixel, little endian (pydicom's plugin protocol)."""
    array = _DECODE[runner.transfer_syntax](src)
    runner.set_option("bits_allocated", array.dtype.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    photometric = runner.photometric_interpretation
    is_jpeg_colour = runner.transfer_syntax == JPEGExtended12Bit and array.ndim == 3
    if photometric in _BECOMES_RGB or is_jpeg_colour:
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    if runner.pixel_representation == 1:
        array = _signed(array, runner.bits_stored)
    return np.ascontiguousarray(array).tobytes()


def decode(
    header: Dataset, frame: Buffer, transfer_syntax_uid: str, *, raw: bool
) -> tuple[NDArray[Any], str]:
    """A frame's pixels, (rows, columns) or (rows, columns, samples), and what they are.

    The second value is the photometric interpretation of the array: with `raw` that of the
    object, else YBR has become RGB. The array may be a view of `frame`. Raises UndecodableFrame.
    """
    syntax = UID(transfer_syntax_uid)
    plain = _plain(header, frame, syntax)
    if plain is not None:
        return plain, str(header.PhotometricInterpretation)
    image = Dataset()
    for element in header.group_dataset(0x0028):
        image.add(element)
    image.SOPClassUID = header.get("SOPClassUID", "")
    # A new element: those of `header` are the caller's own.
    image["NumberOfFrames"] = DataElement(0x00280008, "IS", 1)
    try:
        compressed = syntax.is_compressed and not syntax.is_deflated
        if compressed:
            _check_extent(frame, int(header.Rows), int(header.Columns))
        image.PixelData = encapsulate([bytes(frame)]) if compressed else bytes(frame)
        image["PixelData"].VR = "OB" if header.get("BitsAllocated", 8) <= 8 else "OW"
        image.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        image.file_meta = _file_meta(syntax)
        array, properties = get_decoder(syntax).as_array(image, raw=raw)
    except BAD_PIXELS as error:
        raise UndecodableFrame(
            f"{header.get('SOPInstanceUID', '')}: a frame in {syntax.name} cannot be decoded: "
            f"{error}"
        ) from error
    return array, str(properties["photometric_interpretation"])


def _check_extent(codestream: Buffer, rows: int, columns: int) -> None:
    """Raise ValueError where a stream makes itself larger than its object says that it is.

    Before it is decoded: a few bytes can claim gigabytes (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2,
    15444-1 A.5.1).
    """
    head = bytes(codestream[:_LONGEST_MARKERS])
    found: tuple[int, int] | None = None
    start = head.find(_JPEG_2000_START) if head[4:8] == b"jP  " else 0
    if head[start : start + 4] == _JPEG_2000_START and start + 24 <= len(head):
        width, height, left, top = struct.unpack_from(">4I", head, start + 8)
        found = height - top, width - left
    elif head[:2] == b"\xff\xd8":
        at = 2
        while head[at : at + 1] == b"\xff" and at + 9 <= len(head) and found is None:
            if head[at + 1] in _START_OF_FRAME:
                found = struct.unpack_from(">2H", head, at + 5)
            at += 2 + int.from_bytes(head[at + 2 : at + 4])
    if found is not None and (found[0] > rows or found[1] > columns):
        raise ValueError(
            f"its stream is of {found[1]} by {found[0]} pixels, not {columns} by {rows}"
        )


def is_htj2k(transfer_syntax_uid: str) -> bool:
    """Whether frames are HTJ2K codestreams, lossless or not."""
    return transfer_syntax_uid in _HTJ2K


def decode_reduced(header: Dataset, frame: Buffer, halvings: int) -> NDArray[Any]:
    """A grey HTJ2K frame at its size halved that often, decoded no further.

    Larger where the stream holds fewer resolutions. Raises UndecodableFrame.
    """
    try:
        _check_extent(frame, int(header.Rows), int(header.Columns))
        array = imagecodecs.htj2k_decode(
            bytes(frame), skipres=min(halvings, _decompositions(frame))
        )
    except (ValueError, RuntimeError) as error:
        raise UndecodableFrame(
            f"{header.get('SOPInstanceUID', '')}: a frame cannot be decoded: {error}"
        ) from error
    signed = header.get("PixelRepresentation") == 1
    return _signed(array, int(header.BitsStored)) if signed else array


def _decompositions(codestream: Buffer) -> int:
    """How often the stream halves the frame: from its COD segment (ISO/IEC 15444-1 A.6.1)."""
    main_header = bytes(codestream[:1024])
    at = main_header.find(b"\xff\x52")
    return main_header[at + 9] if 0 < at < len(main_header) - 9 else 0


def encode_htj2k(array: NDArray[Any], photometric: str) -> bytes:
    """A frame as a reversible HTJ2K codestream that fulfils both .201 and .202.

    RPCL progression with tile-part lengths, so that a reader may stop at any resolution. RGB goes
    through the reversible colour transform, which every decoder undoes (`htj2k_photometric`).
    Raises NotEncodable.
    """
    if array.dtype.kind not in "iu" or array.dtype.itemsize > _WIDEST_HTJ2K:
        raise NotEncodable(f"HTJ2K has no form for samples of type {array.dtype}")
    try:
        native = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="), copy=False)
        return bytes(
            imagecodecs.htj2k_encode(
                native,
                rgb=photometric in _RGB if native.ndim == 3 else None,
                reversible=True,
                tlm=True,
                resolutions=6,
            )
        )
    except (ValueError, RuntimeError) as error:
        raise NotEncodable(f"these pixels cannot be put into HTJ2K: {error}") from error


def htj2k_photometric(photometric: str) -> str:
    """What an object says of its frames once they are such codestreams (PS3.5 8.2.14)."""
    return str(PhotometricInterpretation.YBR_RCT) if photometric in _RGB else photometric


def _plain(header: Dataset, frame: Buffer, syntax: UID) -> NDArray[Any] | None:
    """Uncompressed grey or RGB samples as they lie there; None for all that needs more."""
    if syntax not in _PLAIN:
        return None
    try:
        bits, rows, columns = int(header.BitsAllocated), int(header.Rows), int(header.Columns)
        samples = int(header.SamplesPerPixel)
        photometric = str(header.PhotometricInterpretation)
        if rows * columns * samples * bits // 8 != len(frame):
            return None
        if "BitsStored" not in header and bits in (32, 64) and samples == 1:
            # Float or Double Float Pixel Data, which know no such attribute (PS3.3 C.7.6.24).
            return np.frombuffer(frame, f"<f{bits // 8}").reshape(rows, columns)
        stored, signed = int(header.BitsStored), int(header.PixelRepresentation) == 1
    except (AttributeError, TypeError, ValueError):
        return None
    if bits not in (8, 16, 32) or not 0 < stored <= bits:
        return None
    array = np.frombuffer(frame, f"<{'i' if signed else 'u'}{bits // 8}")
    if samples == 3 and photometric == "RGB":
        planar = header.get("PlanarConfiguration") == 1
        shaped = array.reshape((3, rows, columns) if planar else (rows, columns, 3))
        return np.ascontiguousarray(shaped.transpose(1, 2, 0)) if planar else shaped
    if samples != 1:
        return None
    return _within(array.reshape(rows, columns), stored, signed=signed)


def _within(array: NDArray[Any], stored: int, *, signed: bool) -> NDArray[Any]:
    """The same without what may stand in the bits that are not the pixel's: overlays, rubbish."""
    unused = array.dtype.itemsize * 8 - stored
    if not unused or not array.size:
        return array
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, 2**stored - 1)
    if array.max() <= high and (not signed or array.min() >= low):
        return array
    return (array << unused) >> unused


def _signed(array: NDArray[Any], stored: int) -> NDArray[Any]:
    if array.dtype.kind != "u":
        return array
    signed = array.astype(array.dtype.newbyteorder("<")).view(f"<i{array.dtype.itemsize}")
    unused = array.dtype.itemsize * 8 - stored
    return (signed << unused) >> unused


def _file_meta(syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    return meta


def _register() -> None:
    for syntax in _DECODE:
        decoder = decoders._PIXEL_DATA_DECODERS[syntax][0]
        if _PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))
            # First in line: the others stay as a second opinion.
            plugins = decoder._available
            decoder._available = {_PLUGIN: plugins.pop(_PLUGIN), **plugins}


_register()
