"""Frames as they are stored, decoded: pydicom's decoders with imagecodecs as their fast plugin."""

from collections.abc import Callable
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
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

import pacs.dicom.reading  # noqa: F401
from pacs.errors import PacsError

_PLUGIN = "imagecodecs"
_DECODE: dict[UID, Callable[[bytes], NDArray[Any]]] = {
    JPEG2000: imagecodecs.jpeg2k_decode,
    JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    HTJ2K: imagecodecs.htj2k_decode,
    HTJ2KLossless: imagecodecs.htj2k_decode,
    HTJ2KLosslessRPCL: imagecodecs.htj2k_decode,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
    JPEGLossless: imagecodecs.ljpeg_decode,
    JPEGLosslessSV1: imagecodecs.ljpeg_decode,
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
}
_BECOMES_RGB = (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT)

DECODER_DEPENDENCIES = dict.fromkeys(_DECODE, ("imagecodecs",))


class UndecodableFrame(PacsError):
    """A frame whose bytes are not what its transfer syntax says, or whose syntax has no decoder."""


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
    if runner.pixel_representation == 1 and array.dtype.kind == "u":
        signed = array.astype(array.dtype.newbyteorder("<")).view(f"<i{array.dtype.itemsize}")
        unused = array.dtype.itemsize * 8 - runner.bits_stored
        array = (signed << unused) >> unused
    return np.ascontiguousarray(array).tobytes()


def decode(
    header: Dataset, frame: bytes, transfer_syntax_uid: str, *, raw: bool
) -> tuple[NDArray[Any], str]:
    """A frame's pixels, (rows, columns) or (rows, columns, samples), and what they are.

    The second value is the photometric interpretation of the array: with `raw` that of the
    object, else YBR has become RGB. Raises UndecodableFrame.
    """
    syntax = UID(transfer_syntax_uid)
    image = Dataset()
    for element in header.group_dataset(0x0028):
        image.add(element)
    image.SOPClassUID = header.get("SOPClassUID", "")
    # A new element: those of `header` are the caller's own.
    image["NumberOfFrames"] = DataElement(0x00280008, "IS", 1)
    try:
        compressed = syntax.is_compressed and not syntax.is_deflated
        image.PixelData = encapsulate([frame]) if compressed else frame
        image["PixelData"].VR = "OB" if header.get("BitsAllocated", 8) <= 8 else "OW"
        image.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        image.file_meta = _file_meta(syntax)
        array, properties = get_decoder(syntax).as_array(image, raw=raw)
    except (ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
        raise UndecodableFrame(
            f"{header.get('SOPInstanceUID', '')}: a frame in {syntax.name} cannot be decoded: "
            f"{error}"
        ) from error
    return array, str(properties["photometric_interpretation"])


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
