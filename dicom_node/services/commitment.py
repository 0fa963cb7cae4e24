"""Storage Commitment Push Model (PS3.4 J, PS3.7 10.1): the promise to keep what has been stored.

As SCP: an N-ACTION is on record before it is acknowledged, and answered by an N-EVENT-REPORT on an
association of its own to where the device listens; by a job, `answer`, that tries for hours. Who
listens nowhere that we know of hears it on the association on which it asked, while that is open.
As SCU: the N-EVENT-REPORT of whom we have asked is put on record.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.uid import ImplicitVRLittleEndian
from sqlalchemy.exc import DBAPIError

from dicom_node.character_sets import CharacterSet
from dicom_node.dimse import (
    INVALID_ARGUMENT_VALUE,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    NO_SUCH_ACTION_TYPE,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_OBJECT_INSTANCE,
    NO_SUCH_SOP_CLASS,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
    Command,
    response_to,
)
from dicom_node.errors import AssociationAborted, PeerUnavailable
from dicom_node.identifiers import AnswerWriter, Key, UnreadableIdentifier, read_identifier
from dicom_node.send import UNCOMPRESSED, peer_of
from dicom_node.services.query_retrieve import Refused
from dicom_node.services.session import Session
from dicom_node.upper_layer.association import Context, Message
from dicom_node.upper_layer.proposal import ProposedContext, Role
from pacs import commitment, devices
from pacs.archive import Archive
from pacs.commitment import Commitment, Reference
from pacs.database.errors import DatabaseError
from pacs.dicom.header import is_uid
from storage.errors import StoreError

log = logging.getLogger(__name__)

PUSH_MODEL, PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
REQUEST = 1
"""Action Type ID (PS3.4 J.3.2.1)."""
COMMITTED, FAILURES_EXIST = 1, 2
"""Event Type IDs (PS3.4 J.3.3.1)."""
MAX_BYTES = 16 << 20
"""Of a request or a report: some 100 000 references."""

_TRANSACTION_UID, _FAILURE_REASON = 0x00081195, 0x00081197
_FAILED, _REFERENCED = 0x00081198, 0x00081199
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00081150, 0x00081155
_ASCII = CharacterSet("ISO_IR 6")


def serves(abstract_syntax: str) -> bool:
    """Whether it is the Storage Commitment Push Model."""
    return abstract_syntax == PUSH_MODEL


def act(session: Session, message: Message) -> None:
    """Answer an N-ACTION-RQ (PS3.4 J.3.2). Raises AssociationAborted."""
    association, request = session.association, message.command
    device = session.device
    listens = device is not None and device.is_destination
    try:
        asked = _asked(session, message, listens=listens)
    except Refused as refused:
        log.warning("%s: a storage commitment is refused: %s", association.remote, refused)
        association.send(message.context.id, refused.response(request))
        return
    log.info("%s asks for commitment to %d objects", association.remote, len(asked.requested))
    response = response_to(request, SUCCESS, action_type_id=REQUEST)
    association.send(message.context.id, response)
    if not listens:
        _answer_here(session, message.context, asked)


def heard(session: Session, message: Message) -> None:
    """Take note of an N-EVENT-REPORT-RSP to what was reported on this association."""
    asked = session.reports.pop(message.command.message_id_being_responded_to or 0, None)
    if asked is None:
        return
    try:
        _note(session.archive, asked, message.command.status or SUCCESS)
    except (DatabaseError, DBAPIError) as error:
        log.warning("that %s has heard of its commitment is not kept: %s", asked.aet, error)


def report(session: Session, message: Message) -> None:
    """Answer an N-EVENT-REPORT-RQ about what we have asked for (PS3.4 J.3.3).

    Raises AssociationAborted.
    """
    association, request = session.association, message.command
    try:
        transaction_uid, failures = _reported(session, message)
        with session.archive.engine.begin() as connection:
            aet = association.remote.aet
            if not commitment.heard(connection, aet, transaction_uid, failures):
                raise Refused(INVALID_ARGUMENT_VALUE, "no such transaction is known here")
    except Refused as refused:
        log.warning("%s: a report is refused: %s", association.remote, refused)
        association.send(message.context.id, refused.response(request))
        return
    except (DatabaseError, DBAPIError) as error:
        log.warning("%s: a report cannot be kept: %s", association.remote, error)
        association.send(message.context.id, response_to(request, RESOURCE_LIMITATION))
        return
    response = response_to(request, SUCCESS, event_type_id=request.event_type_id)
    association.send(message.context.id, response)


def answer(archive: Archive, number: int, asked: int) -> None:
    """Check a transaction and report its result to who has asked, on a new association.

    Does nothing where it has been asked again since (`asked` says how often it had been), or been
    answered. Raises PeerUnavailable, StoreError and DatabaseUnavailable: try again later.
    """
    with archive.engine.connect() as connection:
        kept = commitment.load(connection, number)
        device = devices.destination(connection, kept.aet)
    if kept.asked != asked or kept.reported_at is not None:
        return
    if device is None:
        log.error("%s cannot hear of its storage commitment: it listens nowhere", kept.aet)
        return
    kept = commitment.checked(archive, kept)
    association = peer_of(device, archive.settings).associate(
        [ProposedContext(PUSH_MODEL, UNCOMPRESSED)],
        {PUSH_MODEL: Role(scu=False, scp=True)},
    )
    try:
        # Who accepts the context, but has not heard of role selection, is reported to as well.
        context = next(iter(association.contexts.values()), None)
        if context is None:
            raise PeerUnavailable(f"{kept.aet} takes no reports of storage commitment")
        message_id = association.next_message_id()
        association.send(context.id, _command(kept, message_id), [_data_set(kept, context)])
        message = association.receive()
        if message is None or message.command.command_field != N_EVENT_REPORT_RSP:
            raise AssociationAborted(f"{kept.aet} has not answered the report")
        _note(archive, kept, message.command.status or SUCCESS)
    finally:
        association.release()


def request_data_set(
    transaction_uid: str, references: Iterable[Reference], *, implicit: bool
) -> bytes:
    """Action Information of a request (PS3.4 J.3.2.1.1)."""
    return _written({_REFERENCED: [(one, None) for one in references]}, transaction_uid, implicit)


def _asked(session: Session, message: Message, *, listens: bool) -> Commitment:
    request = message.command
    keys = _keys(session, message)
    if request.requested_sop_class_uid != PUSH_MODEL:
        raise Refused(NO_SUCH_SOP_CLASS, "not the Storage Commitment Push Model")
    if request.requested_sop_instance_uid != PUSH_MODEL_INSTANCE:
        raise Refused(NO_SUCH_OBJECT_INSTANCE, "not its well-known instance")
    if request.action_type_id != REQUEST:
        raise Refused(NO_SUCH_ACTION_TYPE, f"action {request.action_type_id} is not known")
    references = [reference for reference, _ in _references(keys, _REFERENCED)]
    if not references:
        raise Refused(INVALID_ARGUMENT_VALUE, "no instance is referenced")
    try:
        with session.archive.engine.begin() as connection:
            return commitment.request(
                connection,
                session.association.remote.aet,
                _transaction_uid(keys),
                references,
                answered_by_job=listens,
            )
    except (DatabaseError, DBAPIError) as error:
        raise Refused(RESOURCE_LIMITATION, "cannot be kept now, please ask later") from error


def _answer_here(session: Session, context: Context, asked: Commitment) -> None:
    association = session.association
    try:
        found = commitment.checked(session.archive, asked)
    except (StoreError, DatabaseError, DBAPIError) as error:
        log.error("%s hears nothing of its storage commitment: %s", association.remote, error)
        return
    message_id = association.next_message_id()
    session.reports[message_id] = found
    association.send(context.id, _command(found, message_id), [_data_set(found, context)])


def _note(archive: Archive, asked: Commitment, status: int) -> None:
    if status != SUCCESS:
        log.warning("%s answers the report by status 0x%04X", asked.aet, status)
    with archive.engine.begin() as connection:
        commitment.reported(connection, asked)
    log.info(
        "%s knows of %d objects that they are safe, and of %d that they are not",
        asked.aet,
        len(asked.safe),
        len(asked.failed),
    )


def _command(asked: Commitment, message_id: int) -> Command:
    return Command(
        command_field=N_EVENT_REPORT_RQ,
        message_id=message_id,
        affected_sop_class_uid=PUSH_MODEL,
        affected_sop_instance_uid=PUSH_MODEL_INSTANCE,
        event_type_id=FAILURES_EXIST if asked.failed else COMMITTED,
    )


def _data_set(asked: Commitment, context: Context) -> bytes:
    """Event Information (PS3.4 J.3.3.1.1)."""
    lists: dict[int, list[tuple[Reference, int | None]]] = {}
    if asked.failed:
        lists[_FAILED] = [*asked.failed]
    if asked.safe:
        lists[_REFERENCED] = [(one, None) for one in asked.safe]
    implicit = context.transfer_syntax == ImplicitVRLittleEndian
    return _written(lists, asked.transaction_uid, implicit)


def _written(
    lists: Mapping[int, Iterable[tuple[Reference, int | None]]],
    transaction_uid: str,
    implicit: bool,
) -> bytes:
    model: dict[str, Any] = {
        f"{_TRANSACTION_UID:08X}": {"vr": "UI", "Value": [transaction_uid]},
        **{
            f"{tag:08X}": {"vr": "SQ", "Value": [_item(*one) for one in references]}
            for tag, references in lists.items()
        },
    }
    keys = [Key(int(tag, 16), element["vr"]) for tag, element in model.items()]
    return AnswerWriter(keys, {}, _ASCII, implicit=implicit).write(model)


def _item(reference: Reference, reason: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {
        f"{_SOP_CLASS_UID:08X}": {"vr": "UI", "Value": [reference.sop_class_uid]},
        f"{_SOP_INSTANCE_UID:08X}": {"vr": "UI", "Value": [reference.sop_instance_uid]},
    }
    if reason is not None:
        item[f"{_FAILURE_REASON:08X}"] = {"vr": "US", "Value": [reason]}
    return item


def _reported(session: Session, message: Message) -> tuple[str, dict[str, int]]:
    """Transaction UID and failure reasons of a report. Raises Refused."""
    keys = _keys(session, message)
    if message.command.event_type_id not in (COMMITTED, FAILURES_EXIST):
        raise Refused(NO_SUCH_EVENT_TYPE, f"event {message.command.event_type_id} is not known")
    failures = {
        reference.sop_instance_uid: reason or PROCESSING_FAILURE
        for reference, reason in _references(keys, _FAILED)
    }
    return _transaction_uid(keys), failures


def _keys(session: Session, message: Message) -> Mapping[int, Key]:
    data = session.association.identifier(message, MAX_BYTES)
    try:
        return read_identifier(data, message.context.transfer_syntax)
    except UnreadableIdentifier as error:
        raise Refused(PROCESSING_FAILURE, str(error)) from error


def _transaction_uid(keys: Mapping[int, Key]) -> str:
    key = keys.get(_TRANSACTION_UID)
    if key is None or not is_uid(key.value):
        raise Refused(INVALID_ARGUMENT_VALUE, "the Transaction UID is missing or no UID")
    return key.value


def _references(keys: Mapping[int, Key], tag: int) -> list[tuple[Reference, int | None]]:
    """The items of a sequence of references, with their failure reasons. Raises Refused."""
    key = keys.get(tag)
    found = []
    for item in key.items if key is not None else ():
        values = {inner.tag: inner.value for inner in item}
        uids = [values.get(uid, "") for uid in (_SOP_CLASS_UID, _SOP_INSTANCE_UID)]
        if not all(map(is_uid, uids)):
            raise Refused(INVALID_ARGUMENT_VALUE, "a reference without its UIDs")
        reason = values.get(_FAILURE_REASON, "")
        found.append((Reference(*uids), int(reason) if reason.isdigit() else None))
    return found
