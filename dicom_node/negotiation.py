"""Which presentation contexts and other terms we accept (PS3.8 7.1.1.13, PS3.7 D.3).

Of the transfer syntaxes of a context we take the one that the peer named first, among those that
the service can read: a sender knows best what its files are in, and nothing is transcoded on the
way in. On the way out, by C-GET, it is one in which everything can be sent.
"""

from collections.abc import Collection

from dicom_node.identity import NOBODY, Identified
from dicom_node.services import STORAGE, Service, service_of
from dicom_node.upper_layer.proposal import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTED,
    DEFAULT_ROLE,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    USER_REJECTION,
    Acceptance,
    AnsweredContext,
    Proposal,
    ProposedContext,
    Role,
    Window,
)
from pacs.devices import Device
from pacs.dicom.transcoding import TARGETS

MOST_OPERATIONS = 16
"""Operations under way at once on one association, at most."""

_STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"


def negotiate(
    proposal: Proposal,
    device: Device | None = None,
    identified: Identified = NOBODY,
    *,
    most_operations: int = MOST_OPERATIONS,
) -> Acceptance:
    """Our answer to what an admitted peer proposes."""
    answers = tuple(_answer(context, proposal, device) for context in proposal.contexts)
    accepted = {
        context.abstract_syntax
        for context, answer in zip(proposal.contexts, answers, strict=True)
        if answer.result == ACCEPTED
    }
    return Acceptance(
        contexts=answers,
        roles=_roles(proposal, accepted),
        extended=_extended(proposal, accepted),
        window=_window(proposal.window, most_operations),
        identity_response=identified.response,
        user=identified.user,
    )


def _answer(context: ProposedContext, proposal: Proposal, device: Device | None) -> AnsweredContext:
    service = _service(context.abstract_syntax, proposal)
    if service is None:
        return AnsweredContext(context.id, ABSTRACT_SYNTAX_NOT_SUPPORTED)
    role = proposal.roles.get(context.abstract_syntax, DEFAULT_ROLE)
    is_sent_to = service is STORAGE and role.scp and not role.scu
    if device is not None and not device.allows("get" if is_sent_to else service.name):
        return AnsweredContext(context.id, USER_REJECTION)
    chosen = _sent(context, device) if is_sent_to else _received(context, service, device)
    if chosen is None:
        return AnsweredContext(context.id, TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return AnsweredContext(context.id, ACCEPTED, chosen)


def _received(context: ProposedContext, service: Service, device: Device | None) -> str | None:
    readable: Collection[str] = service.transfer_syntaxes
    if service is STORAGE and device is not None and device.sends is not None:
        readable = service.transfer_syntaxes.intersection(device.sends)
    return next((uid for uid in context.transfer_syntaxes if uid in readable), None)


def _sent(context: ProposedContext, device: Device | None) -> str | None:
    """Of several transfer syntaxes in which a peer would be sent objects by C-GET: one to which
    all that is stored can be transcoded, else the first."""
    takes = device.takes if device is not None else None
    offered = [
        uid
        for uid in context.transfer_syntaxes
        if uid in STORAGE.transfer_syntaxes and (takes is None or uid in takes)
    ]
    return next((uid for uid in TARGETS if uid in offered), next(iter(offered), None))


def _service(abstract_syntax: str, proposal: Proposal) -> Service | None:
    """The service of an abstract syntax; of one that nobody knows, as the peer says (SOP class
    common extended negotiation, PS3.7 D.3.3.6)."""
    service = service_of(abstract_syntax)
    if service is None and proposal.service_classes.get(abstract_syntax) == _STORAGE_SERVICE_CLASS:
        return STORAGE
    return service


def _roles(proposal: Proposal, accepted: Collection[str]) -> dict[str, Role]:
    """PS3.7 D.3.3.4: of the roles that the requestor asks for, those that it may take."""
    roles = {}
    for abstract_syntax, role in proposal.roles.items():
        service = _service(abstract_syntax, proposal)
        if service is not None and abstract_syntax in accepted:
            roles[abstract_syntax] = Role(role.scu, role.scp and service.remote_may_be_scp)
    return roles


def _extended(proposal: Proposal, accepted: Collection[str]) -> dict[str, bytes]:
    """PS3.7 D.3.3.5: byte by byte, what is both asked for and supported."""
    answers = {}
    for abstract_syntax, asked in proposal.extended.items():
        service = _service(abstract_syntax, proposal)
        if service is not None and service.extended and abstract_syntax in accepted:
            both = zip(asked, service.extended, strict=False)
            answers[abstract_syntax] = bytes(int(a == 1 and b == 1) for a, b in both)
    return answers


def _window(proposed: Window | None, most: int) -> Window | None:
    """PS3.7 D.3.3.3: no more than was proposed, where 0 is any number."""
    if proposed is None:
        return None
    return Window(min(proposed.invoked or most, most), min(proposed.performed or most, most))
