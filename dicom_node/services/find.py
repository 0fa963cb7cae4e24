"""Query as SCP (PS3.4 C.4.1, PS3.7 9.1.2): C-FIND in Patient Root and Study Root, at all levels.

Higher unique keys (PS3.4 C.4.1.2.1) need not be there, whether or not relational queries have been
negotiated: modalities and viewers leave out the patient ID in Patient Root and the study's UID
below it as a matter of course, and hardly any of them negotiates. But a question for series or
images that names nothing at all is a mistake whose answer would be the whole archive: without
relational queries, it is refused.
"""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, cast

from pydicom.uid import ImplicitVRLittleEndian
from sqlalchemy import Connection

from dicom_node.dimse import (
    CANCELLED,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PENDING,
    PENDING_WITHOUT_OPTIONAL_KEYS,
    SUCCESS,
    response_to,
)
from dicom_node.identifiers import QUERY_RETRIEVE_LEVEL, AnswerWriter, Key
from dicom_node.services import query_retrieve
from dicom_node.services.query_retrieve import UNIQUE_KEYS, Identifier, Refused, negotiated
from dicom_node.services.session import Session
from dicom_node.services.trail import record_search
from dicom_node.upper_layer.association import Message
from pacs.database.errors import DatabaseError
from pacs.index.attributes import is_key
from pacs.index.query import Query, QueryError, search_all

log = logging.getLogger(__name__)

SOP_CLASSES = query_retrieve.sop_classes(query_retrieve.FIND)
RELATIONAL, COMBINED_MOMENTS, FUZZY = 0, 1, 2
EXTENDED = b"\1\1\1"
"""What can be negotiated (PS3.4 C.5.1.1.1): relational queries, ranges of date and time together,
fuzzy names."""

Matches = Generator[dict[str, Any], None, None]

_AT_ONCE = 50
_RETRIEVE_AE_TITLE, _INSTANCE_AVAILABILITY = 0x00080054, 0x00080056
# Of what is asked, these say where it can be had; they select nothing.
NOT_MATCHED = frozenset((_RETRIEVE_AE_TITLE, _INSTANCE_AVAILABILITY, 0x00080201))


def serves(abstract_syntax: str) -> bool:
    """Whether it is a query SOP class of Patient Root or Study Root."""
    return abstract_syntax in SOP_CLASSES


def find(session: Session, message: Message) -> None:
    """Answer a C-FIND-RQ, with as many pending responses as there are matches.

    Raises AssociationAborted.
    """
    association, request = session.association, message.command
    try:
        status = _answer(session, message)
    except Refused as refused:
        # Its words may quote a value, which is the patient's: to the peer, not to the log.
        log.info(
            "%s: a query is refused with status 0x%04X because of element %08X",
            association.remote,
            refused.status,
            refused.element or 0,
        )
        association.send(message.context.id, refused.response(request))
        return
    association.send(message.context.id, response_to(request, status))


def _answer(session: Session, message: Message) -> int:
    """Send the matches; returns the status of the last response. Raises Refused."""
    identifier = query_retrieve.identifier_of(session, message)
    query = _query(session, message.context.abstract_syntax, identifier)
    writer = _writer(session, message, identifier)
    complete = all(is_key(path) for path, value in query.matches.items() if _selects(value))
    pending = response_to(message.command, PENDING if complete else PENDING_WITHOUT_OPTIONAL_KEYS)
    association, message_id = session.association, message.command.message_id or 0
    try:
        record_search(session, query.level, query.matches)
        with (
            _connection(session) as connection,
            closing(cast(Matches, search_all(connection, query))) as found,
        ):
            while batch := [writer.write(match) for match in islice(found, _AT_ONCE)]:
                if association.cancelled(message_id):
                    return CANCELLED
                association.send_each(message.context.id, pending, batch)
    except QueryError as error:
        raise Refused(CANNOT_UNDERSTAND, str(error), _tag(error.tag)) from error
    except DatabaseError as error:
        log.warning("%s: a query cannot be answered: %s", association.remote, error)
        raise Refused(OUT_OF_RESOURCES, "cannot answer now, please ask again later") from error
    return SUCCESS


def _connection(session: Session) -> Connection:
    """One that commits by itself: a transaction would take two more turns to the server."""
    return session.archive.engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def _query(session: Session, sop_class: str, identifier: Identifier) -> Query:
    matches = dict(_paths(identifier.keys.values()))
    for tag in NOT_MATCHED:
        matches.pop(f"{tag:08X}", None)
    if (
        identifier.level in ("SERIES", "IMAGE")
        and not any(map(_selects, matches.values()))
        and not negotiated(session, sop_class, RELATIONAL)
    ):
        raise Refused(
            DATA_SET_DOES_NOT_MATCH,
            "StudyInstanceUID, or any other key with a value, is missing",
            UNIQUE_KEYS["STUDY"],
        )
    return Query(
        identifier.level,
        matches,
        fuzzy=negotiated(session, sop_class, FUZZY),
        combined_moments=negotiated(session, sop_class, COMBINED_MOMENTS),
        answer="keys",
    )


def _paths(keys: Iterable[Key], above: str = "") -> Iterator[tuple[str, str]]:
    """The keys as the index asks for them: those in a sequence with its tag before their own."""
    for key in keys:
        path = f"{above}{key.name}"
        inner = [pair for item in key.items for pair in _paths(item, f"{path}.")]
        yield from inner or [(path, key.value)]


def _selects(value: str) -> bool:
    return bool(value.strip("* "))


def _writer(session: Session, message: Message, identifier: Identifier) -> AnswerWriter:
    keys = dict(identifier.keys)
    unique = UNIQUE_KEYS[identifier.level]
    keys.setdefault(unique, Key(unique, "LO" if identifier.level == "PATIENT" else "UI"))
    fixed = {
        QUERY_RETRIEVE_LEVEL: ("CS", identifier.level),
        _RETRIEVE_AE_TITLE: ("AE", session.archive.settings.aet),
    }
    if _INSTANCE_AVAILABILITY in keys:
        fixed[_INSTANCE_AVAILABILITY] = ("CS", "ONLINE")
    return AnswerWriter(
        (key for tag, key in keys.items() if tag not in fixed),
        fixed,
        query_retrieve.character_set_of(session),
        implicit=message.context.transfer_syntax == ImplicitVRLittleEndian,
    )


def _tag(path: str) -> int | None:
    try:
        return int(path.rpartition(".")[2], 16)
    except ValueError:
        return None
