"""What shadow models say: kept apart from every list and page, for comparison only."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from pacs.index.tables import studies
from pacs.models.tables import shadow_assessments
from pacs.retrieve import NotFound, StoredInstance
from pacs.triage import Assessment, assessable_instances

_KEPT = (
    "sop_instance_uid",
    "model",
    "model_version",
    "triage_class",
    "abnormal",
    "reason",
)


def record(connection: Connection, study_instance_uid: str, found: Sequence[Assessment]) -> None:
    """Keeps what a shadow found; of an image that it has assessed already the first word stays.

    Neither the study's state nor any listener hears of it. Raises NotFound.
    """
    study = connection.execute(
        select(studies.c.id).where(studies.c.study_instance_uid == study_instance_uid)
    ).scalar_one_or_none()
    if study is None:
        raise NotFound(study_instance_uid, "study")
    rows = [
        {name: getattr(word, name) for name in _KEPT}
        | {"study_ref": study, "findings": [asdict(finding) for finding in word.findings]}
        for word in found
    ]
    if rows:
        connection.execute(insert(shadow_assessments).on_conflict_do_nothing(), rows)


def pending_instances(
    connection: Connection, study_instance_uid: str, model: str, version: str
) -> list[StoredInstance]:
    """The study's images on which this shadow still owes a word."""
    return assessable_instances(
        connection, study_instance_uid, shadow_assessments, model=model, version=version
    )
