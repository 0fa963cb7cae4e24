"""Part 10 framing (PS3.10 7.1): preamble and file meta information in front of a data set."""

import struct
from dataclasses import dataclass

from pacs.dicom.errors import NotDicom
from pacs.dicom.layout import LONG_VRS

PREAMBLE = b"\0" * 128 + b"DICM"
MAX_FILE_META_BYTES = 1 << 20
# A UUID-derived UID (PS3.5 B.2) of this program; no version beside it, so that what is stored does
# not depend on when it came.
IMPLEMENTATION_CLASS_UID = "2.25.305829450176559680016287969273894315955"
IMPLEMENTATION_VERSION_NAME = "FILMLESS"

_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_TRANSFER_SYNTAX_UID = (0x0002, 0x0010)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What is needed of the file meta information to read what follows."""

    transfer_syntax_uid: str
    dataset_start: int  # bytes from the beginning of the file


def read_file_meta(head: bytes | bytearray | memoryview) -> FileMeta | None:
    """The file meta information of a file that begins with `head`; None: more bytes are needed.

    Files without (0002,0000) group length are read as far as their group 2 goes.
    Raises NotDicom.
    """
    view = memoryview(head)
    if len(view) < 132:
        return None
    if bytes(view[128:132]) != b"DICM":
        raise NotDicom("no DICM prefix after 128 bytes: this is not a DICOM file")
    end = None
    if len(view) >= 144 and bytes(view[132:140]) == _GROUP_LENGTH:
        end = 144 + struct.unpack_from("<I", view, 140)[0]
        if end > MAX_FILE_META_BYTES:
            raise NotDicom("the file meta information claims to be over 1 MiB long")
        if len(view) < end:
            return None
    return _walk(view, end)


def _walk(view: memoryview, end: int | None) -> FileMeta | None:
    at, transfer_syntax_uid = 132, ""
    while end is None or at < end:
        if len(view) < at + 8:
            return _bounded(view)
        group, element = struct.unpack_from("<HH", view, at)
        if group != 0x0002:
            break
        if bytes(view[at + 4 : at + 6]) in LONG_VRS:
            if len(view) < at + 12:
                return _bounded(view)
            start, length = at + 12, struct.unpack_from("<I", view, at + 8)[0]
        else:
            start, length = at + 8, struct.unpack_from("<H", view, at + 6)[0]
        if len(view) < start + length:
            return _bounded(view)
        if (group, element) == _TRANSFER_SYNTAX_UID:
            value = bytes(view[start : start + length])
            transfer_syntax_uid = value.rstrip(b" \0").decode("ascii", "replace")
        at = start + length
    if not transfer_syntax_uid:
        raise NotDicom("(0002,0010) Transfer Syntax UID is missing")
    return FileMeta(transfer_syntax_uid, at)


def _bounded(view: memoryview) -> FileMeta | None:
    if len(view) > MAX_FILE_META_BYTES:
        raise NotDicom("the file meta information is over 1 MiB long")
    return None


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) for a data set that came without.

    Says nothing of the sender, so that the same object from another sender is the same bytes.
    """
    elements = (
        b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
        + _uid(0x0002, sop_class_uid)
        + _uid(0x0003, sop_instance_uid)
        + _uid(0x0010, transfer_syntax_uid)
        + _OURSELVES
    )
    group_length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements))
    return PREAMBLE + group_length + elements


def _uid(element: int, uid: str) -> bytes:
    return _element(element, b"UI", uid.encode("ascii", "replace"), b"\0")


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


_OURSELVES = _uid(0x0012, IMPLEMENTATION_CLASS_UID) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode(), b" "
)
