"""Signing in and out, and who the caller is."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from pacs.people.permissions import permissions
from pacs.people.sessions import BadCredentials, Locked, SignedIn, sign_in, sign_out
from viewer_api.access import (
    LINK_COOKIE,
    SESSION_COOKIE,
    Caller,
    address_of,
    clear_cookie,
    set_cookie,
)
from viewer_api.door import Door, door_of
from viewer_api.ohif import is_installed
from viewer_api.problems import Problem
from viewer_api.schemas import (
    Credentials,
    Server,
    SessionAnswer,
    SessionLink,
    SessionUser,
    WaitingTargets,
    session_user,
)

router = APIRouter(tags=["session"])


@router.post("/session", summary="Sign in")
def create_session(request: Request, response: Response, credentials: Credentials) -> SessionAnswer:
    """Name and password for a session cookie. 401 `bad_credentials`, 429 `locked`."""
    door = door_of(request)
    lifetime = timedelta(hours=door.archive.settings.session_hours)
    address = address_of(request)
    with door.archive.engine.begin() as connection:
        answer = sign_in(
            connection,
            credentials.username,
            credentials.password,
            lifetime=lifetime,
            address=address,
        )
    if not isinstance(answer, SignedIn):
        _refuse(door, answer, credentials.username, address)
        raise _refusal(answer)
    door.audit.record(f"user:{answer.user.username}", "session.opened", address=address)
    set_cookie(request, response, SESSION_COOKIE, answer.secret, lifetime)
    response.headers["Cache-Control"] = "no-store"
    return SessionAnswer(
        user=session_user(answer.user),
        link=None,
        permissions=sorted(permissions(answer.user.role)),
        server=_server(door),
    )


@router.get("/session", summary="Who am I")
def read_session(request: Request, response: Response, principal: Caller) -> SessionAnswer:
    """The person who is signed in, or the study that a share link opens; 401 for nobody."""
    response.headers["Cache-Control"] = "no-store"
    user = link = None
    if principal.session is not None:
        user = session_user(principal.session.user)
    if principal.token is not None:
        user = SessionUser(
            username=principal.actor,
            full_name=principal.token.name,
            role=principal.token.role.value,
        )
    if principal.link is not None:
        link = SessionLink(
            study_instance_uid=principal.link.study_instance_uid,
            expires_at=principal.link.expires_at,
        )
    return SessionAnswer(
        user=user,
        link=link,
        permissions=sorted(principal.permissions),
        server=_server(door_of(request)),
    )


@router.delete("/session", status_code=204, summary="Sign out")
def delete_session(request: Request, principal: Caller) -> Response:
    """End the session, and forget the share link that was followed."""
    door = door_of(request)
    secret = request.cookies.get(SESSION_COOKIE)
    if principal.session is not None and secret is not None:
        with door.archive.engine.begin() as connection:
            sign_out(connection, secret)
        door.known.forget()
        door.audit.record(principal.actor, "session.closed", address=principal.address)
    response = Response(None, 204)
    clear_cookie(request, response, SESSION_COOKIE)
    clear_cookie(request, response, LINK_COOKIE)
    return response


def _refuse(door: Door, answer: BadCredentials | Locked, username: str, address: str) -> None:
    # What was typed as a name may be a password typed in the wrong field: only a name that could
    # be one is kept.
    name = username.strip().lower()
    plausible = name if name.isascii() and name.isprintable() and len(name) <= 64 else ""
    record = door.audit.record if isinstance(answer, BadCredentials) else door.audit.record_once
    record(
        "anonymous",
        "session.refused",
        "refused",
        detail={"username": plausible, "locked": isinstance(answer, Locked)},
        address=address,
    )


def _refusal(answer: BadCredentials | Locked) -> Problem:
    if isinstance(answer, Locked):
        return Problem(
            429,
            "locked",
            "Too many failed attempts: wait, then try again.",
            headers={"Retry-After": str(answer.retry_seconds)},
        )
    return Problem(401, "bad_credentials", "The username or the password is wrong.")


def _server(door: Door) -> Server:
    settings = door.archive.settings
    return Server(
        version=version("filmless"),
        institution=settings.institution_name,
        language=settings.language,
        research_models=settings.show_unregistered_models,
        ohif=is_installed(settings.ohif_folder),
        waiting_target_minutes=WaitingTargets(),
    )
