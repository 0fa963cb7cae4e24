"""Who asks, what that person, machine or link may do, and which studies it may see.

Everything that answers with more than its own existence takes its principal from here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.requests import HTTPConnection
from starlette.responses import Response

from pacs.index.query import Scope
from pacs.links.share import ShareLink, find_link
from pacs.people.permissions import LINK_PERMISSIONS, Permission, permissions
from pacs.people.secrets import secret_hash
from pacs.people.sessions import Session, find_session
from pacs.people.tokens import SECRET_PREFIX, Token, authenticate_token
from viewer_api.door import door_of
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
    address: str = ""
    session: Session | None = None
    token: Token | None = None
    link: ShareLink | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role, and the token's scopes, permit it."""
        return permission in self.permissions


_Found = tuple[Principal, datetime | None]
"""A principal, and when it ends to be one."""

_Look = Callable[[Connection, str], _Found | None]


def address_of(request: HTTPConnection) -> str:
    """The caller's address, as the server or the proxy beside it saw it."""
    return request.client.host if request.client else ""


def authenticate(request: HTTPConnection) -> Principal | None:
    """The principal that the request's token, session cookie or link cookie stands for.

    A token decides alone where one is sent; the secret of a share link is one too. A session goes
    before a link: who is signed in does not lose rights by following one.
    """
    known = _known(request)
    if known is not None:
        return known
    door = door_of(request)
    secrets = _secrets(request)
    turn = door.known.turn()
    with door.reading() as connection:
        for secret, look in secrets:
            found = look(connection, secret)
            if found is not None:
                principal, end = found
                door.known.keep(secret_hash(secret), principal, turn, end)
                if principal.token is not None:
                    door.audit.record_once(
                        principal.actor, "token.used", address=address_of(request)
                    )
                return replace(principal, address=address_of(request))
    if "authorization" in request.headers and secrets:
        door.audit.record_once("anonymous", "token.refused", "refused", address=address_of(request))
    return None


def link_principal(link: ShareLink, address: str = "") -> Principal:
    """The holder of a share link: one study, and nothing else."""
    return Principal(
        actor=f"link:{link.id}",
        permissions=LINK_PERMISSIONS,
        scope=Scope(link.study_instance_uid),
        address=address,
        link=link,
    )


def require_principal(request: HTTPConnection) -> Principal:
    """The principal; 401 where there is none."""
    principal = authenticate(request)
    if principal is None:
        raise unauthenticated()
    return principal


def allow(permission: Permission) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """A dependency: the principal, if it may do this; 401 or 403 otherwise."""

    async def check(request: HTTPConnection) -> Principal:
        # Whoever is known costs no turn of a thread: frames are asked for by the thousand.
        principal = _known(request)
        if principal is None:
            principal = await to_thread.run_sync(require_principal, request)
        if not principal.may(permission):
            await to_thread.run_sync(require, request, principal, permission)
        return principal

    return check


def require(request: HTTPConnection, principal: Principal, permission: Permission) -> None:
    """Nothing, if the principal may do this; else the refusal goes on record, and a 403 problem."""
    if principal.may(permission):
        return
    door_of(request).audit.record_once(
        principal.actor,
        "access.refused",
        "refused",
        about=permission.value,
        detail={"permission": permission.value},
        address=principal.address,
    )
    raise Problem(403, "forbidden", f"This needs the permission {permission.value}.")


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


def _known(request: HTTPConnection) -> Principal | None:
    known = door_of(request).known
    for secret, _ in _secrets(request):
        principal = known.find(secret_hash(secret))
        if principal is not None:
            return replace(principal, address=address_of(request))
    return None


def _secrets(request: HTTPConnection) -> list[tuple[str, _Look]]:
    """The secrets that the request shows, and where each is looked up, the first first."""
    header = request.headers.get("authorization")
    shown: list[tuple[str | None, _Look]]
    if header is not None:
        scheme, _, value = header.partition(" ")
        value = value.strip() if scheme.lower() == "bearer" else ""
        shown = [(value, _by_token if value.startswith(SECRET_PREFIX) else _by_link)]
    else:
        shown = [
            (request.cookies.get(SESSION_COOKIE), _by_session),
            (request.cookies.get(LINK_COOKIE), _by_link),
        ]
    return [(value, look) for value, look in shown if value and len(value) <= _LONGEST_SECRET]


def _by_token(connection: Connection, secret: str) -> _Found | None:
    token = authenticate_token(connection, secret)
    if token is None:
        return None
    principal = Principal(
        actor=f"token:{token.id}:{token.name}",
        permissions=token.scopes,
        scope=Scope(institutions=token.institutions),
        token=token,
    )
    return principal, token.expires_at


def _by_session(connection: Connection, secret: str) -> _Found | None:
    session = find_session(connection, secret)
    if session is None:
        return None
    principal = Principal(
        actor=f"user:{session.user.username}",
        permissions=permissions(session.user.role),
        scope=Scope(institutions=session.user.institutions),
        session=session,
    )
    return principal, session.expires_at


def _by_link(connection: Connection, secret: str) -> _Found | None:
    link = find_link(connection, secret)
    return None if link is None else (link_principal(link), link.expires_at)


Caller = Annotated[Principal, Depends(require_principal)]
Reader = Annotated[Principal, Depends(allow(Permission.READ_STUDIES))]
