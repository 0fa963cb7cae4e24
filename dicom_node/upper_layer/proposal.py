"""What is negotiated when an association is made, as plain values (PS3.8 9.3, PS3.7 D.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
DEFAULT_MAX_PDU_BYTES = 256 << 10

# User identity types (PS3.7 D.3.3.7)
USERNAME, USERNAME_AND_PASSCODE = 1, 2

# Results of a presentation context (PS3.8 9.3.3.2)
ACCEPTED, USER_REJECTION, NO_REASON = 0x00, 0x01, 0x02
ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x03, 0x04


@dataclass(frozen=True, slots=True)
class Role:
    """Which roles the requestor may take for a SOP class (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


DEFAULT_ROLE = Role(scu=True, scp=False)


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed; `id` 0: whoever proposes has not numbered it yet."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    id: int = 0


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """A presentation context as answered; without a transfer syntax unless it is accepted."""

    id: int
    result: int
    transfer_syntax: str = ""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User Identity of a request (PS3.7 D.3.3.7.1)."""

    kind: int
    primary: bytes
    secondary: bytes = field(repr=False)
    wants_response: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Asynchronous operations (PS3.7 D.3.3.3), each 0 for any number: how many the requestor may
    invoke, and how many the acceptor may ask of it."""

    invoked: int = 1
    performed: int = 1


@dataclass(frozen=True, slots=True)
class Proposal:
    """An A-ASSOCIATE-RQ."""

    calling_aet: str
    called_aet: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    roles: Mapping[str, Role] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    """Service class application information by SOP class (PS3.7 D.3.3.5)."""
    service_classes: Mapping[str, str] = field(default_factory=dict)
    """Service class by SOP class, of SOP class common extended negotiation (PS3.7 D.3.3.6)."""
    window: Window | None = None
    identity: UserIdentity | None = None
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    implementation: str = ""
    """Implementation version name, for the log."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An A-ASSOCIATE-AC."""

    contexts: tuple[AnsweredContext, ...]
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    roles: Mapping[str, Role] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    window: Window | None = None
    identity_response: bytes | None = None
    user: str | None = None
    """Who has been recognised by user identity; not sent."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4), and what we say in the log."""

    result: int
    source: int
    reason: int
    why: str = ""


# PS3.8 table 9-21
PERMANENT, TRANSIENT = 1, 2
BY_USER, BY_ACSE, BY_PRESENTATION = 1, 2, 3
NO_APPLICATION_CONTEXT = Rejection(PERMANENT, BY_USER, 2, "it speaks no DICOM that we know")
CALLED_AET_UNKNOWN = Rejection(PERMANENT, BY_USER, 7, "it calls somebody else")
PROTOCOL_VERSION = Rejection(PERMANENT, BY_ACSE, 2, "its protocol version is not ours")
LOCAL_LIMIT = Rejection(TRANSIENT, BY_PRESENTATION, 2, "there are as many associations as may be")
