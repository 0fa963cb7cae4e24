"""An object on its way in by C-STORE: its file meta information, its bytes, its status."""

import logging
import struct
from contextlib import ExitStack
from dataclasses import dataclass

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
from pacs.ingest import Ingest, IngestError, Intake, NotAsAnnounced, Source, TooLarge
from storage.errors import StoreError

log = logging.getLogger(__name__)


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


class IncomingObject:
    """Takes the fragments of one data set and answers for it. Whatever happens to it is its own:
    nothing is raised, and what was refused is read to its end so that its neighbours can come.
    """

    def __init__(self, ingest: Ingest, source: Source, announcement: Announcement) -> None:
        self.announcement = announcement
        self.size = 0
        self._source = source
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
        self.size += len(part)
        if self._intake is None:
            return
        try:
            self._intake.write(part)
        except Exception as failure:  # noqa: BLE001 - answered for in finish()
            self._fail(failure)

    def finish(self) -> Answer:
        """The data set is complete: make it durable, and say how that went."""
        try:
            if self._intake is not None:
                announced = self.announcement
                received = self._intake.commit(
                    announced=(announced.sop_class_uid, announced.sop_instance_uid)
                )
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
        case NotAsAnnounced():
            return Answer(DATA_SET_DOES_NOT_MATCH, failure.reason)
        case TooLarge():
            return Answer(OUT_OF_RESOURCES, "object is larger than this archive takes")
        case IngestError():
            return Answer(CANNOT_UNDERSTAND, failure.reason)
        case StoreError() | DatabaseError():
            return Answer(OUT_OF_RESOURCES, "cannot store now, please send again later")
        case _:
            return Answer(PROCESSING_FAILURE, "processing failure, see the log of the archive")
