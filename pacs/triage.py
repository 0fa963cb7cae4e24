"""What an AI model said of the images of a study, as rows for our own lists."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, Table, select, update
from sqlalchemy.dialects.postgresql import insert

from pacs import events
from pacs.index.tables import assessments, instances, series, studies
from pacs.rejection import hide_late_results
from pacs.retrieve import NotFound, StoredInstance, find_instance

TriageClass = Literal["critical", "urgent", "routine"]
RADIOGRAPH_MODALITIES = ("CR", "DX")


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding with its probability (0 to 1) and the threshold from which it counts as present."""

    code: str
    probability: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """One model's word on one image: a triage class, or the reason why there is none."""

    sop_instance_uid: str
    model: str
    model_version: str
    registered: bool
    triage_class: TriageClass | None
    abnormal: float | None
    findings: tuple[Finding, ...]
    reason: str | None
    sr_instance_uid: str | None = None
    heatmap_instance_uid: str | None = None


def record(connection: Connection, study_instance_uid: str, found: Sequence[Assessment]) -> None:
    """Keeps what was found and moves a complete study on to `triaged`; tells listeners.

    Of an image that this model version has assessed already the first word stays, so a job that
    runs twice changes nothing. Raises NotFound.
    """
    study = connection.execute(
        select(studies.c.id).where(studies.c.study_instance_uid == study_instance_uid)
    ).scalar_one_or_none()
    if study is None:
        raise NotFound(study_instance_uid, "study")
    if found:
        rows = [
            asdict(assessment)
            | {"study_ref": study, "findings": [asdict(finding) for finding in assessment.findings]}
            for assessment in found
        ]
        connection.execute(insert(assessments).on_conflict_do_nothing(), rows)
        hide_late_results(connection, study_instance_uid)
    connection.execute(
        update(studies)
        .where(studies.c.id == study, studies.c.state == "complete")
        .values(state="triaged")
    )
    events.notify(connection, study_instance_uid, "triaged")


def pending_instances(
    connection: Connection, study_instance_uid: str, model: str, version: str
) -> list[StoredInstance]:
    """The study's images on which this model version still owes a word.

    All its radiographs (CR, DX); of a study without any, its first image, so that the reason why
    it was not assessed goes on record too.
    """
    return assessable_instances(
        connection, study_instance_uid, assessments, model=model, version=version
    )


def assessable_instances(
    connection: Connection, study_instance_uid: str, words: Table, *, model: str, version: str
) -> list[StoredInstance]:
    """As `pending_instances`, where `words` is the table that keeps what the model said."""
    images = (
        select(instances.c.sop_instance_uid, series.c.modality)
        .select_from(instances.join(series).join(studies))
        .where(
            studies.c.study_instance_uid == study_instance_uid,
            instances.c.current,
            instances.c.source_kind != "ai",
            instances.c.number_of_frames > 0,
        )
        .order_by(instances.c.id)
    )
    found = connection.execute(images).all()
    wanted = [row for row in found if row.modality.upper() in RADIOGRAPH_MODALITIES] or found[:1]
    assessed = set(
        connection.execute(
            select(words.c.sop_instance_uid).where(
                words.c.sop_instance_uid.in_([row.sop_instance_uid for row in wanted]),
                words.c.model == model,
                words.c.model_version == version,
            )
        ).scalars()
    )
    return [
        find_instance(connection, row.sop_instance_uid)
        for row in wanted
        if row.sop_instance_uid not in assessed
    ]
