"""The DICOM conformance statement (PS3.2), made of the tables that negotiation and services go by.

The prose is in `statement.md`; what can change with the program is filled in from it.
"""

from importlib.metadata import version
from importlib.resources import files
from string import Template

from dicom_node.conformance import tables
from dicom_node.identifiers import MAX_KEYS
from dicom_node.negotiation import MOST_OPERATIONS
from dicom_node.send import ANSWER_SECONDS
from dicom_node.services import commitment
from dicom_node.services.suboperations import (
    MOST_FAILED_UIDS,
    MOST_UIDS,
    PENDING_EVERY_SECONDS,
)
from dicom_node.tls import CIPHERS
from dicom_node.upper_layer.association import MAX_IDENTIFIER_BYTES
from dicom_node.upper_layer.fragments import LONGEST_PDU_BYTES
from dicom_node.upper_layer.proposal import APPLICATION_CONTEXT, DEFAULT_MAX_PDU_BYTES
from dicom_node.upper_layer.requestor import MAX_CONTEXTS
from dicom_node.upper_layer.timeouts import SLOWEST_BYTES_A_SECOND, Timeouts
from dicom_node.worker import FIRST_WAIT, LONGEST_WAIT
from pacs.devices import DEFAULT_CHARACTER_SET
from pacs.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs.settings import Settings


def statement(settings: Settings) -> str:
    """The conformance statement of a server with these settings, in Markdown."""
    timeouts = Timeouts()
    text = Template(files(__name__).joinpath("statement.md").read_text(encoding="utf-8"))
    return text.substitute(
        version=version("filmless"),
        aet=settings.aet,
        services=tables.services(),
        storage_classes=tables.storage_classes(),
        transfer_syntaxes=tables.transfer_syntaxes(),
        contexts=tables.contexts(),
        rejections=tables.rejections(),
        levels=tables.levels(),
        always_returned=tables.always_returned(),
        character_sets=tables.character_sets(),
        settings=tables.settings(settings),
        **{f"answers_of_{name}": tables.answers_of(name) for name in tables.SERVICE_NAMES},
        default_character_set=DEFAULT_CHARACTER_SET,
        application_context=APPLICATION_CONTEXT,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        max_pdu_bytes=DEFAULT_MAX_PDU_BYTES,
        longest_pdu_bytes=LONGEST_PDU_BYTES,
        most_operations=MOST_OPERATIONS,
        max_contexts=MAX_CONTEXTS,
        max_associations=settings.max_associations,
        max_object_bytes=settings.max_object_bytes,
        max_identifier_bytes=MAX_IDENTIFIER_BYTES,
        max_keys=MAX_KEYS,
        most_uids=MOST_UIDS,
        most_failed_uids=MOST_FAILED_UIDS,
        pending_every=f"{PENDING_EVERY_SECONDS:g}",
        max_commitment_bytes=commitment.MAX_BYTES,
        first_wait=FIRST_WAIT,
        longest_wait=LONGEST_WAIT,
        connect=f"{timeouts.connect:g}",
        associate=f"{timeouts.associate:g}",
        idle=f"{timeouts.idle:g}",
        stalled=f"{timeouts.stalled:g}",
        release=f"{timeouts.release:g}",
        answer=f"{ANSWER_SECONDS:g}",
        slowest=SLOWEST_BYTES_A_SECOND,
        ciphers=CIPHERS,
    )
