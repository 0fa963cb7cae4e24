"""What /api/v1 says and takes, as its OpenAPI description has it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pacs import study as study_page
from pacs import worklist as reading_list
from pacs.links.share import ShareLink
from pacs.people.users import User


def _on_the_wire(field: str) -> str:
    """camelCase, with UID in capitals as DICOM writes it."""
    first, *rest = field.split("_")
    camel = first + "".join("UID" if word == "uid" else word.capitalize() for word in rest)
    return "class" if field == "triage_class" else camel


class _Schema(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=_on_the_wire, validate_by_name=True, validate_by_alias=True
    )


class Credentials(_Schema):
    """Name and password."""

    username: str = Field(min_length=1, max_length=256)
    password: str = Field(min_length=1, max_length=1024)


class SessionUser(_Schema):
    """Who is signed in."""

    username: str
    full_name: str
    role: Literal["admin", "radiologist", "technician", "clinician", "service"]


class SessionLink(_Schema):
    """The one study that a share link opens, and until when."""

    study_instance_uid: str
    expires_at: datetime


class WaitingTargets(_Schema):
    """Within how many minutes a study of each class should be read."""

    critical: int = 30
    urgent: int = 120
    routine: int = 24 * 60


class Server(_Schema):
    """What the web must know of the server."""

    version: str
    institution: str
    language: Literal["vi", "en"]
    research_models: bool
    ohif: bool
    waiting_target_minutes: WaitingTargets


class SessionAnswer(_Schema):
    """The caller as the server sees it: a person, or the holder of a link; and what it may do."""

    user: SessionUser | None
    link: SessionLink | None
    permissions: list[str]
    server: Server


class Finding(_Schema):
    """One finding of the model: how probable, and from where on it counts as present."""

    code: str
    probability: float
    threshold: float
    present: bool


class Model(_Schema):
    """The model that spoke. `registered`: whether it is a registered medical device."""

    name: str
    version: str
    registered: bool


class Triage(_Schema):
    """The AI's word, or why there is none."""

    triage_class: Literal["critical", "urgent", "routine"] | None
    status: Literal["pending", "assessed", "not_assessed", "hidden"]
    score: float | None
    reason: str | None
    findings: list[Finding]
    model: Model | None


class Patient(_Schema):
    """The patient as this study's images name them."""

    name: str
    id: str
    issuer: str
    birth_date: date | None
    sex: Literal["M", "F", "O"] | None
    identity_conflict: bool


class WorklistItem(_Schema):
    """One study on the list."""

    study_instance_uid: str
    patient: Patient
    accession_number: str
    study_date: date | None
    study_time: str | None
    modalities: list[str]
    body_part: str
    description: str
    station: str
    institution: str
    referring_physician: str
    series_count: int
    instance_count: int
    arrived_at: datetime
    state: Literal["arriving", "complete", "triaged", "read", "reported", "delivered"]
    thumbnail: str | None = Field(description="SOP Instance UID of the study's picture")
    series_instance_uid: str | None = Field(description="the series of that picture")
    triage: Triage


class Worklist(_Schema):
    """A page of the list; `total` counts all that the filters leave."""

    total: int
    items: list[WorklistItem]


class Instance(_Schema):
    """An instance of a series."""

    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    frames: int
    rows: int | None
    columns: int | None
    transfer_syntax_uid: str


class Series(_Schema):
    """A series with its instances in order. `result`: made from the images, not acquired."""

    series_instance_uid: str
    modality: str
    number: int | None
    description: str
    body_part: str
    result: bool
    instances: list[Instance]


class Assessment(Triage):
    """The AI's word on one image, with the objects that say the same to other systems."""

    sop_instance_uid: str
    heatmap_instance_uid: str | None
    heatmap_series_uid: str | None
    sr_instance_uid: str | None


class StudyPage(_Schema):
    """Everything that the study page shows."""

    study: WorklistItem
    series: list[Series]
    assessments: list[Assessment]
    priors: list[WorklistItem]


class StudyChange(_Schema):
    """A live event; `item` is the study as the list shows it now."""

    study_instance_uid: str
    change: str
    item: WorklistItem | None


class LinkRequest(_Schema):
    """A share link to be made. `basis`: on what ground the study is shown, in words."""

    expires_in_hours: float = Field(gt=0, le=30 * 24)
    basis: str = Field(min_length=1, max_length=1000)


class Rejection(_Schema):
    """A decision that something is not to be read: of what, why, by whom, and what became of it."""

    id: int
    study_instance_uid: str
    series_instance_uid: str | None
    sop_instance_uid: str | None
    code: str
    meaning: str
    reason: str
    rejected_by: str
    rejected_at: datetime
    restored_by: str | None
    restored_at: datetime | None
    instances: int
    hidden_instances: int


class LinkMade(_Schema):
    """A new link; its URL is never shown again."""

    id: str
    url: str
    expires_at: datetime


class Link(_Schema):
    """A link as its list shows it, without its URL."""

    id: str
    made_by: str
    basis: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    open_count: int
    last_opened_at: datetime | None


class AuditPatient(_Schema):
    """A patient's identity."""

    issuer: str
    id: str


class AuditEvent(_Schema):
    """Who did what, when, to which study."""

    id: int
    at: datetime
    actor: str
    action: str
    outcome: Literal["ok", "refused", "failed"]
    study_instance_uid: str | None
    patient: AuditPatient | None
    address: str
    detail: dict[str, object]


_SEXES: dict[str, Literal["M", "F", "O"]] = {"M": "M", "F": "F", "O": "O"}


def session_user(user: User) -> SessionUser:
    """The person who is signed in."""
    return SessionUser(username=user.username, full_name=user.full_name, role=user.role.value)


def link(found: ShareLink) -> Link:
    """A link as its list shows it."""
    return Link(
        id=str(found.id),
        made_by=found.made_by,
        basis=found.basis,
        created_at=found.created_at,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
        revoked_by=found.revoked_by,
        open_count=found.open_count,
        last_opened_at=found.last_opened_at,
    )


def worklist_item(item: reading_list.WorklistItem) -> WorklistItem:
    """A study on the list."""
    person = item.patient
    return WorklistItem(
        study_instance_uid=item.study_instance_uid,
        patient=Patient(
            name=person.name,
            id=person.id,
            issuer=person.issuer,
            birth_date=person.birth_date,
            sex=_SEXES.get(person.sex),
            identity_conflict=person.identity_conflict,
        ),
        accession_number=item.accession_number,
        study_date=item.study_date,
        study_time=None if item.study_time is None else f"{item.study_time:%H:%M:%S}",
        modalities=list(item.modalities),
        body_part=item.body_part,
        description=item.description,
        station=item.station,
        institution=item.institution,
        referring_physician=item.referring_physician,
        series_count=item.series_count,
        instance_count=item.instance_count,
        arrived_at=item.arrived_at,
        state=item.state,
        thumbnail=item.thumbnail_instance_uid,
        series_instance_uid=item.thumbnail_series_uid,
        triage=triage(item.triage),
    )


def triage(word: reading_list.Triage) -> Triage:
    """The AI's word."""
    model = None
    if word.model is not None and word.model_version is not None:
        model = Model(name=word.model, version=word.model_version, registered=bool(word.registered))
    return Triage(
        triage_class=word.triage_class,
        status=word.status,
        score=word.score,
        reason=word.reason,
        findings=[
            Finding(
                code=finding.code,
                probability=finding.probability,
                threshold=finding.threshold,
                present=finding.probability >= finding.threshold,
            )
            for finding in word.findings
        ],
        model=model,
    )


def study_answer(page: study_page.StudyDetail) -> StudyPage:
    """The study page."""
    return StudyPage(
        study=worklist_item(page.item),
        series=[_series(series) for series in page.series],
        assessments=[_assessment(assessment) for assessment in page.assessments],
        priors=[worklist_item(prior) for prior in page.priors],
    )


def _series(series: study_page.SeriesDetail) -> Series:
    return Series(
        series_instance_uid=series.series_instance_uid,
        modality=series.modality,
        number=series.number,
        description=series.description,
        body_part=series.body_part,
        result=series.result,
        instances=[
            Instance(
                sop_instance_uid=instance.sop_instance_uid,
                sop_class_uid=instance.sop_class_uid,
                instance_number=instance.instance_number,
                frames=instance.frames,
                rows=instance.rows,
                columns=instance.columns,
                transfer_syntax_uid=instance.transfer_syntax_uid,
            )
            for instance in series.instances
        ],
    )


def _assessment(assessment: study_page.AssessmentDetail) -> Assessment:
    return Assessment(
        **dict(triage(assessment.triage)),
        sop_instance_uid=assessment.sop_instance_uid,
        heatmap_instance_uid=assessment.heatmap_instance_uid,
        heatmap_series_uid=assessment.heatmap_series_uid,
        sr_instance_uid=assessment.sr_instance_uid,
    )
