"""Accounts of people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from pacs.people.errors import BadUsername, UserExists, UserNotFound
from pacs.people.institutions import institution_names, listed
from pacs.people.passwords import hash_password
from pacs.people.permissions import Role
from pacs.people.tables import sessions, sign_in_failures, users

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account; the password's hash never leaves this room."""

    id: int
    username: str
    full_name: str
    role: Role
    institutions: tuple[str, ...] | None
    """Whose studies this person may see, by Institution Name (0008,0080); None: everybody's."""
    disabled: bool
    created_at: datetime
    last_sign_in_at: datetime | None


USER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.full_name,
    users.c.role,
    users.c.institutions,
    users.c.disabled,
    users.c.created_at,
    users.c.last_sign_in_at,
)


def user_of_row(row: Row[*tuple[object, ...]]) -> User:
    """The User in a row that begins with USER_COLUMNS."""
    mapping = row._mapping
    return User(
        id=mapping[users.c.id],
        username=mapping[users.c.username],
        full_name=mapping[users.c.full_name],
        role=Role(mapping[users.c.role]),
        institutions=listed(mapping[users.c.institutions]),
        disabled=mapping[users.c.disabled],
        created_at=mapping[users.c.created_at],
        last_sign_in_at=mapping[users.c.last_sign_in_at],
    )


def canonical_username(username: str) -> str:
    """Usernames are compared without case or surrounding spaces."""
    return username.strip().lower()


def create_user(
    connection: Connection,
    username: str,
    password: str,
    role: Role,
    full_name: str = "",
    *,
    institutions: Sequence[str] | None = None,
) -> User:
    """A new account. Raises UserExists, BadUsername, WeakPassword, BadInstitution.

    `institutions`: this person sees the studies of these alone.
    """
    name = canonical_username(username)
    if not _USERNAME.fullmatch(name):
        raise BadUsername(username)
    statement = (
        insert(users)
        .values(
            username=name,
            full_name=full_name.strip() or name,
            role=role.value,
            institutions=institution_names(institutions),
            password_hash=hash_password(password, username=name),
        )
        .returning(*USER_COLUMNS)
    )
    try:
        with connection.begin_nested():
            return user_of_row(connection.execute(statement).one())
    except IntegrityError as error:
        raise UserExists(name) from error


def find_user(connection: Connection, username: str) -> User:
    """The account of that name. Raises UserNotFound."""
    name = canonical_username(username)
    row = connection.execute(select(*USER_COLUMNS).where(users.c.username == name)).one_or_none()
    if row is None:
        raise UserNotFound(name)
    return user_of_row(row)


def list_users(connection: Connection) -> list[User]:
    """All accounts by name, disabled ones included."""
    rows = connection.execute(select(*USER_COLUMNS).order_by(users.c.username))
    return [user_of_row(row) for row in rows]


def set_password(connection: Connection, username: str, password: str) -> User:
    """A new password; ends every session of the account and lifts its lock.

    Raises UserNotFound, WeakPassword.
    """
    user = find_user(connection, username)
    hashed = hash_password(password, username=user.username)
    connection.execute(update(users).where(users.c.id == user.id).values(password_hash=hashed))
    connection.execute(delete(sessions).where(sessions.c.user_ref == user.id))
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.username == user.username))
    return user


def disable_user(connection: Connection, username: str) -> User:
    """The account can no longer sign in, and its open sessions end. Raises UserNotFound."""
    user = _set_disabled(connection, username, disabled=True)
    connection.execute(delete(sessions).where(sessions.c.user_ref == user.id))
    return user


def enable_user(connection: Connection, username: str) -> User:
    """The account can sign in again. Raises UserNotFound."""
    return _set_disabled(connection, username, disabled=False)


def set_role(connection: Connection, username: str, role: Role) -> User:
    """A new role, in force from the next request on. Raises UserNotFound."""
    user = find_user(connection, username)
    connection.execute(update(users).where(users.c.id == user.id).values(role=role.value))
    return find_user(connection, username)


def restrict_user(
    connection: Connection, username: str, institutions: Sequence[str] | None
) -> User:
    """From the next request on this person sees the studies of these institutions, or (None) all.

    Raises UserNotFound, BadInstitution.
    """
    user = find_user(connection, username)
    names = institution_names(institutions)
    connection.execute(update(users).where(users.c.id == user.id).values(institutions=names))
    return find_user(connection, username)


def _set_disabled(connection: Connection, username: str, *, disabled: bool) -> User:
    user = find_user(connection, username)
    connection.execute(update(users).where(users.c.id == user.id).values(disabled=disabled))
    return find_user(connection, username)
