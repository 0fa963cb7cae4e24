"""Rejection notes: Key Object Selections that say what is not to be read (IHE RAD TF-2 4.66, IOCM).

A note is stored like any object. A job then does what it asks: it hides what the note refers to,
and the note with it.
"""

import io
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from sqlalchemy import Connection, select

from pacs.archive import Archive
from pacs.audit.events import record
from pacs.errors import PacsError
from pacs.index.tables import instances, series, studies
from pacs.rejection import SCHEME, TITLES, Rejection, reject
from pacs.retrieve import NotFound
from storage.errors import ObjectNotFound

log = logging.getLogger(__name__)

LARGEST_NOTE = 16 << 20


class NotYetHere(PacsError):
    """A note speaks of instances that have not come, and may still come."""


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """What a note says: why (a code of TITLES), in which words, and of which instances by study."""

    code: str
    reason: str
    sop_instance_uid: str
    study_instance_uid: str
    instances: dict[str, list[str]] = field(default_factory=dict)


def read_note(dataset: Dataset) -> RejectionNote | None:
    """The note that a Key Object Selection is; None where its title does not reject."""
    titles = dataset.get("ConceptNameCodeSequence") or [Dataset()]
    code = str(titles[0].get("CodeValue", ""))
    if titles[0].get("CodingSchemeDesignator") != SCHEME or code not in TITLES:
        return None
    found: dict[str, list[str]] = defaultdict(list)
    for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or ():
        for one in study.get("ReferencedSeriesSequence") or ():
            for reference in one.get("ReferencedSOPSequence") or ():
                uid = str(reference.get("ReferencedSOPInstanceUID", ""))
                found[str(study.get("StudyInstanceUID", ""))].append(uid)
    own = str(dataset.StudyInstanceUID)
    return RejectionNote(
        code, " ".join(_texts(dataset)), str(dataset.SOPInstanceUID), own, dict(found)
    )


def follow_note(archive: Archive, object_key: str, *, wait: bool) -> list[Rejection]:
    """Does what a stored Key Object Selection asks, if it asks for rejection; once for each note.

    `wait`: raise NotYetHere where an instance that it names has not come. Raises StoreError.
    """
    try:
        with archive.store.open(object_key) as file:
            dataset = pydicom.dcmread(io.BytesIO(file.read(LARGEST_NOTE)), stop_before_pixels=True)
        note = read_note(dataset)
    except ObjectNotFound:
        return []
    except (InvalidDicomError, AttributeError, EOFError, ValueError, TypeError) as error:
        log.warning("%s cannot be read as a rejection note: %s", object_key, error)
        return []
    if note is None:
        return []
    with archive.engine.begin() as connection:
        sender = _sender(connection, note, object_key)
        if sender is None:
            return []  # other bytes have come in its place, or it was rejected itself
        return list(_follow(connection, note, object_key, sender, wait=wait))


def _follow(
    connection: Connection, note: RejectionNote, object_key: str, sender: str, *, wait: bool
) -> Iterator[Rejection]:
    for study, uids in note.instances.items():
        missing = set(uids) - _known(connection, study, uids)
        if missing and wait:
            raise NotYetHere(f"{len(missing)} instances that {object_key} rejects have not come")
        named = [*uids, note.sop_instance_uid] if study == note.study_instance_uid else uids
        try:
            rejection = reject(
                connection,
                note.code,
                study=study,
                instances=named,
                reason=note.reason,
                by=sender,
                note=object_key,
            )
        except NotFound:
            log.warning("%s rejects nothing that is shown here", object_key)
            continue
        if rejection is not None:
            record(
                connection,
                sender,
                "study.rejected",
                "ok",
                study_instance_uid=study,
                detail={"rejection": rejection.id, "code": note.code, "note": object_key},
            )
            yield rejection


def _known(connection: Connection, study: str, uids: list[str]) -> set[str]:
    statement = (
        select(instances.c.sop_instance_uid)
        .select_from(instances.join(series).join(studies))
        .where(studies.c.study_instance_uid == study, instances.c.sop_instance_uid.in_(uids))
    )
    return set(connection.execute(statement).scalars())


def _sender(connection: Connection, note: RejectionNote, object_key: str) -> str | None:
    row = connection.execute(
        select(instances.c.source_kind, instances.c.source_peer).where(
            instances.c.sop_instance_uid == note.sop_instance_uid,
            instances.c.object_key == object_key,
            instances.c.current,
        )
    ).one_or_none()
    if row is None:
        return None
    return f"device:{row.source_peer}" if row.source_kind == "dimse" else str(row.source_peer)


def _texts(dataset: Dataset) -> Iterator[str]:
    """What the note says in words (TID 2010 has a Key Object Description)."""
    for item in dataset.get("ContentSequence") or ():
        if item.get("ValueType") == "TEXT":
            yield str(item.get("TextValue", ""))
