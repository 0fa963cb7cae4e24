"""The radiologist's list: what waits to be read, in the order in which it should be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, and_, case, func, literal, null, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from pacs.dicom.text import fold, normal
from pacs.index.query import Scope, scoped
from pacs.index.tables import assessments, instances, patients, series, studies
from pacs.triage import Finding, TriageClass

State = Literal["arriving", "complete", "triaged", "read", "reported", "delivered"]
TriageStatus = Literal["pending", "assessed", "not_assessed", "hidden"]
STATES: tuple[State, ...] = get_args(State)
CLASSES: tuple[TriageClass, ...] = get_args(TriageClass)
MAX_LIMIT = 1000
EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Person:
    """The patient as this study's images name them."""

    name: str
    id: str
    issuer: str
    birth_date: date | None
    sex: str
    identity_conflict: bool


@dataclass(frozen=True, slots=True)
class Triage:
    """The most pressing word of the AI on a study, or why there is none."""

    status: TriageStatus
    triage_class: TriageClass | None = None
    score: float | None = None
    reason: str | None = None
    findings: tuple[Finding, ...] = ()
    model: str | None = None
    model_version: str | None = None
    registered: bool | None = None


@dataclass(frozen=True, slots=True)
class WorklistItem:
    """One study on the list. Counts and modalities are of what was acquired, not of results."""

    study_instance_uid: str
    patient: Person
    accession_number: str
    study_date: date | None
    study_time: time | None
    modalities: tuple[str, ...]
    body_part: str
    description: str
    station: str
    institution: str
    referring_physician: str
    series_count: int
    instance_count: int
    arrived_at: datetime
    state: State
    thumbnail_series_uid: str | None
    thumbnail_instance_uid: str | None
    triage: Triage


@dataclass(frozen=True, slots=True)
class Worklist:
    """A page of the list; `total` counts all that the filters leave."""

    total: int
    items: list[WorklistItem]


def worklist(
    connection: Connection,
    *,
    show_unregistered: bool,
    state: State | None = None,
    triage: TriageClass | None = None,
    modality: str | None = None,
    search: str | None = None,
    limit: int = 100,
    offset: int = 0,
    scope: Scope = EVERYTHING,
) -> Worklist:
    """Critical before urgent before all others, and within each what has waited longest first.

    What no model assessed stands among the routine: a score that is missing says nothing. Studies
    whose report is out are left away unless `state` asks for them. `search` finds by beginnings
    of the words of a name, without diacritics, by accession number and by patient ID.
    `show_unregistered`: whether results of models that are no registered medical device count.
    """
    word = _word(show_unregistered)
    conditions = [scoped(scope), ~studies.c.hidden, _in_state(state)]
    if triage:
        conditions.append(word.c.triage_class == triage)
    if modality:
        conditions.append(studies.c.modalities.contains([modality]))
    if search and search.strip():
        conditions.append(_found_by(search))
    where = and_(*conditions)
    total = connection.execute(
        select(func.count())
        .select_from(studies.join(patients).outerjoin(word, true()))
        .where(where)
    ).scalar_one()
    rows = connection.execute(
        _items(word)
        .where(where)
        .order_by(_rank(word), studies.c.arrived_at, studies.c.id)
        .limit(min(max(limit, 0), MAX_LIMIT))
        .offset(max(offset, 0))
    )
    return Worklist(total, [_item(row._mapping) for row in rows])


def items(
    connection: Connection,
    *conditions: ColumnElement[bool],
    show_unregistered: bool,
    limit: int = MAX_LIMIT,
) -> list[WorklistItem]:
    """The studies that fulfil the conditions on `studies` and `patients`, newest first."""
    statement = _items(_word(show_unregistered)).where(~studies.c.hidden, *conditions).limit(limit)
    newest_first = statement.order_by(studies.c.study_date.desc().nulls_last(), studies.c.id.desc())
    return [_item(row._mapping) for row in connection.execute(newest_first)]


def _word(show_unregistered: bool) -> Any:
    """Of each study the most pressing assessment; whether it may be shown is decided by row."""
    shown = or_(assessments.c.registered, literal(show_unregistered))
    return (
        select(
            case((shown, assessments.c.triage_class), else_=null()).label("triage_class"),
            case((shown, assessments.c.abnormal), else_=null()).label("abnormal"),
            case((shown, assessments.c.reason), else_=null()).label("reason"),
            case((shown, assessments.c.findings), else_=null()).label("findings"),
            assessments.c.model,
            assessments.c.model_version,
            assessments.c.registered,
            shown.label("shown"),
        )
        .where(assessments.c.study_ref == studies.c.id, ~assessments.c.hidden)
        .order_by(
            shown.desc(),
            case({"critical": 0, "urgent": 1, "routine": 2}, value=assessments.c.triage_class),
            assessments.c.abnormal.desc().nulls_last(),
        )
        .limit(1)
        .lateral("word")
    )


def _rank(word: Any) -> ColumnElement[int]:
    return case({"critical": 0, "urgent": 1}, value=word.c.triage_class, else_=2)


def _in_state(state: State | None) -> ColumnElement[bool]:
    if state is None:
        return studies.c.state.not_in(["reported", "delivered"])
    return studies.c.state == state


def _found_by(search: str) -> ColumnElement[bool]:
    exact = normal(search)
    words = ["".join(filter(str.isalnum, word)) for word in fold(search).split()]
    query = " & ".join(f"{word}:*" for word in words if word)
    conditions: list[ColumnElement[bool]] = [
        studies.c.accession_number.startswith(exact, autoescape=True),
        patients.c.patient_id.startswith(exact, autoescape=True),
    ]
    if query:
        conditions.append(studies.c.patient_name_words.op("@@")(func.to_tsquery("simple", query)))
    return or_(*conditions)


def _items(word: Any) -> Select[Any]:
    acquired = (
        select(
            func.array_agg(series.c.modality.distinct()).label("modalities"),
            func.count(series.c.id.distinct()).label("series_count"),
            func.count(instances.c.id).label("instance_count"),
            func.max(series.c.body_part).label("body_part"),
            func.max(series.c.station_name).label("station"),
            func.max(series.c.institution_name).label("institution"),
        )
        .select_from(series.join(instances))
        .where(
            series.c.study_ref == studies.c.id,
            instances.c.current,
            instances.c.source_kind != "ai",
        )
        .lateral("acquired")
    )
    first_image = (
        select(series.c.series_instance_uid, instances.c.sop_instance_uid)
        .select_from(series.join(instances))
        .where(
            series.c.study_ref == studies.c.id,
            instances.c.current,
            instances.c.source_kind != "ai",
            instances.c.number_of_frames > 0,
        )
        .order_by(series.c.series_number.nulls_last(), series.c.id, instances.c.id)
        .limit(1)
        .lateral("first_image")
    )
    return select(
        studies,
        patients.c.patient_id,
        patients.c.issuer,
        acquired.c.modalities.label("acquired_modalities"),
        acquired.c.series_count,
        acquired.c.instance_count,
        acquired.c.body_part,
        acquired.c.station,
        acquired.c.institution,
        first_image.c.series_instance_uid.label("thumbnail_series_uid"),
        first_image.c.sop_instance_uid.label("thumbnail_instance_uid"),
        word.c.triage_class,
        word.c.abnormal,
        word.c.reason,
        word.c.findings,
        word.c.model,
        word.c.model_version,
        word.c.registered,
        word.c.shown,
    ).select_from(
        studies.join(patients)
        .outerjoin(acquired, true())
        .outerjoin(first_image, true())
        .outerjoin(word, true())
    )


def _item(row: Mapping[Any, Any]) -> WorklistItem:
    return WorklistItem(
        study_instance_uid=row["study_instance_uid"],
        patient=Person(
            row["patient_name"],
            row["patient_id"],
            row["issuer"],
            row["patient_birth_date"],
            row["patient_sex"],
            row["identity_conflict"],
        ),
        accession_number=row["accession_number"],
        study_date=row["study_date"],
        study_time=row["study_time"],
        modalities=tuple(filter(None, row["acquired_modalities"] or ())),
        body_part=row["body_part"] or "",
        description=row["description"],
        station=row["station"] or "",
        institution=row["institution"] or "",
        referring_physician=row["referring_physician"],
        series_count=row["series_count"],
        instance_count=row["instance_count"],
        arrived_at=row["arrived_at"],
        state=row["state"],
        thumbnail_series_uid=row["thumbnail_series_uid"],
        thumbnail_instance_uid=row["thumbnail_instance_uid"],
        triage=triage_of(row),
    )


def triage_of(row: Mapping[Any, Any]) -> Triage:
    """The AI's word that a row of the list or of `assessments` holds."""
    if row["model"] is None:
        return Triage("pending")
    if not row["shown"]:
        return Triage("hidden")
    return Triage(
        "not_assessed" if row["triage_class"] is None else "assessed",
        row["triage_class"],
        row["abnormal"],
        row["reason"],
        tuple(Finding(**finding) for finding in row["findings"]),
        row["model"],
        row["model_version"],
        row["registered"],
    )
