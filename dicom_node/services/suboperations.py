"""The C-STORE sub-operations of C-MOVE and C-GET (PS3.4 C.4.2, C.4.3): counted, answered for, and
ended early by C-CANCEL."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom.uid import ImplicitVRLittleEndian
from sqlalchemy.exc import DBAPIError

from dicom_node.character_sets import CharacterSet
from dicom_node.dimse import (
    CANCELLED,
    CANNOT_CALCULATE_MATCHES,
    CANNOT_PERFORM_SUBOPERATIONS,
    DATA_SET_DOES_NOT_MATCH,
    PENDING,
    SUBOPERATIONS_INCOMPLETE,
    SUCCESS,
    Command,
    is_warning,
    response_to,
)
from dicom_node.errors import AssociationAborted
from dicom_node.identifiers import AnswerWriter
from dicom_node.services import query_retrieve
from dicom_node.services.query_retrieve import UNIQUE_KEYS, Identifier, Refused
from dicom_node.services.session import Session
from dicom_node.services.trail import record_retrieval
from dicom_node.storage_user import NoContext, StorageUser, transcoded
from dicom_node.upper_layer.association import Context, Message
from dicom_node.upper_layer.connection import Buffer
from pacs.database.errors import DatabaseError
from pacs.dicom.header import is_uid
from pacs.dicom.transcoding import CannotTranscode
from pacs.index.attributes import LEVELS
from pacs.outgoing import Outgoing, ReadAhead, StoredObject, outgoing
from storage.errors import StoreError

log = logging.getLogger(__name__)

PENDING_EVERY_SECONDS = 1.0
MOST_UIDS = 10_000
MOST_FAILED_UIDS = 1000  # what explicit VR has room for in one value
_MOST_COUNTED = 0xFFFF
_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058
_ISSUER_OF_PATIENT_ID = 0x00100021
_ASCII = CharacterSet("ISO_IR 6")


def wanted(session: Session, message: Message) -> list[Outgoing]:
    """The instances that a C-MOVE or C-GET asks for, put on record as looked at.

    Higher unique keys narrow what is found, and need not be there, as for C-FIND. Raises Refused
    and AssociationAborted.
    """
    identifier = query_retrieve.identifier_of(session, message)
    keys = {level: _uids(identifier, UNIQUE_KEYS[level]) for level in LEVELS[1:]}
    patient_id = identifier.value(UNIQUE_KEYS["PATIENT"]) or None
    unique = UNIQUE_KEYS[identifier.level]
    if not identifier.value(unique):
        raise Refused(DATA_SET_DOES_NOT_MATCH, "the unique key of its level is missing", unique)
    below = LEVELS[LEVELS.index(identifier.level) + 1 :]
    for level in below:
        if keys[level]:
            raise Refused(
                DATA_SET_DOES_NOT_MATCH, "a unique key below its level", UNIQUE_KEYS[level]
            )
    try:
        with session.archive.engine.connect() as connection:
            found = outgoing(
                connection,
                patient_id=patient_id,
                issuer=identifier.value(_ISSUER_OF_PATIENT_ID) or None,
                studies=keys["STUDY"],
                series=keys["SERIES"],
                instances=keys["IMAGE"],
            )
        record_retrieval(session, dict.fromkeys(one.study_instance_uid for one in found))
    except (DatabaseError, DBAPIError) as error:
        log.warning("%s: a retrieval cannot be answered: %s", session.association.remote, error)
        raise Refused(CANNOT_CALCULATE_MATCHES, "cannot answer now, please try later") from error
    return found


def _uids(identifier: Identifier, tag: int) -> list[str]:
    uids = identifier.values(tag)
    if len(uids) > MOST_UIDS:
        raise Refused(DATA_SET_DOES_NOT_MATCH, f"over {MOST_UIDS} UIDs", tag)
    if not all(map(is_uid, uids)):
        raise Refused(DATA_SET_DOES_NOT_MATCH, "what is no UID", tag)
    return uids


class SubOperations:
    """The sub-operations of one request."""

    def __init__(self, session: Session, message: Message, total: int) -> None:
        self.remaining = total
        self.completed = self.failed = self.warned = 0
        self.is_cancelled = False
        self._session = session
        self._message = message
        self._failed_uids: list[str] = []
        self._said: set[str] = set()
        self._next_pending = time.monotonic() + PENDING_EVERY_SECONDS

    def run(self, user: StorageUser, instances: Sequence[Outgoing]) -> None:
        """Send the instances, one after another, until all are sent or the request is cancelled.

        Raises AssociationAborted where the association with the requestor is over. What becomes of
        another, on which they are sent, is told by what has failed.
        """
        archive = self._session.archive
        own = user.association is self._session.association
        with ReadAhead(archive, instances) as ahead:
            for number, (instance, stored) in enumerate(ahead):
                try:
                    self._send(user, instance, stored, ahead)
                except AssociationAborted as aborted:
                    if own:
                        raise
                    log.warning("%s: sending breaks off: %s", user.association.remote, aborted)
                    self.fail(instances[number:])
                    return
                if self._is_over():
                    return

    def fail(self, instances: Sequence[Outgoing]) -> None:
        """Count instances as failed."""
        self.remaining -= len(instances)
        self.failed += len(instances)
        self._failed_uids += [instance.sop_instance_uid for instance in instances]

    def finish(self) -> None:
        """Send the last response. Raises AssociationAborted."""
        if self.is_cancelled:
            status = CANCELLED
        elif self.failed and not (self.completed or self.warned):
            status = CANNOT_PERFORM_SUBOPERATIONS
        elif self.failed or self.warned:
            status = SUBOPERATIONS_INCOMPLETE
        else:
            status = SUCCESS
        response = self._response(status, remaining=self.is_cancelled)
        self._session.association.send(self._message.context.id, response, self._failed_list())
        log.info(
            "%s: %d objects sent, %d failed, %d left",
            self._session.association.remote,
            self.completed + self.warned,
            self.failed,
            self.remaining,
        )

    def _send(
        self,
        user: StorageUser,
        instance: Outgoing,
        stored: StoredObject | StoreError,
        ahead: ReadAhead,
    ) -> None:
        try:
            with _encoded(user, instance, stored) as (context, data):
                user.send(context, instance.sop_instance_uid, data)
            ahead.fill()
            answer = user.answer()
        except NoContext as error:
            self._say_once(str(error))
            self.fail([instance])
            return
        except (CannotTranscode, StoreError) as error:
            log.warning("%s is not sent: %s", instance.sop_instance_uid, error)
            self.fail([instance])
            return
        finally:
            if isinstance(stored, StoredObject):
                stored.close()
        self._count(user, instance, answer)

    def _say_once(self, reason: str) -> None:
        """Of a whole series the same thing would be said a thousand times."""
        if reason not in self._said:
            self._said.add(reason)
            log.warning("objects are not sent: %s", reason)

    def _count(self, user: StorageUser, instance: Outgoing, answer: Command) -> None:
        status = answer.status or SUCCESS
        if status == SUCCESS:
            self.completed += 1
        elif is_warning(status):
            self.warned += 1
        else:
            log.warning(
                "%s refuses %s with status 0x%04X %s",
                user.association.remote,
                instance.sop_instance_uid,
                status,
                answer.error_comment or "",
            )
            self.failed += 1
            self._failed_uids.append(instance.sop_instance_uid)
        self.remaining -= 1

    def _is_over(self) -> bool:
        """Look after the requestor: hear whether it cancels, tell it how far we are."""
        association = self._session.association
        if self.remaining and association.cancelled(self._message.command.message_id or 0):
            self.is_cancelled = True
            return True
        if time.monotonic() >= self._next_pending and self.remaining:
            self._next_pending = time.monotonic() + PENDING_EVERY_SECONDS
            association.send(self._message.context.id, self._response(PENDING, remaining=True))
        return False

    def _response(self, status: int, *, remaining: bool) -> Command:
        def bounded(count: int) -> int:
            return min(count, _MOST_COUNTED)

        return response_to(
            self._message.command,
            status,
            remaining_suboperations=bounded(self.remaining) if remaining else None,
            completed_suboperations=bounded(self.completed),
            failed_suboperations=bounded(self.failed),
            warning_suboperations=bounded(self.warned),
        )

    def _failed_list(self) -> list[bytes]:
        """The identifier of the last response: which instances failed (PS3.4 C.4.2.1.4.2)."""
        if not self._failed_uids:
            return []
        implicit = self._message.context.transfer_syntax == ImplicitVRLittleEndian
        uids = "\\".join(self._failed_uids[:MOST_FAILED_UIDS])
        fixed = {_FAILED_SOP_INSTANCE_UID_LIST: ("UI", uids)}
        return [AnswerWriter((), fixed, _ASCII, implicit=implicit).write({})]


@contextmanager
def _encoded(
    user: StorageUser, instance: Outgoing, stored: StoredObject | StoreError
) -> Iterator[tuple[Context, Iterator[Buffer]]]:
    """The data set as the peer takes it, and the context for it.

    Raises NoContext, CannotTranscode and StoreError.
    """
    if isinstance(stored, StoreError):
        raise stored
    context = user.context_for(instance.sop_class_uid, instance.transfer_syntax_uid)
    if context.transfer_syntax == instance.transfer_syntax_uid:
        yield context, stored.dataset(mapped=not user.association.is_encrypted)
        return
    stored.file.seek(0)
    with transcoded(stored.file, context.transfer_syntax) as data:
        yield context, data
