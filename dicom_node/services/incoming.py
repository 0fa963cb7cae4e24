"""An object on its way in by C-STORE: its file meta information, its bytes, its status."""

import logging
import struct
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO

from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_node.dimse import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)
from dicom_node.upper_layer.associate_pdus import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from pacs.database.errors import DatabaseError
from pacs.dicom.part10 import PREAMBLE
from pacs.ingest import Ingest, IngestError, Intake, Source, TooLarge
from storage.errors import StoreError

log = logging.getLogger(__name__)

# SOP Class UID and SOP Instance UID stand near the beginning of any data set.
_IDENTITY_WITHIN_BYTES = 4096
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a C-STORE request says of the object that follows it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a C-STORE response (PS3.4 B.2.3) and its Error Comment, if any."""

    status: int
    comment: str = ""


class _Mismatch(Exception):
    """The data set is not what the command has announced."""


class IncomingObject:
    """Takes the fragments of one data set and answers for it. Whatever happens to it is its own:
    nothing is raised, and what was refused is read to its end so that its neighbours can come.
    """

    def __init__(self, ingest: Ingest, source: Source, announcement: Announcement) -> None:
        self.announcement = announcement
        self.size = 0
        self._source = source
        self._head = b""
        self._failure: Exception | None = None
        self._resources = ExitStack()
        self._intake: Intake | None = None
        try:
            intake = self._resources.enter_context(ingest.begin(source))
            intake.write(file_meta(announcement))
            self._intake = intake
        except Exception as failure:  # noqa: BLE001 - answered for in finish()
            self._fail(failure)

    def write(self, part: memoryview) -> None:
        """Take the next bytes of the data set; they are copied or written before this returns."""
        if self._intake is None:
            self.size += len(part)
            return
        try:
            if self.size < _IDENTITY_WITHIN_BYTES:
                self._head += part[: _IDENTITY_WITHIN_BYTES - self.size]
            self.size += len(part)
            self._intake.write(part)
        except Exception as failure:  # noqa: BLE001 - answered for in finish()
            self._fail(failure)

    def finish(self) -> Answer:
        """The data set is complete: make it durable, and say how that went."""
        try:
            if self._intake is not None:
                self._check_identity()
                received = self._intake.commit()
                log.debug("%s: %s", received.sop_instance_uid, received.outcome)
        except Exception as failure:  # noqa: BLE001 - each becomes a status
            self._failure = failure
        finally:
            self._close()
        if self._failure is None:
            return Answer(SUCCESS)
        answer = _answer_for(self._failure)
        self._log(self._failure, answer)
        return answer

    def abandon(self) -> None:
        """The rest will never come: leave nothing of it."""
        log.warning(
            "%s at %s broke off after %d bytes of object %s; it is not stored",
            self._source.peer,
            self._source.address,
            self.size,
            self.announcement.sop_instance_uid,
        )
        self._close()

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._close()

    def _close(self) -> None:
        self._intake = None
        try:
            self._resources.close()
        except Exception:
            log.exception("what came of %s cannot be cleared", self.announcement.sop_instance_uid)

    def _check_identity(self) -> None:
        """Compare the data set with the command (PS3.4 B.2.2, B.2.3), as far as it says."""
        announced = self.announcement
        sop_class_uid, sop_instance_uid = identity(self._head, announced.transfer_syntax_uid)
        if sop_instance_uid and sop_instance_uid != announced.sop_instance_uid:
            raise _Mismatch("SOP Instance UID differs from the command's")
        if sop_class_uid and sop_class_uid != announced.sop_class_uid:
            raise _Mismatch("SOP Class UID differs from the command's")

    def _log(self, failure: Exception, answer: Answer) -> None:
        what = "%s at %s: object %s refused with status 0x%04X: %s"
        say = log.error if answer.status == PROCESSING_FAILURE else log.warning
        say(
            what,
            self._source.peer,
            self._source.address,
            self.announcement.sop_instance_uid,
            answer.status,
            failure,
            exc_info=failure if answer.status == PROCESSING_FAILURE else None,
        )


def file_meta(announced: Announcement) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) for a data set as it was announced.

    Says nothing of the sender, so that the same object from another sender is the same bytes.
    """
    elements = (
        b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
        + _uid(0x0002, announced.sop_class_uid)
        + _uid(0x0003, announced.sop_instance_uid)
        + _uid(0x0010, announced.transfer_syntax_uid)
        + _OURSELVES
    )
    group_length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements))
    return PREAMBLE + group_length + elements


def identity(head: bytes, transfer_syntax_uid: str) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID in a data set's first bytes; empty where it has none."""
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, _IDENTITY_WITHIN_BYTES)
        except zlib.error:
            return "", ""
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    order = ">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    found = {_SOP_CLASS_UID: "", _SOP_INSTANCE_UID: ""}
    tag_and_length = struct.Struct(f"{order}HHI" if implicit else f"{order}HH2sH")
    at, end = 0, len(head)
    while at + 12 <= end:
        if implicit:
            group, element, length = tag_and_length.unpack_from(head, at)
            at += 8
        else:
            group, element, vr, length = tag_and_length.unpack_from(head, at)
            at += 8
            if vr in _LONG_VRS:
                (length,) = struct.unpack_from(f"{order}I", head, at)
                at += 4
        tag = group << 16 | element
        if tag > _SOP_INSTANCE_UID:
            break
        if length == _UNDEFINED_LENGTH:  # a sequence among the first elements: rare
            return _identity_behind_sequence(head, implicit=implicit, little=order == "<")
        if tag in found and at + length <= end:
            found[tag] = head[at : at + length].decode("latin-1").strip("\0 ")
        at += length
    return found[_SOP_CLASS_UID], found[_SOP_INSTANCE_UID]


def _identity_behind_sequence(head: bytes, *, implicit: bool, little: bool) -> tuple[str, str]:
    try:
        dataset = read_dataset(
            BytesIO(head),
            implicit,
            little,
            stop_when=lambda tag, _vr, _length: tag > _SOP_INSTANCE_UID,
        )
        return str(dataset.get("SOPClassUID") or ""), str(dataset.get("SOPInstanceUID") or "")
    except Exception:  # noqa: BLE001 - garbage: pacs.ingest says what is wrong with it
        return "", ""


def _uid(element: int, uid: str) -> bytes:
    return _element(element, b"UI", uid.encode("ascii", "replace"), b"\0")


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


_OURSELVES = _uid(0x0012, IMPLEMENTATION_CLASS_UID) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode(), b" "
)


def _answer_for(failure: Exception) -> Answer:
    match failure:
        case _Mismatch():
            return Answer(DATA_SET_DOES_NOT_MATCH, str(failure))
        case TooLarge():
            return Answer(OUT_OF_RESOURCES, "object is larger than this archive takes")
        case IngestError():
            return Answer(CANNOT_UNDERSTAND, failure.reason)
        case StoreError() | DatabaseError():
            return Answer(OUT_OF_RESOURCES, "cannot store now, please send again later")
        case _:
            return Answer(PROCESSING_FAILURE, "processing failure, see the log of the archive")
