"""The media type in which frames of each transfer syntax travel (PS3.18 section 8.7.3.3)."""

from __future__ import annotations

from dataclasses import dataclass

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
OCTETS = "application/octet-stream"

# Their frames are the pixels as they are, little endian.
_NATIVE = frozenset({"1.2.840.10008.1.2", EXPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.1.99"})
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class Compression:
    """A media type and the other names under which clients ask for it."""

    media_type: str
    aliases: tuple[str, ...] = ()


_RLE = Compression("image/dicom-rle", ("image/x-dicom-rle",))
_JPEG = Compression("image/jpeg", ("image/dicom+jpeg",))
_JPEG_LS = Compression("image/jls", ("image/x-jls", "image/dicom+jpeg-ls"))
_JPEG_2000 = Compression("image/jp2", ("image/dicom+jp2",))
_JPEG_2000_PART_2 = Compression("image/jpx", ("image/dicom+jpx",))
HTJ2K = Compression("image/jphc", ("image/jhc", "image/jph"))
_JPEG_XL = Compression("image/jxl")
_MPEG_2 = Compression("video/mpeg", ("video/mpeg2",))
_MPEG_4 = Compression("video/mp4")
_H265 = Compression("video/H265")

HTJ2K_LOSSLESS = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202")
"""The second with RPCL progression; what is made here fulfils both."""

_LOSSLESS = _NATIVE | {
    _BIG_ENDIAN,
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    *HTJ2K_LOSSLESS,
}

_COMPRESSED = {
    "1.2.840.10008.1.2.5": _RLE,
    "1.2.840.10008.1.2.4.50": _JPEG,
    "1.2.840.10008.1.2.4.51": _JPEG,
    "1.2.840.10008.1.2.4.57": _JPEG,
    "1.2.840.10008.1.2.4.70": _JPEG,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
    "1.2.840.10008.1.2.4.90": _JPEG_2000,
    "1.2.840.10008.1.2.4.91": _JPEG_2000,
    "1.2.840.10008.1.2.4.92": _JPEG_2000_PART_2,
    "1.2.840.10008.1.2.4.93": _JPEG_2000_PART_2,
    "1.2.840.10008.1.2.4.201": HTJ2K,
    "1.2.840.10008.1.2.4.202": HTJ2K,
    "1.2.840.10008.1.2.4.203": HTJ2K,
    "1.2.840.10008.1.2.4.110": _JPEG_XL,
    "1.2.840.10008.1.2.4.111": _JPEG_XL,
    "1.2.840.10008.1.2.4.112": _JPEG_XL,
    "1.2.840.10008.1.2.4.100": _MPEG_2,
    "1.2.840.10008.1.2.4.101": _MPEG_2,
    "1.2.840.10008.1.2.4.102": _MPEG_4,
    "1.2.840.10008.1.2.4.103": _MPEG_4,
    "1.2.840.10008.1.2.4.104": _MPEG_4,
    "1.2.840.10008.1.2.4.105": _MPEG_4,
    "1.2.840.10008.1.2.4.106": _MPEG_4,
    "1.2.840.10008.1.2.4.107": _H265,
    "1.2.840.10008.1.2.4.108": _H265,
}


def is_native(transfer_syntax_uid: str) -> bool:
    """Whether stored frames are plain little-endian pixels already."""
    return transfer_syntax_uid in _NATIVE


def compression(transfer_syntax_uid: str) -> Compression | None:
    """How stored frames are compressed; None where they are not, or not in a known way."""
    # A video in several fragments (.1) is the same stream.
    return _COMPRESSED.get(transfer_syntax_uid) or _COMPRESSED.get(
        transfer_syntax_uid.removesuffix(".1")
    )


def is_lossless(transfer_syntax_uid: str) -> bool:
    """Whether frames are decoded here to exactly what was encoded."""
    return transfer_syntax_uid in _LOSSLESS


def must_be_decoded(transfer_syntax_uid: str) -> bool:
    """Whether stored frames are uncompressed, but in an order of bytes that no client takes."""
    return transfer_syntax_uid == _BIG_ENDIAN
