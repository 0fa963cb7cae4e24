"""How the archive's identifiers are written in FHIR, and read back."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

UID_SYSTEM = "urn:dicom:uid"
_OID = "urn:oid:"


@dataclass(frozen=True, slots=True)
class Token:
    """A FHIR search token `system|value`. `system` is None where the search names none."""

    system: str | None
    value: str


def parse_token(text: str) -> Token:
    """Read `value`, `system|value` or `|value` (FHIR R4 section 3.1.1.4.10)."""
    system, bar, value = text.partition("|")
    if not bar:
        return Token(None, text.strip())
    return Token(system.strip() or None, value.strip())


def uid_urn(uid: str) -> str:
    """A DICOM UID as FHIR writes it."""
    return f"{_OID}{uid}"


def uid_of_urn(value: str) -> str:
    """The UID in `urn:oid:...`, or the text itself."""
    return value.removeprefix(_OID)


def is_uid_urn(value: str) -> bool:
    """Whether the text is an OID written as a URN."""
    return value.startswith(_OID)


def issuer_system(base: str, issuer: str) -> str:
    """The system of the patient identifiers of an issuer.

    An issuer that is an OID or a URI is its own system; any other name gets one of this server.
    """
    if issuer.replace(".", "").isdigit() and "." in issuer:
        return uid_urn(issuer)
    if ":" in issuer:
        return issuer
    return f"{base}/fhir/identifier/patient/{quote(issuer, safe='')}"


def issuer_of_system(base: str, system: str) -> str:
    """The issuer that `issuer_system` wrote; any other text is taken for an issuer's name."""
    own = f"{base}/fhir/identifier/patient/"
    if system.startswith(own):
        return unquote(system.removeprefix(own))
    return uid_of_urn(system)


def accession_system(base: str) -> str:
    """The system of this archive's accession numbers."""
    return f"{base}/fhir/identifier/accession"
