"""One study as its page shows it: series, instances, the AI's words, earlier studies."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from pacs.index.query import Scope, scoped
from pacs.index.tables import assessments, instances, patients, series, studies
from pacs.retrieve import NotFound
from pacs.worklist import EVERYTHING, Triage, WorklistItem, items, triage_of

MAX_PRIORS = 50


@dataclass(frozen=True, slots=True)
class InstanceDetail:
    """An instance of the study."""

    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    frames: int
    rows: int | None
    columns: int | None
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class SeriesDetail:
    """A series with its instances in order. `result`: an AI or a person made it from the images."""

    series_instance_uid: str
    modality: str
    number: int | None
    description: str
    body_part: str
    result: bool
    instances: list[InstanceDetail]


@dataclass(frozen=True, slots=True)
class AssessmentDetail:
    """The AI's word on one image, and the objects that say the same to other systems."""

    sop_instance_uid: str
    triage: Triage
    heatmap_instance_uid: str | None
    heatmap_series_uid: str | None
    sr_instance_uid: str | None


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """All of it."""

    item: WorklistItem
    series: list[SeriesDetail]
    assessments: list[AssessmentDetail]
    priors: list[WorklistItem]


def study_detail(
    connection: Connection,
    study_instance_uid: str,
    *,
    show_unregistered: bool,
    scope: Scope = EVERYTHING,
) -> StudyDetail:
    """The study's page. Raises NotFound.

    Priors are left away where the patient's identity is in doubt; only those in `scope` are there.
    """
    found = items(
        connection,
        studies.c.study_instance_uid == study_instance_uid,
        scoped(scope),
        show_unregistered=show_unregistered,
    )
    if not found:
        raise NotFound(study_instance_uid, "study")
    return StudyDetail(
        found[0],
        _series(connection, study_instance_uid),
        _assessments(connection, study_instance_uid, show_unregistered=show_unregistered),
        _priors(connection, found[0], scope, show_unregistered=show_unregistered),
    )


def _series(connection: Connection, study_instance_uid: str) -> list[SeriesDetail]:
    rows = connection.execute(
        select(
            series.c.series_instance_uid,
            series.c.modality,
            series.c.series_number,
            series.c.description,
            series.c.body_part,
            instances.c.source_kind,
            instances.c.sop_instance_uid,
            instances.c.sop_class_uid,
            instances.c.instance_number,
            instances.c.number_of_frames,
            instances.c.rows,
            instances.c.columns,
            instances.c.transfer_syntax_uid,
        )
        .select_from(instances.join(series).join(studies))
        .where(studies.c.study_instance_uid == study_instance_uid, instances.c.current)
        .order_by(
            series.c.series_number.nulls_last(),
            series.c.id,
            instances.c.instance_number.nulls_last(),
            instances.c.id,
        )
    )
    found: dict[str, SeriesDetail] = {}
    for row in rows:
        detail = found.setdefault(
            row.series_instance_uid,
            SeriesDetail(
                row.series_instance_uid,
                row.modality,
                row.series_number,
                row.description,
                row.body_part,
                row.source_kind == "ai",
                [],
            ),
        )
        detail.instances.append(
            InstanceDetail(
                row.sop_instance_uid,
                row.sop_class_uid,
                row.instance_number,
                row.number_of_frames,
                row.rows,
                row.columns,
                row.transfer_syntax_uid,
            )
        )
    return list(found.values())


def _assessments(
    connection: Connection, study_instance_uid: str, *, show_unregistered: bool
) -> list[AssessmentDetail]:
    heatmap_series = (
        select(series.c.series_instance_uid)
        .select_from(series.join(instances))
        .where(
            instances.c.sop_instance_uid == assessments.c.heatmap_instance_uid, instances.c.current
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        select(assessments, heatmap_series.label("heatmap_series_uid"))
        .select_from(assessments.join(studies))
        .where(studies.c.study_instance_uid == study_instance_uid, ~assessments.c.hidden)
        .order_by(assessments.c.id)
    )
    found = []
    for row in rows:
        shown = row.registered or show_unregistered
        found.append(
            AssessmentDetail(
                row.sop_instance_uid,
                triage_of({**row._mapping, "shown": shown}),
                row.heatmap_instance_uid if shown else None,
                row.heatmap_series_uid if shown else None,
                row.sr_instance_uid if shown else None,
            )
        )
    return found


def _priors(
    connection: Connection, item: WorklistItem, scope: Scope, *, show_unregistered: bool
) -> list[WorklistItem]:
    if not item.patient.id or item.patient.identity_conflict:
        return []
    return items(
        connection,
        patients.c.issuer == item.patient.issuer,
        patients.c.patient_id == item.patient.id,
        studies.c.study_instance_uid != item.study_instance_uid,
        ~studies.c.identity_conflict,
        scoped(scope),
        show_unregistered=show_unregistered,
        limit=MAX_PRIORS,
    )
