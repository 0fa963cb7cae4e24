"""Share links: made, listed, revoked, followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from pacs.links.errors import BadLink, LinkNotFound
from pacs.links.share import create_link, list_links, open_link, revoke_link
from pacs.people.permissions import Permission
from viewer_api import schemas
from viewer_api.access import (
    LINK_COOKIE,
    Principal,
    address_of,
    allow,
    link_principal,
    set_cookie,
)
from viewer_api.dicomweb.resources import target
from viewer_api.door import base_url, door_of
from viewer_api.pages import page
from viewer_api.problems import bad_request, not_found

router = APIRouter(tags=["share links"])
public_router = APIRouter(tags=["share links"])

Sharer = Annotated[Principal, Depends(allow(Permission.SHARE))]
_LONGEST_SECRET = 512


@router.post("/studies/{study}/links", status_code=201, summary="Share a study")
def make_link(
    request: Request,
    response: Response,
    study: str,
    wish: schemas.LinkRequest,
    principal: Sharer,
) -> schemas.LinkMade:
    """A link that opens this one study, for at most 30 days. The ground for it is recorded."""
    asked = target(request, principal, study)
    door = door_of(request)
    try:
        with door.archive.engine.begin() as connection:
            link, secret = create_link(
                connection,
                asked.study,
                made_by=principal.actor,
                basis=wish.basis,
                lifetime=timedelta(hours=wish.expires_in_hours),
                scope=principal.scope,
            )
    except BadLink as error:
        if error.field == "study":
            raise not_found(str(error)) from error
        raise bad_request("bad_link", f"{error}.") from error
    door.audit.record(
        principal.actor,
        "link.created",
        study_instance_uid=link.study_instance_uid,
        detail={"link": link.id, "basis": link.basis, "expires": link.expires_at.isoformat()},
        address=principal.address,
    )
    response.headers["Cache-Control"] = "no-store"
    return schemas.LinkMade(
        id=str(link.id), url=f"{base_url(request)}/s/{secret}", expires_at=link.expires_at
    )


@router.get("/studies/{study}/links", summary="The links of a study")
def read_links(request: Request, study: str, principal: Sharer) -> list[schemas.Link]:
    """All links of the study, latest first; never their addresses."""
    asked = target(request, principal, study)
    with door_of(request).reading() as connection:
        return [
            schemas.link(found) for found in list_links(connection, asked.study, principal.scope)
        ]


@router.delete("/links/{link}", status_code=204, summary="Revoke a link")
def delete_link(request: Request, link: str, principal: Sharer) -> Response:
    """The link opens nothing from now on."""
    if not (link.isascii() and link.isdigit() and len(link) <= 18):
        raise not_found(f"There is no share link number {link[:20]}.")
    door = door_of(request)
    try:
        with door.archive.engine.begin() as connection:
            revoked = revoke_link(connection, int(link), revoked_by=principal.actor)
        door.known.forget()
    except LinkNotFound as error:
        raise not_found(f"{error}.") from error
    door.audit.record(
        principal.actor,
        "link.revoked",
        study_instance_uid=revoked.study_instance_uid,
        detail={"link": revoked.id},
        address=principal.address,
    )
    return Response(None, 204)


@public_router.get("/s/{secret}", summary="Follow a share link", include_in_schema=False)
def follow_link(request: Request, secret: str) -> Response:
    """Open the link's study in the browser; a page that says so where the link opens nothing."""
    door = door_of(request)
    address = address_of(request)
    with door.archive.engine.begin() as connection:
        link = open_link(connection, secret) if len(secret) <= _LONGEST_SECRET else None
    if link is None:
        door.audit.record_once("anonymous", "link.refused", "refused", address=address)
        return page(
            404,
            "Liên kết không còn hiệu lực",
            "This link has expired, was revoked, or never was.",
        )
    principal = link_principal(link, address)
    door.audit.record(
        principal.actor,
        "link.opened",
        study_instance_uid=link.study_instance_uid,
        detail={"link": link.id},
        address=address,
    )
    response = RedirectResponse(f"/study/{link.study_instance_uid}", 303)
    response.headers["Cache-Control"] = "no-store"
    remaining = link.expires_at - datetime.now(UTC)
    set_cookie(request, response, LINK_COOKIE, secret, remaining)
    return response
