"""Being asked for an association (PS3.8 7.1, 9.2: the acceptor's side)."""

from collections.abc import Callable

from dicom_node.errors import AssociationAborted, ProtocolError
from dicom_node.upper_layer.associate_pdus import read_request, write_acceptance, write_rejection
from dicom_node.upper_layer.association import Association, Context, Remote, Terms
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.machine import Machine
from dicom_node.upper_layer.proposal import (
    APPLICATION_CONTEXT,
    DEFAULT_ROLE,
    NO_APPLICATION_CONTEXT,
    PROTOCOL_VERSION,
    Acceptance,
    Proposal,
    Rejection,
    Role,
    Window,
)
from dicom_node.upper_layer.states import Event, State

Decision = Callable[[Proposal], Acceptance | Rejection]


class AssociationRefused(AssociationAborted):
    """We have answered by A-ASSOCIATE-RJ."""

    def __init__(self, proposal: Proposal, rejection: Rejection) -> None:
        super().__init__(rejection.why)
        self.proposal = proposal
        self.rejection = rejection


def accept(connection: Connection, decide: Decision) -> Association:
    """Wait for a request, answer it as `decide` says; the association that comes of it.

    Raises AssociationRefused, and AssociationAborted where none comes of it otherwise; the
    connection is closed then.
    """
    machine = Machine(connection, is_requestor=False, screen=_screen)
    try:
        return _negotiate(machine, decide)
    except BaseException:
        machine.abort("the association could not be made")
        machine.finish()
        raise


def _negotiate(machine: Machine, decide: Decision) -> Association:
    machine.fire(Event.TRANSPORT_INDICATION)
    machine.next_event()
    if machine.state is not State.AWAITING_LOCAL_ANSWER:
        raise AssociationAborted(machine.why or "the association was refused by ACSE")
    try:
        proposal = read_request(machine.pdu)
    except ProtocolError as error:
        machine.refuse(error)
        raise AssociationAborted(machine.why) from error
    answer = (
        decide(proposal)
        if proposal.application_context == APPLICATION_CONTEXT
        else NO_APPLICATION_CONTEXT
    )
    if isinstance(answer, Rejection):
        machine.fire(Event.REJECT, write_rejection(answer))
        raise AssociationRefused(proposal, answer)
    try:
        acceptance = write_acceptance(proposal, answer)
    except (ValueError, TypeError) as error:  # what it would have to repeat is not allowed
        machine.refuse(ProtocolError(f"an A-ASSOCIATE-RQ that cannot be answered: {error}"))
        raise AssociationAborted(machine.why) from error
    machine.fire(Event.ACCEPT, acceptance)
    address, port = machine.connection.address
    return Association(
        machine,
        Remote(
            proposal.calling_aet,
            proposal.called_aet,
            address,
            port,
            machine.connection.certificate_name,
            answer.user,
        ),
        _accepted(proposal, answer),
        Terms(proposal.max_pdu_bytes, answer.window or Window(), dict(answer.extended)),
    )


def _screen(request: bytes) -> bytes:
    """Requests of another version of the protocol are refused by ACSE (PS3.8 9.3.2, 9.3.4)."""
    version = int.from_bytes(request[6:8], "big")
    return b"" if version & 1 else write_rejection(PROTOCOL_VERSION)


def _accepted(proposal: Proposal, acceptance: Acceptance) -> dict[int, Context]:
    proposed = {context.id: context for context in proposal.contexts}
    accepted = {}
    for answer in acceptance.contexts:
        if answer.result == 0:
            abstract_syntax = proposed[answer.id].abstract_syntax
            role: Role = acceptance.roles.get(abstract_syntax, DEFAULT_ROLE)
            accepted[answer.id] = Context(
                answer.id, abstract_syntax, answer.transfer_syntax, role.scu, role.scp
            )
    return accepted
