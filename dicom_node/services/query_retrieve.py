"""What C-FIND, C-MOVE and C-GET share: information models, levels, and why a request is refused
(PS3.4 C.3, C.4, C.6)."""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.character_sets import CharacterSet
from dicom_node.dimse import DATA_SET_DOES_NOT_MATCH, Command, response_to
from dicom_node.identifiers import QUERY_RETRIEVE_LEVEL, Key, UnreadableIdentifier, read_identifier
from dicom_node.services.session import Session
from dicom_node.upper_layer.association import Message
from pacs.devices import DEFAULT_CHARACTER_SET
from pacs.index.attributes import LEVELS, Level

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1", "1.2.840.10008.5.1.4.1.2.2"
FIND, MOVE, GET = "1", "2", "3"
"""The last component of the SOP classes of both information models."""

_LEVELS: Mapping[str, tuple[Level, ...]] = {PATIENT_ROOT: LEVELS, STUDY_ROOT: LEVELS[1:]}
UNIQUE_KEYS: Mapping[Level, int] = {
    "PATIENT": 0x00100020,
    "STUDY": 0x0020000D,
    "SERIES": 0x0020000E,
    "IMAGE": 0x00080018,
}


class Refused(Exception):
    """A request that cannot be answered: its status, why, and which element is at fault."""

    def __init__(self, status: int, why: str, element: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.element = element

    def response(self, request: Command) -> Command:
        """The response that says so."""
        elements = None if self.element is None else (self.element,)
        return response_to(request, self.status, str(self), offending_elements=elements)


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier of either model."""

    level: Level
    keys: Mapping[int, Key]
    """All elements but those that say how it is to be read, by tag."""

    def value(self, tag: int) -> str:
        """What is asked for of this attribute; empty where nothing is."""
        key = self.keys.get(tag)
        return "" if key is None else key.value

    def values(self, tag: int) -> list[str]:
        """The same, as a list."""
        return [part.strip() for part in self.value(tag).split("\\") if part.strip()]


def sop_classes(operation: str) -> frozenset[str]:
    """The SOP classes of FIND, MOVE or GET in both models."""
    return frozenset(f"{root}.{operation}" for root in _LEVELS)


def identifier_of(session: Session, message: Message) -> Identifier:
    """The identifier of a request. Raises Refused and AssociationAborted."""
    data = session.association.identifier(message)
    context = message.context
    try:
        keys = read_identifier(data, context.transfer_syntax, character_set_of(session).terms)
    except UnreadableIdentifier as error:
        raise Refused(DATA_SET_DOES_NOT_MATCH, str(error)) from error
    levels = _LEVELS[context.abstract_syntax.rpartition(".")[0]]
    asked = keys.get(QUERY_RETRIEVE_LEVEL)
    named = asked.value.strip() if asked is not None else ""
    level = next((level for level in levels if level == named), None)
    if level is None:
        why = f"{named[:16]} is no level of this model" if named else "no QueryRetrieveLevel"
        raise Refused(DATA_SET_DOES_NOT_MATCH, why, QUERY_RETRIEVE_LEVEL)
    return Identifier(level, {tag: key for tag, key in keys.items() if tag not in _ABOUT})


_ABOUT = frozenset((0x00080001, 0x00080005, 0x00080052, 0x00080053))


def character_set_of(session: Session) -> CharacterSet:
    """What the peer is answered in."""
    device = session.device
    return CharacterSet(DEFAULT_CHARACTER_SET if device is None else device.character_set)


def negotiated(session: Session, sop_class: str, number: int) -> bool:
    """Whether the peer has negotiated an option of the service class: its number from 0 (PS3.4
    C.5.1.1.1, C.5.2.1.1, C.5.3.1.1)."""
    options = (session.association.terms.extended or {}).get(sop_class, b"")
    return len(options) > number and options[number] == 1
