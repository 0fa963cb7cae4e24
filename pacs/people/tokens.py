"""Bearer tokens of machines: shown once, stored hashed, limited to scopes, revocable at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.engine import Row

from pacs.people.errors import ScopeNotPermitted, TokenNotFound
from pacs.people.institutions import institution_names, listed
from pacs.people.permissions import Permission, Role, permissions
from pacs.people.secrets import new_secret, secret_hash
from pacs.people.tables import tokens

SECRET_PREFIX = "filmless_"  # noqa: S105 - lets scanners of leaked secrets recognise one
_LAST_USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Token:
    """A machine's right of entry; never its secret."""

    id: int
    name: str
    role: Role
    scopes: frozenset[Permission]
    institutions: tuple[str, ...] | None
    """Whose studies it shows, by Institution Name (0008,0080); None: everybody's."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_token(
    connection: Connection,
    role: Role,
    name: str,
    expires: timedelta | None = None,
    scopes: Collection[Permission] | None = None,
    *,
    institutions: Sequence[str] | None = None,
) -> tuple[Token, str]:
    """A new token and its secret, which can never be shown again.

    Scopes default to everything that the role permits. `institutions`: it shows the studies of
    these alone. Raises ScopeNotPermitted, BadInstitution.
    """
    permitted = permissions(role)
    asked = permitted if scopes is None else frozenset(scopes)
    if not asked or asked - permitted:
        refused = ", ".join(sorted(asked - permitted)) or "no scope at all"
        raise ScopeNotPermitted(f"the role {role} does not permit {refused}")
    secret = SECRET_PREFIX + new_secret()
    row = connection.execute(
        insert(tokens)
        .values(
            secret_hash=secret_hash(secret),
            name=name,
            role=role.value,
            scopes=sorted(scope.value for scope in asked),
            institutions=institution_names(institutions),
            expires_at=None if expires is None else func.now() + expires,
        )
        .returning(tokens)
    ).one()
    return _token(row), secret


def list_tokens(connection: Connection) -> list[Token]:
    """All tokens, revoked and expired ones included, in the order they were made."""
    return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.id))]


def revoke_token(connection: Connection, token_id: int) -> Token:
    """The token opens nothing from now on; revoking twice is no error. Raises TokenNotFound."""
    row = connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id)
        .values(revoked_at=func.coalesce(tokens.c.revoked_at, func.now()))
        .returning(tokens)
    ).one_or_none()
    if row is None:
        raise TokenNotFound(token_id)
    return _token(row)


def authenticate_token(connection: Connection, secret: str) -> Token | None:
    """The token whose secret this is; None when unknown, expired or revoked.

    What it may do is `scopes` as its role permits them today, not as it did when it was made.
    """
    row = connection.execute(
        select(tokens)
        .where(tokens.c.secret_hash == secret_hash(secret))
        .where(tokens.c.revoked_at.is_(None))
        .where(or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > func.now()))
    ).one_or_none()
    if row is None:
        return None
    token = _token(row)
    # To the minute: a machine that asks for a thousand frames must not write a thousand times.
    now = datetime.now(UTC)
    if token.last_used_at is None or now - token.last_used_at > _LAST_USED_RESOLUTION:
        connection.execute(update(tokens).where(tokens.c.id == token.id).values(last_used_at=now))
    return token


def _token(row: Row[*tuple[object, ...]]) -> Token:
    mapping = row._mapping
    role = Role(mapping[tokens.c.role])
    known = {scope.value for scope in permissions(role)}
    return Token(
        id=mapping[tokens.c.id],
        name=mapping[tokens.c.name],
        role=role,
        scopes=frozenset(Permission(scope) for scope in mapping[tokens.c.scopes] if scope in known),
        institutions=listed(mapping[tokens.c.institutions]),
        created_at=mapping[tokens.c.created_at],
        expires_at=mapping[tokens.c.expires_at],
        revoked_at=mapping[tokens.c.revoked_at],
        last_used_at=mapping[tokens.c.last_used_at],
    )
