"""Verification as SCP (PS3.4 A, PS3.7 9.1.5): C-ECHO."""

from dicom_node.dimse import SUCCESS, response_to
from dicom_node.services.session import Session
from dicom_node.upper_layer.association import Message

VERIFICATION = "1.2.840.10008.1.1"


def serves(abstract_syntax: str) -> bool:
    """Whether it is the Verification SOP class."""
    return abstract_syntax == VERIFICATION


def echo(session: Session, message: Message) -> None:
    """Answer a C-ECHO-RQ. Raises AssociationAborted."""
    session.association.send(message.context.id, response_to(message.command, SUCCESS))
