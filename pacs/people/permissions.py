"""Which role may do what. The one place that says so."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody is in the hospital; `service` is a machine."""

    ADMIN = "admin"
    RADIOLOGIST = "radiologist"
    TECHNICIAN = "technician"
    CLINICIAN = "clinician"
    SERVICE = "service"


class Permission(StrEnum):
    """One thing that may be allowed; its value is also the name of the scope of a token."""

    READ_STUDIES = "dicomweb:read"
    EXPORT = "studies:export"
    STORE = "dicomweb:write"
    READ_WORKLIST = "worklist:read"
    READ_WORKITEMS = "workitems:read"
    WRITE_WORKITEMS = "workitems:write"
    READ_FHIR = "fhir:read"
    SHARE = "links:write"
    READ_AUDIT = "audit:read"
    READ_METRICS = "metrics:read"
    MANAGE_USERS = "users:write"
    REJECT = "studies:reject"
    REJECT_FOR_QUALITY = "studies:reject-quality"


_PERMITTED: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.RADIOLOGIST: frozenset(
        {
            Permission.READ_STUDIES,
            Permission.EXPORT,
            Permission.READ_WORKLIST,
            Permission.READ_WORKITEMS,
            Permission.WRITE_WORKITEMS,
            Permission.READ_FHIR,
            Permission.SHARE,
            Permission.REJECT_FOR_QUALITY,
        }
    ),
    Role.TECHNICIAN: frozenset(
        {
            Permission.READ_STUDIES,
            Permission.EXPORT,
            Permission.READ_WORKLIST,
            Permission.STORE,
            Permission.READ_WORKITEMS,
            Permission.WRITE_WORKITEMS,
            Permission.REJECT,
            Permission.REJECT_FOR_QUALITY,
        }
    ),
    Role.CLINICIAN: frozenset(
        {
            Permission.READ_STUDIES,
            Permission.READ_WORKLIST,
            Permission.READ_FHIR,
            Permission.SHARE,
        }
    ),
    Role.SERVICE: frozenset(
        {
            Permission.READ_STUDIES,
            Permission.EXPORT,
            Permission.STORE,
            Permission.READ_WORKLIST,
            Permission.READ_WORKITEMS,
            Permission.WRITE_WORKITEMS,
            Permission.READ_FHIR,
            Permission.SHARE,
            Permission.READ_METRICS,
        }
    ),
}

LINK_PERMISSIONS = frozenset({Permission.READ_STUDIES, Permission.EXPORT})
"""What the holder of a share link may do, and that only to the link's one study."""


def permissions(role: Role) -> frozenset[Permission]:
    """Everything that a role permits."""
    return _PERMITTED[role]
