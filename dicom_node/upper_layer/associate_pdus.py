"""A-ASSOCIATE PDUs (PS3.8 9.3.2 to 9.3.4) to and from plain values, by pynetdicom's classes."""

from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

from dicom_node.errors import ProtocolError
from dicom_node.upper_layer.proposal import (
    APPLICATION_CONTEXT,
    Acceptance,
    AnsweredContext,
    Proposal,
    ProposedContext,
    Rejection,
    Role,
    UserIdentity,
    Window,
)
from pacs.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


def read_request(pdu: bytes) -> Proposal:
    """What an A-ASSOCIATE-RQ proposes. Raises ProtocolError."""
    request = _decoded(A_ASSOCIATE_RQ(), pdu)
    try:
        information = request.user_information
        identity = information.user_identity
        return Proposal(
            calling_aet=str(request.calling_ae_title).strip(),
            called_aet=str(request.called_ae_title).strip(),
            contexts=tuple(
                ProposedContext(
                    str(item.abstract_syntax),
                    tuple(str(uid) for uid in item.transfer_syntax),
                    item.context_id,
                )
                for item in request.presentation_context
            ),
            max_pdu_bytes=information.maximum_length or 0,
            roles=_roles(information),
            extended=_extended(information),
            service_classes={
                str(item.sop_class_uid): str(item.service_class_uid)
                for item in information.common_ext_neg
            },
            window=_window(information),
            identity=UserIdentity(
                identity.user_identity_type,
                identity.primary or b"",
                identity.secondary or b"",
                bool(identity.response_requested),
            )
            if identity is not None
            else None,
            application_context=str(request.application_context_name or ""),
            protocol_version=request.protocol_version,
            implementation=str(information.implementation_version_name or ""),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ProtocolError("an A-ASSOCIATE-RQ without what it must have") from error


def write_request(proposal: Proposal) -> bytes:
    """An A-ASSOCIATE-RQ. Raises ValueError for what cannot be proposed."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title = proposal.calling_aet
    primitive.called_ae_title = proposal.called_aet
    primitive.presentation_context_definition_list = [
        _context(context.id, context.abstract_syntax, context.transfer_syntaxes)
        for context in proposal.contexts
    ]
    primitive.user_information = [
        *_ourselves(proposal.max_pdu_bytes),
        *_negotiation(proposal),
    ]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def read_acceptance(pdu: bytes) -> Acceptance:
    """What an A-ASSOCIATE-AC answers. Raises ProtocolError."""
    answer = _decoded(A_ASSOCIATE_AC(), pdu)
    try:
        information = answer.user_information
        identity = information.user_identity
        return Acceptance(
            contexts=tuple(
                AnsweredContext(
                    item.context_id,
                    item.result,
                    str(item.transfer_syntax or "") if item.result == 0 else "",
                )
                for item in answer.presentation_context
            ),
            max_pdu_bytes=information.maximum_length or 0,
            roles=_roles(information),
            extended=_extended(information),
            window=_window(information),
            identity_response=identity.response if identity is not None else None,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ProtocolError("an A-ASSOCIATE-AC without what it must have") from error


def write_acceptance(proposal: Proposal, acceptance: Acceptance) -> bytes:
    """The A-ASSOCIATE-AC to a request."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = proposal.application_context
    primitive.calling_ae_title = proposal.calling_aet
    primitive.called_ae_title = proposal.called_aet
    primitive.result, primitive.result_source = 0x00, 0x01
    primitive.presentation_context_definition_results_list = [
        _answer(context) for context in acceptance.contexts
    ]
    information = [*_ourselves(acceptance.max_pdu_bytes), *_negotiation(acceptance)]
    if acceptance.identity_response is not None:
        response = UserIdentityNegotiation()
        response.server_response = acceptance.identity_response
        information.append(response)
    primitive.user_information = information
    return bytes(A_ASSOCIATE_AC(primitive).encode())


def read_rejection(pdu: bytes) -> Rejection:
    """An A-ASSOCIATE-RJ in words. Raises ProtocolError."""
    answer = _decoded(A_ASSOCIATE_RJ(), pdu)
    try:
        why = str(answer.reason_str)
    except (KeyError, ValueError):
        why = f"reason {answer.reason_diagnostic}"
    return Rejection(answer.result, answer.source, answer.reason_diagnostic, why)


def write_rejection(rejection: Rejection) -> bytes:
    """An A-ASSOCIATE-RJ."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source = rejection.result, rejection.source
    pdu.reason_diagnostic = rejection.reason
    return bytes(pdu.encode())


def _decoded(pdu: Any, encoded: bytes) -> Any:
    try:
        pdu.decode(encoded)
    except Exception as error:
        raise ProtocolError(
            f"an unreadable {type(pdu).__name__} ({type(error).__name__})"
        ) from error
    return pdu


def _roles(information: Any) -> dict[str, Role]:
    return {
        str(uid): Role(bool(item.scu), bool(item.scp))
        for uid, item in information.role_selection.items()
    }


def _extended(information: Any) -> dict[str, bytes]:
    return {str(item.uid): item.app_info or b"" for item in information.ext_neg}


def _window(information: Any) -> Window | None:
    item = information.async_ops_window
    if item is None:
        return None
    return Window(item.max_operations_invoked, item.max_operations_performed)


def _context(
    number: int, abstract_syntax: str, transfer_syntaxes: tuple[str, ...]
) -> PresentationContext:
    context = PresentationContext()
    context.context_id = number
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = [UID(uid) for uid in transfer_syntaxes]
    return context


def _answer(answered: AnsweredContext) -> PresentationContext:
    context = PresentationContext()
    context.context_id = answered.id
    context.result = answered.result
    # Of a context that is not accepted it says nothing (PS3.8 9.3.3.2), but one must be there.
    context.transfer_syntax = [UID(answered.transfer_syntax or _IMPLICIT_VR_LITTLE_ENDIAN)]
    return context


def _ourselves(max_pdu_bytes: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _negotiation(terms: Proposal | Acceptance) -> list[Any]:
    items: list[Any] = []
    if terms.window is not None:
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = terms.window.invoked
        window.maximum_number_operations_performed = terms.window.performed
        items.append(window)
    for uid, role in terms.roles.items():
        selection = SCP_SCU_RoleSelectionNegotiation()
        selection.sop_class_uid = UID(uid)
        selection.scu_role, selection.scp_role = role.scu, role.scp
        items.append(selection)
    for uid, information in terms.extended.items():
        extended = SOPClassExtendedNegotiation()
        extended.sop_class_uid = UID(uid)
        extended.service_class_application_information = information
        items.append(extended)
    if isinstance(terms, Proposal) and terms.identity is not None:
        identity = UserIdentityNegotiation()
        identity.user_identity_type = terms.identity.kind
        identity.primary_field = terms.identity.primary
        identity.secondary_field = terms.identity.secondary or None
        identity.positive_response_requested = terms.identity.wants_response
        items.append(identity)
    return items
