"""What an AI model said of the images of a study, as rows for our own lists."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pacs import events
from pacs.index.tables import assessments, instances, series, studies
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
    connection.execute(
        update(studies)
        .where(studies.c.id == study, studies.c.state == "complete")
        .values(state="triaged")
    )
    events.notify(connection, study_instance_uid, "triaged")


def pending_instances(
    connection: Connection, study_instance_uid: str, model: str, version: str
) -> list[StoredInstance]:
    """The study's radiographs (CR, DX) of which this model version has said nothing yet."""
    assessed = exists().where(
        assessments.c.sop_instance_uid == instances.c.sop_instance_uid,
        assessments.c.model == model,
        assessments.c.model_version == version,
    )
    uids = connection.execute(
        select(instances.c.sop_instance_uid)
        .select_from(instances.join(series).join(studies))
        .where(
            studies.c.study_instance_uid == study_instance_uid,
            instances.c.current,
            instances.c.source_kind != "ai",
            instances.c.number_of_frames > 0,
            func.upper(series.c.modality).in_(RADIOGRAPH_MODALITIES),
            ~assessed,
        )
        .order_by(instances.c.id)
    ).scalars()
    return [find_instance(connection, uid) for uid in uids.all()]
