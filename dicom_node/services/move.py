"""Retrieval as SCP to a third party (PS3.4 C.4.2, PS3.7 9.1.4): C-MOVE."""

import logging
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from dicom_node.dimse import MOVE_DESTINATION_UNKNOWN, OUT_OF_RESOURCES
from dicom_node.errors import DicomNodeError
from dicom_node.send import peer_of
from dicom_node.services import query_retrieve
from dicom_node.services.query_retrieve import Refused
from dicom_node.services.session import Session
from dicom_node.services.suboperations import SubOperations, wanted
from dicom_node.storage_user import Originator, StorageUser, proposals
from dicom_node.upper_layer.association import Message
from dicom_node.upper_layer.proposal import ProposedContext
from pacs import devices
from pacs.database.errors import DatabaseError
from pacs.devices import Device
from pacs.outgoing import Outgoing

log = logging.getLogger(__name__)

SOP_CLASSES = query_retrieve.sop_classes(query_retrieve.MOVE)
EXTENDED = b"\1"
"""What can be negotiated (PS3.4 C.5.2.1.1): relational retrieval."""


def serves(abstract_syntax: str) -> bool:
    """Whether it is a MOVE SOP class of Patient Root or Study Root."""
    return abstract_syntax in SOP_CLASSES


def move(session: Session, message: Message) -> None:
    """Answer a C-MOVE-RQ by sending the instances to the device that it names.

    Raises AssociationAborted where the association with the requestor is over.
    """
    association = session.association
    try:
        instances = wanted(session, message)
        destination = _destination(session, message.command.move_destination or "")
    except Refused as refused:
        log.info("%s: a retrieval is refused: %s", association.remote, refused)
        association.send(message.context.id, refused.response(message.command))
        return
    sub_operations = SubOperations(session, message, len(instances))
    by_class: dict[str, list[Outgoing]] = {}
    for instance in instances:
        by_class.setdefault(instance.sop_class_uid, []).append(instance)
    kinds = {(one.sop_class_uid, one.transfer_syntax_uid) for one in instances}
    for contexts in proposals(kinds, destination.takes):
        proposed = {context.abstract_syntax for context in contexts}
        group = [one for one in instances if one.sop_class_uid in proposed]
        for sop_class in proposed:
            by_class.pop(sop_class)
        if not sub_operations.is_cancelled:
            _send(
                session, message, sub_operations, to=destination, contexts=contexts, instances=group
            )
    for unproposed in by_class.values():
        log.warning("%s may be sent no transfer syntax that we could offer", destination.aet)
        sub_operations.fail(unproposed)
    sub_operations.finish()


def _send(
    session: Session,
    message: Message,
    sub_operations: SubOperations,
    *,
    to: Device,
    contexts: Sequence[ProposedContext],
    instances: Sequence[Outgoing],
) -> None:
    try:
        association = peer_of(to, session.archive.settings).associate(contexts)
    except DicomNodeError as error:
        log.warning("%s cannot be sent to: %s", to.aet, error)
        sub_operations.fail(instances)
        return
    originator = Originator(session.association.remote.aet, message.command.message_id or 0)
    user = StorageUser(association, to.takes, originator)
    try:
        sub_operations.run(user, instances)
    except BaseException:
        association.abort("who has asked for the objects is gone")
        raise
    association.release()


def _destination(session: Session, aet: str) -> Device:
    """The device that is to be sent to. Raises Refused."""
    try:
        with session.archive.engine.connect() as connection:
            found = devices.destination(connection, aet)
    except (DatabaseError, DBAPIError) as error:
        raise Refused(OUT_OF_RESOURCES, "cannot answer now, please try later") from error
    if found is None:
        raise Refused(
            MOVE_DESTINATION_UNKNOWN, f"{aet[:16]} is no device whose host and port are known"
        )
    return found
