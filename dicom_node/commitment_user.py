"""Storage Commitment as SCU (PS3.4 J.3.2): asking another archive to keep what it was sent."""

from collections.abc import Sequence

from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from dicom_node.dimse import N_ACTION_RQ, N_ACTION_RSP, SUCCESS, Command
from dicom_node.errors import DicomNodeError, PeerUnavailable
from dicom_node.send import UNCOMPRESSED, peer_of
from dicom_node.services.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    request_data_set,
)
from dicom_node.upper_layer.proposal import ProposedContext
from pacs import commitment
from pacs.archive import Archive
from pacs.commitment import Reference
from pacs.devices import Device


class CommitmentRefused(DicomNodeError):
    """A peer has not taken our request."""


def request_commitment(archive: Archive, device: Device, references: Sequence[Reference]) -> str:
    """Ask a device to commit itself to these instances; returns the Transaction UID.

    What it answers comes on an association of its own, and is kept: `pacs.commitment.find`. Raises
    PeerUnavailable and CommitmentRefused.
    """
    transaction_uid = str(generate_uid(prefix=None))
    with archive.engine.begin() as connection:
        commitment.asked(connection, device.aet, transaction_uid, references)
    association = peer_of(device, archive.settings).associate(
        [ProposedContext(PUSH_MODEL, UNCOMPRESSED)]
    )
    try:
        context = next(iter(association.contexts.values()), None)
        if context is None:
            raise CommitmentRefused(f"{device.aet} knows no storage commitment")
        command = Command(
            command_field=N_ACTION_RQ,
            message_id=association.next_message_id(),
            requested_sop_class_uid=PUSH_MODEL,
            requested_sop_instance_uid=PUSH_MODEL_INSTANCE,
            action_type_id=REQUEST,
        )
        implicit = context.transfer_syntax == ImplicitVRLittleEndian
        data = request_data_set(transaction_uid, references, implicit=implicit)
        association.send(context.id, command, [data])
        message = association.receive()
        if message is None or message.command.command_field != N_ACTION_RSP:
            raise PeerUnavailable(f"{device.aet} has not answered the request for commitment")
        if message.command.status != SUCCESS:
            status, why = message.command.status or SUCCESS, message.command.error_comment or ""
            raise CommitmentRefused(
                f"{device.aet} refuses storage commitment with status 0x{status:04X} {why}".rstrip()
            )
    finally:
        association.release()
    return transaction_uid
