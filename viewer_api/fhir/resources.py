"""FHIR R4 resources as plain dicts, made from what the index answers (DICOM JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from viewer_api.fhir.identifiers import UID_SYSTEM, accession_system, issuer_system, uid_urn

Attributes = Mapping[str, Any]
Resource = dict[str, Any]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_URI = "urn:ietf:rfc:3986"
_CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


def imaging_study(
    base: str,
    study: Attributes,
    series: Sequence[Attributes],
    instances: Mapping[str, Sequence[Attributes]] | None = None,
) -> Resource:
    """An ImagingStudy with its two endpoints contained.

    `instances`: by Series Instance UID; None leaves them out, as lists do.
    """
    uid = text(study, "0020000D")
    resource: Resource = {
        "resourceType": "ImagingStudy",
        "id": uid,
        "contained": endpoints(base, uid),
        "identifier": _identifiers(base, study),
        "status": "available",
        "modality": [_modality(code) for code in values(study, "00080061")],
        "subject": _subject(base, study),
        "started": _started(study),
        "endpoint": [{"reference": "#dicomweb"}, {"reference": "#viewer"}],
        "numberOfSeries": number(study, "00201206"),
        "numberOfInstances": number(study, "00201208"),
        "description": text(study, "00081030"),
        "series": [
            _series(one, None if instances is None else instances.get(text(one, "0020000E"), []))
            for one in series
        ],
    }
    referrer = person_name(study, "00080090")
    if referrer:
        resource["referrer"] = {"display": referrer}
    return _without_empty(resource)


def endpoints(base: str, study_instance_uid: str) -> list[Resource]:
    """Where the study's images are had by programs, and where by people."""
    viewer = urlencode({"requestType": "STUDY", "studyUID": study_instance_uid})
    return [
        _endpoint("dicomweb", "dicom-wado-rs", "DICOM WADO-RS", f"{base}/dicomweb"),
        _endpoint("viewer", "ihe-iid", "IHE IID", f"{base}/viewer?{viewer}"),
    ]


def search_set(
    resources: Sequence[Resource], *, base: str, total: int, links: Mapping[str, str]
) -> Resource:
    """A Bundle of what a search found."""
    entries = [
        {
            "fullUrl": f"{base}/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": "match"},
        }
        for resource in resources
    ]
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
        "entry": entries,
    }
    return _without_empty(bundle)


def capability_statement(base: str, version: str, since: datetime) -> Resource:
    """What this server does with FHIR."""
    searches = [
        ("_id", "token", "the study's UID"),
        ("identifier", "token", "the study's UID as urn:oid:..., or its accession number"),
        ("patient.identifier", "token", "a patient's identifier, with or without its issuer"),
        ("started", "date", "the day of the study"),
        ("modality", "token", "a modality code such as DX or CT"),
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": since.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Filmless", "version": version},
        "implementation": {"description": "Filmless", "url": f"{base}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "A bearer token, or the session of a browser."},
                "resource": [
                    {
                        "type": "ImagingStudy",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [
                            {"name": name, "type": kind, "documentation": documentation}
                            for name, kind, documentation in searches
                        ],
                    }
                ],
            }
        ],
    }


def values(attributes: Attributes, tag: str) -> list[Any]:
    """All values of an attribute of DICOM JSON that are not empty."""
    found = attributes.get(tag, {}).get("Value", [])
    return [value for value in found if value not in (None, "")]


def text(attributes: Attributes, tag: str) -> str:
    """The first value as text; empty where there is none."""
    found = values(attributes, tag)
    return str(found[0]).strip() if found and not isinstance(found[0], dict) else ""


def number(attributes: Attributes, tag: str) -> int | None:
    """The first value as a whole number that FHIR takes (from 0); None where there is none."""
    found = values(attributes, tag)
    try:
        whole = int(found[0]) if found else -1
    except (TypeError, ValueError):
        return None
    return whole if 0 <= whole < 2**31 else None


def person_name(attributes: Attributes, tag: str) -> str:
    """A name as people read it: its alphabetic group, family name first, as in Vietnam."""
    found = values(attributes, tag)
    if not found or not isinstance(found[0], dict):
        return ""
    name = found[0].get("Alphabetic") or found[0].get("Ideographic") or ""
    return " ".join(part for part in str(name).split("^") if part)


def _identifiers(base: str, study: Attributes) -> list[Resource]:
    identifiers: list[Resource] = [
        {"use": "official", "system": UID_SYSTEM, "value": uid_urn(text(study, "0020000D"))}
    ]
    accession = text(study, "00080050")
    if accession:
        identifiers.append(
            {
                "type": {"coding": [{"system": _IDENTIFIER_TYPE, "code": "ACSN"}]},
                "system": accession_system(base),
                "value": accession,
            }
        )
    return identifiers


def _subject(base: str, study: Attributes) -> Resource:
    """The patient by identifier: this server holds no Patient resources."""
    subject: Resource = {"type": "Patient"}
    patient_id = text(study, "00100020")
    if patient_id:
        identifier = {
            "type": {"coding": [{"system": _IDENTIFIER_TYPE, "code": "MR"}]},
            "value": patient_id,
        }
        issuer = text(study, "00100021")
        if issuer:
            identifier["system"] = issuer_system(base, issuer)
        subject["identifier"] = identifier
    subject["display"] = person_name(study, "00100010") or "?"
    return subject


def _started(study: Attributes) -> str:
    """The day of the study. DICOM times name no zone, and FHIR takes no time without one."""
    day = text(study, "00080020").replace(".", "")
    if len(day) != 8 or not day.isdigit():
        return ""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _series(series: Attributes, instances: Sequence[Attributes] | None) -> Resource:
    described: Resource = {
        "uid": text(series, "0020000E"),
        "number": number(series, "00200011"),
        "modality": _modality(text(series, "00080060") or "OT"),
        "description": text(series, "0008103E"),
        "numberOfInstances": number(series, "00201209"),
    }
    body_part = text(series, "00180015")
    if body_part:
        described["bodySite"] = {"display": body_part}
    if instances is not None:
        described["instance"] = [_instance(one) for one in instances]
    return _without_empty(described)


def _instance(instance: Attributes) -> Resource:
    sop_class = {"system": _URI, "code": uid_urn(text(instance, "00080016"))}
    return _without_empty(
        {
            "uid": text(instance, "00080018"),
            "sopClass": sop_class,
            "number": number(instance, "00200013"),
        }
    )


def _modality(code: str) -> Resource:
    return {"system": _DCM, "code": code}


def _endpoint(local_id: str, code: str, display: str, address: str) -> Resource:
    return {
        "resourceType": "Endpoint",
        "id": local_id,
        "status": "active",
        "connectionType": {"system": _CONNECTION_TYPE, "code": code, "display": display},
        "payloadType": [{"text": "DICOM"}],
        "payloadMimeType": ["application/dicom" if local_id == "dicomweb" else "text/html"],
        "address": address,
    }


def _without_empty(resource: Resource) -> Resource:
    """FHIR knows no empty values: what is empty is left out."""
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}
