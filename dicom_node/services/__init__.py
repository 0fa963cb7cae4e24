"""The services of this node: which SOP classes each serves, on which terms, and by what.

Negotiation and dispatch read the same table, so that a new service is one entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from dicom_node.dimse import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
)
from dicom_node.services import commitment, find, get, move, storage, verification
from dicom_node.services.session import Session
from dicom_node.upper_layer.association import Message
from pacs.devices import DeviceService

Handler = Callable[[Session, Message], None]
"""Serves one request, up to its last response. Raises AssociationAborted."""

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class Service:
    """One service class as this node provides it."""

    name: DeviceService
    """As devices are permitted it: `pacs.devices`."""
    serves: Callable[[str], bool]
    """Whether an abstract syntax is of this service."""
    handlers: Mapping[int, Handler]
    """What serves a request, by its command field."""
    transfer_syntaxes: frozenset[str] = frozenset(
        (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
    )
    remote_may_be_scp: bool = False
    """Whether role selection may turn its roles round (PS3.7 D.3.3.4)."""
    extended: bytes = b""
    """Service class application information: 1 for what is supported (PS3.7 D.3.3.5)."""


STORAGE = Service(
    "store",
    storage.serves,
    {C_STORE_RQ: storage.store},
    transfer_syntaxes=storage.TRANSFER_SYNTAXES,
    remote_may_be_scp=True,  # for C-GET
)

SERVICES: tuple[Service, ...] = (
    Service("echo", verification.serves, {C_ECHO_RQ: verification.echo}),
    Service("find", find.serves, {C_FIND_RQ: find.find}, extended=find.EXTENDED),
    Service("move", move.serves, {C_MOVE_RQ: move.move}, extended=move.EXTENDED),
    Service("get", get.serves, {C_GET_RQ: get.get}, extended=get.EXTENDED),
    Service(
        "commit",
        commitment.serves,
        {
            N_ACTION_RQ: commitment.act,
            N_EVENT_REPORT_RQ: commitment.report,
            N_EVENT_REPORT_RSP: commitment.heard,
        },
        remote_may_be_scp=True,  # who reports to us
    ),
    STORAGE,  # last: it takes SOP classes that nobody knows
)


@lru_cache(maxsize=1024)
def service_of(abstract_syntax: str) -> Service | None:
    """The service that an abstract syntax belongs to."""
    return next((service for service in SERVICES if service.serves(abstract_syntax)), None)


def handler_of(message: Message) -> Handler | None:
    """What serves a request; None: nothing does in its presentation context."""
    field = message.command.command_field
    if field == C_STORE_RQ and not message.context.remote_is_scu:
        return None  # a context in which it is sent objects, and may not be allowed to store
    service = service_of(message.context.abstract_syntax)
    # A SOP class that only the peer knows has been accepted as one of storage.
    return (service or STORAGE).handlers.get(field)
