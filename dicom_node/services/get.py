"""Retrieval as SCP on the peer's own association (PS3.4 C.4.3, PS3.7 9.1.3): C-GET."""

import logging

from dicom_node.services import query_retrieve
from dicom_node.services.query_retrieve import Refused
from dicom_node.services.session import Session
from dicom_node.services.suboperations import SubOperations, wanted
from dicom_node.storage_user import StorageUser
from dicom_node.upper_layer.association import Message

log = logging.getLogger(__name__)

SOP_CLASSES = query_retrieve.sop_classes(query_retrieve.GET)
EXTENDED = b"\1"
"""What can be negotiated (PS3.4 C.5.3.1.1): relational retrieval."""


def serves(abstract_syntax: str) -> bool:
    """Whether it is a GET SOP class of Patient Root or Study Root."""
    return abstract_syntax in SOP_CLASSES


def get(session: Session, message: Message) -> None:
    """Answer a C-GET-RQ by as many C-STORE-RQs as there are instances. The peer must have taken
    the SCP role for their SOP classes (PS3.7 D.3.3.4). Raises AssociationAborted."""
    association = session.association
    try:
        instances = wanted(session, message)
    except Refused as refused:
        log.info("%s: a retrieval is refused: %s", association.remote, refused)
        association.send(message.context.id, refused.response(message.command))
        return
    takes = session.device.takes if session.device is not None else None
    sub_operations = SubOperations(session, message, len(instances))
    sub_operations.run(StorageUser(association, takes), instances)
    sub_operations.finish()
