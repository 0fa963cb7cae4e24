"""An object on its way in by C-STORE: its file meta information, its bytes, its status."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass

from dicom_node.dimse import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)
from pacs.database.errors import DatabaseError
from pacs.dicom import part10
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
    """Preamble and file meta information for a data set as it was announced."""
    return part10.file_meta(
        announced.sop_class_uid, announced.sop_instance_uid, announced.transfer_syntax_uid
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
