"""An object on its way in by C-STORE: its file meta information, its bytes, its status.

Knows DIMSE statuses but no association, so that every lane can use it.
"""

import logging
import struct
import threading
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO

from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from pacs.database.errors import DatabaseError
from pacs.dicom.part10 import PREAMBLE
from pacs.ingest import Ingest, IngestError, Intake, Source, TooLarge
from storage.errors import StoreError

log = logging.getLogger(__name__)

# A UUID-derived UID (PS3.5 B.2) of this program; no version beside it, so that what is stored does
# not depend on when it came.
IMPLEMENTATION_CLASS_UID = "2.25.305829450176559680016287969273894315955"
IMPLEMENTATION_VERSION_NAME = "FILMLESS"

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

# SOP Class UID and SOP Instance UID stand near the beginning of any data set.
_IDENTITY_WITHIN_BYTES = 4096
_LAST_TAG_OF_IDENTITY = 0x00080018


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


class _Refusal(Exception):
    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.answer = Answer(status, comment)


class IncomingObject:
    """Takes the fragments of one data set and answers for it. Whatever happens to it is its own:
    nothing is raised, and what was refused is read to its end so that its neighbours can come.

    Thread-safe: fragments come on one thread, the end of the association on another.
    """

    def __init__(self, ingest: Ingest, source: Source, announcement: Announcement) -> None:
        self.announcement = announcement
        self.size = 0
        self._source = source
        self._head = bytearray()
        self._failure: Exception | None = None
        self._lock = threading.Lock()
        self._open = True
        self._resources = ExitStack()
        self._intake: Intake | None = None
        try:
            self._intake = self._resources.enter_context(ingest.begin(source))
            self._intake.write(file_meta(announcement))
        except Exception as failure:  # noqa: BLE001 - answered for in finish()
            self._failure = failure

    def write(self, fragment: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the data set."""
        with self._lock:
            self.size += len(fragment)
            if self._failure is not None or self._intake is None:
                return
            try:
                if len(self._head) < _IDENTITY_WITHIN_BYTES:
                    self._head += fragment[:_IDENTITY_WITHIN_BYTES]
                self._intake.write(fragment)
            except Exception as failure:  # noqa: BLE001 - answered for in finish()
                self._failure = failure
                self._close()

    def finish(self) -> Answer:
        """The data set is complete: make it durable, and say how that went."""
        with self._lock:
            try:
                if self._failure is not None:
                    raise self._failure
                self._check_identity()
                if self._intake is not None:
                    received = self._intake.commit()
                    log.debug("%s: %s", received.sop_instance_uid, received.outcome)
                return Answer(SUCCESS)
            except Exception as failure:  # noqa: BLE001 - each becomes a status
                answer = _answer_for(failure)
                self._log(failure, answer)
                return answer
            finally:
                self._close()

    def abandon(self) -> None:
        """The rest will never come: leave nothing of it. After finish() this does nothing."""
        with self._lock:
            if self._open:
                log.warning(
                    "%s at %s broke off after %d bytes of object %s; it is not stored",
                    self._source.peer,
                    self._source.address,
                    self.size,
                    self.announcement.sop_instance_uid,
                )
            self._close()

    def _close(self) -> None:
        self._open = False
        self._intake = None
        try:
            self._resources.close()
        except Exception:
            log.exception("what came of %s cannot be cleared", self.announcement.sop_instance_uid)

    def _check_identity(self) -> None:
        """Compare the data set with the command (PS3.4 B.2.2, B.2.3), as far as it says."""
        announced = self.announcement
        sop_class_uid, sop_instance_uid = _identity(bytes(self._head), announced)
        if sop_instance_uid and sop_instance_uid != announced.sop_instance_uid:
            raise _Refusal(DATA_SET_DOES_NOT_MATCH, "SOP Instance UID differs from the command's")
        if sop_class_uid and sop_class_uid != announced.sop_class_uid:
            raise _Refusal(DATA_SET_DOES_NOT_MATCH, "SOP Class UID differs from the command's")

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
        + _uid(0x0012, IMPLEMENTATION_CLASS_UID)
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode(), b" ")
    )
    group_length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements))
    return PREAMBLE + group_length + elements


def _uid(element: int, uid: str) -> bytes:
    return _element(element, b"UI", uid.encode("ascii", "replace"), b"\0")


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def _identity(head: bytes, announced: Announcement) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID of a data set's beginning; empty where it has none."""
    syntax = UID(announced.transfer_syntax_uid)
    if syntax == DeflatedExplicitVRLittleEndian:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, _IDENTITY_WITHIN_BYTES)
        except zlib.error:
            return "", ""
    try:
        dataset = read_dataset(
            BytesIO(head),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag > _LAST_TAG_OF_IDENTITY,
        )
        return str(dataset.get("SOPClassUID") or ""), str(dataset.get("SOPInstanceUID") or "")
    except Exception:  # noqa: BLE001 - garbage: pacs.ingest says what is wrong with it
        return "", ""


def _answer_for(failure: Exception) -> Answer:
    match failure:
        case _Refusal():
            return failure.answer
        case TooLarge():
            return Answer(OUT_OF_RESOURCES, "object is larger than this archive takes")
        case IngestError():
            return Answer(CANNOT_UNDERSTAND, failure.reason)
        case StoreError() | DatabaseError():
            return Answer(OUT_OF_RESOURCES, "cannot store now, please send again later")
        case _:
            return Answer(PROCESSING_FAILURE, "processing failure, see the log of the archive")
