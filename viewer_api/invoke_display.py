"""IHE Invoke Image Display (RAD-106): the EMR's link into the viewer."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from pacs.dicom.header import is_uid
from pacs.index.query import Query, search
from pacs.people.permissions import Permission
from viewer_api.access import Principal, authenticate
from viewer_api.door import door_of
from viewer_api.pages import page
from viewer_api.problems import bad_request

router = APIRouter(tags=["Invoke Image Display"])

_LONGEST_VALUE = 256
_STUDY, _ACCESSION, _PATIENT_ID, _ISSUER = "0020000D", "00080050", "00100020", "00100021"


@router.get(
    "/viewer",
    summary="Open images in the viewer",
    response_class=RedirectResponse,
    status_code=302,
    openapi_extra={
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in ("requestType", "studyUID", "accessionNumber", "patientID")
        ]
    },
)
def invoke(request: Request) -> Response:
    """Open a study by its UID or accession number, or a patient's studies by the patient's ID.

    Whoever is not signed in signs in first and comes back here.
    """
    parameters = {name.lower(): value for name, value in request.query_params.items()}
    conditions, worklist_search = _conditions(parameters)
    principal = authenticate(request)
    if principal is None or not _may_open(principal):
        here = f"{request.url.path}?{request.url.query}"
        return _redirect(f"/sign-in?{urlencode({'next': here})}")
    return _open(request, principal, conditions, worklist_search)


def _open(
    request: Request, principal: Principal, conditions: dict[str, str], worklist_search: str
) -> Response:
    door = door_of(request)
    with door.reading() as connection:
        found = search(connection, Query("STUDY", conditions, limit=2), principal.scope)
    uids = [str(result[_STUDY]["Value"][0]) for result in found]
    by_patient = _STUDY not in conditions and _ACCESSION not in conditions
    door.audit.record_once(
        principal.actor,
        "viewer.invoked",
        "ok" if uids else "refused",
        study_instance_uid=uids[0] if len(uids) == 1 else None,
        address=principal.address,
    )
    if not uids:
        return page(404, "Không tìm thấy hình ảnh", "No images are stored here for what was asked.")
    if len(uids) > 1 or (by_patient and principal.may(Permission.READ_WORKLIST)):
        return _redirect(f"/?{urlencode({'search': worklist_search})}")
    return _redirect(f"/study/{quote(uids[0])}")


def _conditions(parameters: dict[str, str]) -> tuple[dict[str, str], str]:
    """What to look for, and the same as words for the worklist. Raises 400 problems."""
    for name, value in parameters.items():
        if len(value) > _LONGEST_VALUE:
            raise bad_request("value_too_long", f"The value of {name[:40]} is too long.")
    kind = parameters.get("requesttype", "").upper()
    study = parameters.get("studyuid", "").strip()
    accession = parameters.get("accessionnumber", "").strip()
    patient = parameters.get("patientid", "").strip()
    if kind not in ("STUDY", "PATIENT"):
        raise bad_request("bad_request_type", "requestType must be STUDY or PATIENT.")
    if kind == "PATIENT":
        if not patient:
            raise bad_request("missing_parameter", "requestType=PATIENT needs patientID.")
        return _patient(patient), patient.split("^", 1)[0]
    if study:
        uids = [uid.strip() for uid in study.split(",")]
        if len(uids) != 1 or not is_uid(uids[0]):
            raise bad_request("invalid_uid", "studyUID must be the UID of one study.")
        return {_STUDY: uids[0]}, uids[0]
    if not accession:
        raise bad_request(
            "missing_parameter", "requestType=STUDY needs studyUID or accessionNumber."
        )
    conditions = {_ACCESSION: _literal("accessionNumber", accession)}
    return conditions | (_patient(patient) if patient else {}), accession


def _patient(text: str) -> dict[str, str]:
    """`id`, or `id^^^issuer` as HL7 writes it (CX)."""
    patient_id, _, rest = text.partition("^")
    conditions = {_PATIENT_ID: _literal("patientID", patient_id)}
    issuer = rest.lstrip("^").split("&", 1)[0].split("^", 1)[0]
    return conditions | ({_ISSUER: _literal("patientID", issuer)} if issuer else {})


def _literal(name: str, value: str) -> str:
    """A value to be found as it stands: here nobody may ask for patterns."""
    if not value or any(mark in value for mark in "*?\\"):
        raise bad_request("bad_value", f"{name} must be one value without * ? or \\.")
    return value


def _may_open(principal: Principal) -> bool:
    return principal.may(Permission.READ_STUDIES)


def _redirect(where: str) -> RedirectResponse:
    return RedirectResponse(where, 302, {"Cache-Control": "no-store"})
