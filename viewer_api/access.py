"""Who asks, what that person, machine or link may do, and which studies it may see.

Everything that answers with more than its own existence takes its principal from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from pacs.index.query import Scope
from pacs.links.share import ShareLink, find_link
from pacs.people.permissions import LINK_PERMISSIONS, Permission, permissions
from pacs.people.sessions import Session, find_session
from pacs.people.tokens import Token, authenticate_token
from viewer_api.door import Door, door_of
from viewer_api.problems import Problem

SESSION_COOKIE = "filmless_session"
LINK_COOKIE = "filmless_link"
_LONGEST_SECRET = 512


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever makes a request: a person, a machine, or the holder of a share link."""

    actor: str
    permissions: frozenset[Permission]
    scope: Scope
    address: str
    session: Session | None = None
    token: Token | None = None
    link: ShareLink | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role, and the token's scopes, permit it."""
        return permission in self.permissions


def address_of(request: Request) -> str:
    """The caller's address, as the server or the proxy beside it saw it."""
    return request.client.host if request.client else ""


def authenticate(request: Request) -> Principal | None:
    """The principal that the request's token, session cookie or link cookie stands for.

    A token decides alone where one is sent. A session goes before a link: who is signed in does
    not lose rights by following one.
    """
    door = door_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        return _by_token(door, header, address_of(request))
    session_secret = _secret(request.cookies.get(SESSION_COOKIE))
    link_secret = _secret(request.cookies.get(LINK_COOKIE))
    if session_secret is None and link_secret is None:
        return None
    with door.reading() as connection:
        session = find_session(connection, session_secret) if session_secret else None
        if session is not None:
            return Principal(
                actor=f"user:{session.user.username}",
                permissions=permissions(session.user.role),
                scope=Scope(),
                address=address_of(request),
                session=session,
            )
        link = find_link(connection, link_secret) if link_secret else None
    return None if link is None else link_principal(link, address_of(request))


def link_principal(link: ShareLink, address: str) -> Principal:
    """The holder of a share link: one study, and nothing else."""
    return Principal(
        actor=f"link:{link.id}",
        permissions=LINK_PERMISSIONS,
        scope=Scope(link.study_instance_uid),
        address=address,
        link=link,
    )


def require_principal(request: Request) -> Principal:
    """The principal; 401 where there is none."""
    principal = authenticate(request)
    if principal is None:
        raise unauthenticated()
    return principal


def allow(permission: Permission) -> Callable[[Request], Principal]:
    """A dependency: the principal, if it may do this; 401 or 403 otherwise."""

    def check(request: Request) -> Principal:
        principal = require_principal(request)
        if not principal.may(permission):
            _record_refusal(request, principal, permission)
            raise Problem(403, "forbidden", f"This needs the permission {permission.value}.")
        return principal

    return check


def unauthenticated() -> Problem:
    """401."""
    return Problem(
        401,
        "unauthenticated",
        "Sign in, or send a valid bearer token.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def set_cookie(
    request: Request, response: Response, name: str, secret: str, lifetime: timedelta
) -> None:
    """A cookie that scripts cannot read and other sites cannot make the browser send along."""
    response.set_cookie(
        name,
        secret,
        max_age=max(1, int(lifetime.total_seconds())),
        path="/",
        httponly=True,
        samesite="lax",
        secure=_is_https(request),
    )


def clear_cookie(request: Request, response: Response, name: str) -> None:
    """The browser forgets the cookie."""
    response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=_is_https(request))


def _is_https(request: Request) -> bool:
    public_url = door_of(request).archive.settings.public_url or ""
    return request.url.scheme == "https" or public_url.startswith("https:")


def _by_token(door: Door, header: str, address: str) -> Principal | None:
    scheme, _, value = header.partition(" ")
    secret = _secret(value.strip())
    if scheme.lower() != "bearer" or secret is None:
        return None
    with door.reading() as connection:
        token = authenticate_token(connection, secret)
    if token is None:
        door.audit.record_once("anonymous", "token.refused", "refused", address=address)
        return None
    actor = f"token:{token.id}:{token.name}"
    door.audit.record_once(actor, "token.used", address=address)
    return Principal(
        actor=actor,
        permissions=token.scopes,
        scope=Scope(),
        address=address,
        token=token,
    )


def _record_refusal(request: Request, principal: Principal, permission: Permission) -> None:
    door_of(request).audit.record_once(
        principal.actor,
        "access.refused",
        "refused",
        detail={"permission": permission.value},
        address=principal.address,
    )


def _secret(value: str | None) -> str | None:
    return value if value and len(value) <= _LONGEST_SECRET else None


Caller = Annotated[Principal, Depends(require_principal)]
Reader = Annotated[Principal, Depends(allow(Permission.READ_STUDIES))]
