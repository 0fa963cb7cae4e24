"""Asking for an association (PS3.8 7.1, 9.2: the requestor's side)."""

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dicom_node.errors import (
    AssociationAborted,
    AssociationRejected,
    PeerUnavailable,
    ProtocolError,
)
from dicom_node.upper_layer.associate_pdus import read_acceptance, read_rejection, write_request
from dicom_node.upper_layer.association import Association, Context, Remote, Terms
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.machine import Machine
from dicom_node.upper_layer.proposal import (
    DEFAULT_ROLE,
    Acceptance,
    Proposal,
    ProposedContext,
    Role,
    UserIdentity,
    Window,
)
from dicom_node.upper_layer.states import Event, State
from dicom_node.upper_layer.timeouts import Timeouts

MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers of one byte


def associate(
    host: str,
    port: int,
    *,
    calling_aet: str,
    called_aet: str,
    contexts: Sequence[ProposedContext],
    roles: Mapping[str, Role] | None = None,
    extended: Mapping[str, bytes] | None = None,
    identity: UserIdentity | None = None,
    window: Window | None = None,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
) -> Association:
    """An established association; its `contexts` are those that the peer has accepted.

    Contexts without a number get one. Raises PeerUnavailable where nobody answers,
    AssociationRejected, AssociationAborted, and ValueError for what cannot be proposed.
    """
    if not 0 < len(contexts) <= MAX_CONTEXTS:
        raise ValueError(f"an association has 1 to {MAX_CONTEXTS} contexts, not {len(contexts)}")
    proposal = Proposal(
        calling_aet,
        called_aet,
        tuple(
            context if context.id else replace(context, id=2 * number + 1)
            for number, context in enumerate(contexts)
        ),
        roles=roles or {},
        extended=extended or {},
        identity=identity,
        window=window,
    )
    request = write_request(proposal)
    who = f"{called_aet} at {host}:{port}"
    connection = _connect(who, host, port, tls, timeouts or Timeouts())
    machine = Machine(connection, is_requestor=True)
    try:
        return _negotiate(machine, proposal, request, who)
    except BaseException:
        machine.abort("we have given up")
        machine.finish()
        raise


def _connect(
    who: str, host: str, port: int, tls: ssl.SSLContext | None, timeouts: Timeouts
) -> Connection:
    connected = None
    try:
        connected = socket.create_connection((host, port), timeout=timeouts.connect)
        if tls is not None:
            connected = tls.wrap_socket(connected, server_hostname=host)
        return Connection(connected, timeouts, connected.getpeername()[:2])
    except OSError as error:  # of which ssl.SSLError is one
        if connected is not None:
            connected.close()
        reason = getattr(error, "verify_message", None) or error.strerror or error
        raise PeerUnavailable(f"{who} cannot be reached: {reason}") from error


def _negotiate(machine: Machine, proposal: Proposal, request: bytes, who: str) -> Association:
    machine.fire(Event.ASSOCIATE_REQUEST)
    machine.fire(Event.TRANSPORT_CONNECTED, request)
    event = machine.next_event()
    if event is Event.ASSOCIATE_RJ:
        answer = read_rejection(machine.pdu)
        raise AssociationRejected(
            f"{who} refuses the association: {answer.why}",
            answer.result,
            answer.source,
            answer.reason,
        )
    if machine.state is not State.ESTABLISHED:
        raise AssociationAborted(f"{who} has not accepted the association: {machine.why}")
    try:
        acceptance = read_acceptance(machine.pdu)
    except ProtocolError as error:
        machine.refuse(error)
        raise AssociationAborted(f"{who} answers by {error}") from error
    address, port = machine.connection.address
    return Association(
        machine,
        Remote(
            proposal.called_aet,
            proposal.called_aet,
            address,
            port,
            machine.connection.certificate_name,
        ),
        _accepted(proposal, acceptance),
        Terms(acceptance.max_pdu_bytes, acceptance.window or Window(), dict(acceptance.extended)),
    )


def _accepted(proposal: Proposal, acceptance: Acceptance) -> dict[int, Context]:
    """The accepted contexts; which roles the peer takes is the reverse of what we may."""
    proposed = {context.id: context for context in proposal.contexts}
    accepted = {}
    for answer in acceptance.contexts:
        context = proposed.get(answer.id)
        if context is None or answer.result != 0:
            continue
        ours = _our_role(context.abstract_syntax, proposal, acceptance)
        accepted[answer.id] = Context(
            answer.id,
            context.abstract_syntax,
            answer.transfer_syntax,
            remote_is_scu=ours.scp,
            remote_is_scp=ours.scu,
        )
    return accepted


def _our_role(abstract_syntax: str, proposal: Proposal, acceptance: Acceptance) -> Role:
    """PS3.7 D.3.3.4: what was proposed and not refused; without an answer, the default."""
    asked = proposal.roles.get(abstract_syntax)
    answer = acceptance.roles.get(abstract_syntax)
    if asked is None or answer is None:
        return DEFAULT_ROLE
    return Role(scu=asked.scu and answer.scu, scp=asked.scp and answer.scp)
