"""The tables of the conformance statement, each made of what negotiation and services go by."""

from collections.abc import Iterable, Mapping, Sequence

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_description
from pydicom.uid import UID

from dicom_node import callers, dimse, identity
from dicom_node.conformance import statuses
from dicom_node.identifiers import QUERY_RETRIEVE_LEVEL, SPECIFIC_CHARACTER_SET
from dicom_node.services import SERVICES, STORAGE, Service, service_of
from dicom_node.services.find import NOT_MATCHED
from dicom_node.upper_layer import proposal
from dicom_node.upper_layer.proposal import Rejection
from pacs import devices
from pacs.dicom.transcoding import can_transcode
from pacs.index.attributes import (
    ATTRIBUTES,
    JSON_NUMBERS,
    KEYS,
    LEVELS,
    PATIENT_ATTRIBUTES,
    Level,
    Matching,
    is_key,
    value_representation,
)
from pacs.index.statement import COMPUTED
from pacs.settings import Settings

OPTIONS: Mapping[str, Sequence[str]] = {
    "find": ("relational queries", "combined date and time matching", "fuzzy names"),
    "move": ("relational retrieval",),
    "get": ("relational retrieval",),
}
"""What extended negotiation is about, byte by byte (PS3.4 C.5.1.1.1, C.5.2.1.1, C.5.3.1.1)."""

AS_SCU = ("echo", "store", "commit")
"""The services that we ask others for: `dicom_node.send`, `dicom_node.commitment_user`."""

SERVICE_NAMES = {
    "echo": "Verification",
    "store": "Storage",
    "find": "Query",
    "move": "Retrieval by C-MOVE",
    "get": "Retrieval by C-GET",
    "commit": "Storage Commitment",
}
_REJECTIONS: Sequence[Rejection] = (
    proposal.CALLED_AET_UNKNOWN,
    callers.UNKNOWN_CALLER,
    identity.UNKNOWN_USER,
    proposal.NO_APPLICATION_CONTEXT,
    proposal.PROTOCOL_VERSION,
    callers.PAUSED,
    callers.DATABASE_DOWN,
    proposal.LOCAL_LIMIT,
)
_RESULTS = {
    proposal.PERMANENT: "1 (rejected-permanent)",
    proposal.TRANSIENT: "2 (rejected-transient)",
}
_SOURCES = {
    proposal.BY_USER: "1 (service-user)",
    proposal.BY_ACSE: "2 (service-provider, ACSE)",
    proposal.BY_PRESENTATION: "3 (service-provider, presentation)",
}
_REQUESTS = {
    value: name.removesuffix("_RQ").replace("_", "-")
    for name, value in vars(dimse).items()
    if name.endswith("_RQ")
}
_STATUS_NAMES = {
    value: name.replace("_", " ").lower()
    for name, value in vars(statuses).items()
    if name.isupper() and isinstance(value, int) and not name.endswith("_RQ")
}


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )


def sop_classes_of(service: Service) -> list[UID]:
    """The SOP classes of the standard (PS3.6 A) that a service serves, by name."""
    known = (UID(uid) for uid in UID_dictionary)
    served = (uid for uid in known if uid.type == "SOP Class" and service_of(uid) is service)
    return sorted(served, key=lambda uid: (bool(uid.is_retired), uid.name))


def services() -> str:
    """All services but storage, of which there are too many SOP classes for one table."""
    rows = []
    for service in SERVICES:
        classes = sop_classes_of(service)
        scu = "yes" if service.name in AS_SCU else "no"
        if service is STORAGE:
            rows.append((f"{len(classes)} SOP classes of storage, see 4.2.4.2", "", scu, "yes"))
        else:
            rows += [(uid.name, f"`{uid}`", scu, "yes") for uid in classes]
    return table(("SOP class", "UID", "SCU", "SCP"), rows)


def storage_classes() -> str:
    """The SOP classes of storage."""
    return table(
        ("SOP class", "UID"),
        ((_name(uid), f"`{uid}`") for uid in sop_classes_of(STORAGE)),
    )


def transfer_syntaxes() -> str:
    """In which transfer syntaxes objects are received, and what they can be sent in."""
    accepted = sorted(map(UID, STORAGE.transfer_syntaxes), key=_numbers)
    return table(
        ("transfer syntax", "UID", "received", "sent"),
        (
            (
                _name(uid),
                f"`{uid}`",
                "as it is",
                "as it is, or uncompressed" if can_transcode(uid) else "as it is",
            )
            for uid in accepted
        ),
    )


def contexts() -> str:
    """The presentation contexts that we accept."""
    rows = []
    for service in SERVICES:
        classes = sop_classes_of(service)
        what = "storage SOP classes, 4.2.4.2" if service is STORAGE else _listed(classes)
        plain = sorted(map(UID, service.transfer_syntaxes), key=_numbers)
        syntaxes = "all of 4.2.4.3" if service is STORAGE else _listed(plain)
        options = ", ".join(OPTIONS.get(service.name, ()))
        if len(OPTIONS.get(service.name, ())) != len(service.extended):
            raise LookupError(f"OPTIONS does not name what extends {service.name}")
        role = "SCP; SCU by role selection" if service.remote_may_be_scp else "SCP"
        rows.append((SERVICE_NAMES[service.name], what, syntaxes, role, options or "none"))
    heads = ("service", "abstract syntax", "transfer syntaxes", "our role", "extended negotiation")
    return table(heads, rows)


def answers_of(service_name: str) -> str:
    """What the requests of a service are answered by."""
    service = next(service for service in SERVICES if service.name == service_name)
    rows = [
        (
            _REQUESTS[field],
            f"`{status:04X}`",
            _STATUS_NAMES[status],
            statuses.MEANINGS[field][status],
        )
        for field in service.handlers
        if not field & dimse.RESPONSE
        for status in sorted(statuses.MEANINGS[field])
    ]
    return table(("request", "status", "name", "meaning"), rows)


def rejections() -> str:
    """Why an association is rejected."""
    rows = [
        (_RESULTS[one.result], _SOURCES[one.source], one.reason, one.why) for one in _REJECTIONS
    ]
    return table(("result", "source", "reason", "when"), rows)


def attributes(level: Level) -> str:
    """What is matched and returned at a level."""
    own = ATTRIBUTES[level] | {tag for tag, (at, _) in COMPUTED.items() if at == level}
    own |= {tag for tag, key in KEYS.items() if key.level == level}
    if level != "PATIENT":
        own -= PATIENT_ATTRIBUTES
    rows = [
        (f"({tag[:4]},{tag[4:]})", dictionary_description(int(tag, 16)), _vr(tag), _matching(tag))
        for tag in sorted(own)
    ]
    return table(("tag", "attribute", "VR", "matching"), rows)


def levels() -> str:
    """One table for each level."""
    return "\n\n".join(f"**{level}**\n\n{attributes(level)}" for level in LEVELS)


def always_returned() -> str:
    """What each answer carries, asked for or not."""
    tags = (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, 0x00080054)
    return ", ".join(
        f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags
    )


def character_sets() -> str:
    """The defined terms in which a device can be answered."""
    single = ", ".join(f"`{term}`" for term in sorted(devices.CHARACTER_SETS, key=_term))
    several = ", ".join(f"`{term}`" for term in sorted(devices.CODE_EXTENSIONS, key=_term))
    return table(("terms", ""), (("alone", single), ("with code extensions", several)))


def settings(in_force: Settings) -> str:
    """The settings that this statement depends on, with their values."""
    rows = [(f"`{name}`", _shown(getattr(in_force, name)), what) for name, what in _SETTINGS]
    return table(("setting", "value", "what it is"), rows)


_SETTINGS = (
    ("aet", "our AE title, called and calling"),
    ("host", "the address on which we listen"),
    ("dicom_port", "the port for DICOM"),
    ("dicom_tls_port", "the port for DICOM over TLS"),
    ("dicom_receivers", "processes that receive; not set: half the processors, 4 at most"),
    ("max_associations", "associations at a time, from all devices together"),
    ("max_object_bytes", "bytes of the largest object that is taken"),
    ("patient_id_issuer", "the issuer of patient IDs that name none"),
    ("ack", "whether success waits for the remote object store"),
)


def _shown(value: object) -> str:
    return "not set" if value is None else f"`{value}`"


def _name(uid: UID) -> str:
    name = uid.name.replace(" (Retired)", "").replace(" - Retired", "") or uid.keyword
    return f"{name or 'without a name'} (retired)" if uid.is_retired else name


def _listed(found: Iterable[UID]) -> str:
    return "<br>".join(f"{uid.name} `{uid}`" for uid in found)


def _numbers(uid: UID) -> list[int]:
    return [int(part) for part in uid.split(".")]


def _term(term: str) -> tuple[str, int]:
    words, _, number = term.replace("_", " ").rpartition(" ")
    return (words, int(number)) if number.isdigit() else (term, 0)


def _vr(tag: str) -> str:
    return value_representation(tag) or "UN"


def _matching(tag: str) -> str:
    key = KEYS.get(tag)
    if int(tag, 16) in NOT_MATCHED:
        return "returned only"
    if key is not None and key.matching is Matching.NAME:
        return f"{Matching.FOLDED.value}, in any component group"
    if key is not None:
        return key.matching.value
    if _vr(tag) == "SQ":
        return "sequence: keys in its items"
    if not is_key(tag):
        return "returned only"
    if _vr(tag) == "DA":
        return "single day or range of days"
    if _vr(tag) == "UI":
        return "single value or list of UIDs"
    if _vr(tag) in JSON_NUMBERS:
        return "single number"
    return "single value or wildcard, as written"
