"""What a DICOMweb URL names, checked before anything is asked of the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from pacs.dicom.header import is_uid
from pacs.retrieve import NotFound, StoredInstance, instances, one_instance
from viewer_api.access import Principal
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.door import base_url, door_of
from viewer_api.problems import Problem, bad_request

Form = TypeVar("Form", bound=Offer)

_MOST_FRAMES = 2000
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Target:
    """A study, one of its series, or one of its instances."""

    study: str
    series: str | None = None
    instance: str | None = None


def target(
    request: Request,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> Target:
    """The target of a URL.

    Raises a 400 problem for what is not a UID, and NotFound for a study that lies outside of the
    caller's scope, exactly as for one that does not exist.
    """
    for uid in (study, series, instance):
        if uid is not None and not is_uid(uid):
            raise bad_request("invalid_uid", f"{uid[:80]!r} is not a UID.")
    allowed = principal.scope.study_instance_uid
    if allowed is not None and study != allowed:
        door_of(request).audit.record_once(
            principal.actor,
            "study.refused",
            "refused",
            study_instance_uid=study,
            address=principal.address,
        )
        raise NotFound(study)
    return Target(study, series, instance)


def stored_instance(request: Request, principal: Principal, asked: Target) -> StoredInstance:
    """The instance that the URL names. Raises NotFound."""
    door = door_of(request)
    key = asked, principal.scope
    known = door.stored.find(key)
    if known is not None:
        return known
    turn = door.stored.turn()
    with door.reading() as connection:
        found = one_instance(
            connection,
            study=asked.study,
            series=str(asked.series),
            instance=str(asked.instance),
            scope=principal.scope,
        )
    door.stored.keep(key, found, turn)
    return found


def stored_instances(request: Request, principal: Principal, asked: Target) -> list[StoredInstance]:
    """The instances that the URL names, in order. Raises NotFound."""
    if asked.instance is not None:
        return [stored_instance(request, principal, asked)]
    with door_of(request).reading() as connection:
        return instances(connection, study=asked.study, series=asked.series, scope=principal.scope)


def record_read(request: Request, principal: Principal, action: str, study: str) -> None:
    """Put a look at a study on record, once in five minutes."""
    door_of(request).audit.record_once(
        principal.actor, action, study_instance_uid=study, address=principal.address
    )


def frame_numbers(text: str) -> list[int]:
    """The frame numbers of a URL, such as `1,2,7`, in its order. Raises a 400 problem."""
    parts = text.split(",")
    if len(parts) > _MOST_FRAMES:
        raise bad_request("too_many_frames", f"Ask for at most {_MOST_FRAMES} frames at once.")
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= _MOST_DIGITS) or int(part) < 1:
            raise bad_request("invalid_frame", f"{part[:20]!r} is not a frame number (1, 2, ...).")
    return [int(part) for part in parts]


def accepted(request: Request) -> str | None:
    """What the caller accepts: the query parameter goes before the header (PS3.18 8.3.3.1)."""
    parameter = request.query_params.get("accept")
    if parameter is not None:
        # A plus sign in a query string means a space unless it is escaped, which many forget.
        return parameter.replace("dicom json", "dicom+json").replace("dicom xml", "dicom+xml")
    return request.headers.get("accept")


def negotiate(request: Request, offers: list[Form]) -> Form:
    """The form in which to answer; 406 where none of them is accepted."""
    chosen = choose(offers, accepted(request))
    if chosen is None:
        forms = ", ".join(sorted({_described(offer) for offer in offers}))
        raise Problem(406, "not_acceptable", f"This can be had as {forms}.")
    return chosen


def url_of(request: Request, found: Target) -> str:
    """The Retrieve URL (0008,1190) of a target."""
    url = f"{base_url(request)}/dicomweb/studies/{found.study}"
    if found.series is not None:
        url += f"/series/{found.series}"
    if found.instance is not None:
        url += f"/instances/{found.instance}"
    return url


def _described(offer: Offer) -> str:
    name = f"multipart/related; type={offer.media_type}" if offer.multipart else offer.media_type
    return f"{name}; transfer-syntax={offer.transfer_syntax}" if offer.transfer_syntax else name
