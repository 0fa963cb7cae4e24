"""Storage as SCP (PS3.4 B, PS3.7 9.1.1): C-STORE, straight into the archive as it arrives."""

from pydicom.uid import AllTransferSyntaxes
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

from dicom_node.dimse import SUCCESS, response_to
from dicom_node.services.incoming import Announcement, IncomingObject
from dicom_node.services.session import Session
from dicom_node.upper_layer.association import Message
from pacs.dicom.header import is_uid
from pacs.ingest import Source

TRANSFER_SYNTAXES = frozenset(str(uid) for uid in AllTransferSyntaxes)
"""Everything whose data sets we can read; nothing is transcoded on the way in."""

_STANDARD = "1.2.840.10008."
_STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."


def serves(abstract_syntax: str) -> bool:
    """Whether objects of this SOP class can be stored: of every storage SOP class of the
    standard, of those that are newer than our tables, and private ones."""
    service = uid_to_service_class(abstract_syntax)
    if service is StorageServiceClass:
        return True
    known_otherwise = service.__name__ != "ServiceClass"
    return (
        not known_otherwise
        and is_uid(abstract_syntax)
        and (
            abstract_syntax.startswith(_STANDARD_STORAGE)
            or not abstract_syntax.startswith(_STANDARD)
        )
    )


def store(session: Session, message: Message) -> None:
    """Answer a C-STORE-RQ once its object is safe, or with why not. Raises AssociationAborted."""
    association, request = session.association, message.command
    incoming = IncomingObject(
        session.archive.ingest,
        Source("dimse", association.remote.aet, association.remote.address),
        Announcement(
            request.affected_sop_class_uid or "",
            request.affected_sop_instance_uid or "",
            message.context.transfer_syntax,
        ),
    )
    try:
        association.stream(message, incoming.write)
    except BaseException:
        incoming.abandon()
        raise

    def answer() -> None:
        result = incoming.finish()
        session.count(stored=result.status == SUCCESS)
        association.send(message.context.id, response_to(request, result.status, result.comment))

    session.complete(answer)
