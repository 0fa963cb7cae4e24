"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from pacs.people.passwords import hash_password, outdated, password_fits
from pacs.people.secrets import new_secret, secret_hash
from pacs.people.tables import sessions, sign_in_failures, users
from pacs.people.users import USER_COLUMNS, User, canonical_username, user_of_row

FAILURES_BEFORE_LOCK = 5
LOCK_MINUTES = 5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session; `secret` is the cookie's value and is stored nowhere."""

    user: User
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BadCredentials:
    """The name or the password is wrong; which of them is not said."""


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many failures for this name; trying again makes sense after `retry_seconds`."""

    retry_seconds: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is still good."""

    user: User
    expires_at: datetime


def sign_in(
    connection: Connection, username: str, password: str, *, lifetime: timedelta, address: str = ""
) -> SignedIn | BadCredentials | Locked:
    """Try a name and a password.

    Refusals are answers, not exceptions, so that the caller's transaction commits the count of
    failures. A name that nobody has is counted, locked and timed like any other.
    """
    checked = check_credentials(connection, username, password)
    if not isinstance(checked, User):
        return checked
    return _open_session(connection, checked, lifetime, address)


def check_credentials(
    connection: Connection, username: str, password: str
) -> User | BadCredentials | Locked:
    """Try a name and a password, as `sign_in` does, without opening a session."""
    name = canonical_username(username)[:256].replace("\0", "")
    locked = _locked_seconds(connection, name)
    if locked:
        return Locked(locked)
    row = connection.execute(
        select(*USER_COLUMNS, users.c.password_hash).where(users.c.username == name)
    ).one_or_none()
    stored = row._mapping[users.c.password_hash] if row is not None else None
    fits = password_fits(stored, password)
    if row is None or not fits or row._mapping[users.c.disabled]:
        _count_failure(connection, name)
        return BadCredentials()
    if outdated(row._mapping[users.c.password_hash]):
        connection.execute(
            update(users)
            .where(users.c.username == name)
            .values(password_hash=hash_password(password, username=name))
        )
    return user_of_row(row)


def find_session(connection: Connection, secret: str) -> Session | None:
    """The session that a cookie's value opens; None when it is unknown, over or disabled."""
    row = connection.execute(
        select(*USER_COLUMNS, sessions.c.expires_at)
        .join_from(sessions, users, sessions.c.user_ref == users.c.id)
        .where(sessions.c.secret_hash == secret_hash(secret))
        .where(sessions.c.expires_at > func.now())
        .where(~users.c.disabled)
    ).one_or_none()
    if row is None:
        return None
    return Session(user_of_row(row), row._mapping[sessions.c.expires_at])


def sign_out(connection: Connection, secret: str) -> None:
    """End the session, if there is one."""
    connection.execute(delete(sessions).where(sessions.c.secret_hash == secret_hash(secret)))


def _open_session(
    connection: Connection, user: User, lifetime: timedelta, address: str
) -> SignedIn:
    secret = new_secret()
    connection.execute(delete(sessions).where(sessions.c.expires_at <= func.now()))
    expires_at = connection.execute(
        insert(sessions)
        .values(
            secret_hash=secret_hash(secret),
            user_ref=user.id,
            expires_at=func.now() + lifetime,
            address=address,
        )
        .returning(sessions.c.expires_at)
    ).scalar_one()
    connection.execute(
        update(users).where(users.c.id == user.id).values(last_sign_in_at=func.now())
    )
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.username == user.username))
    return SignedIn(user, secret, expires_at)


def _locked_seconds(connection: Connection, name: str) -> int:
    remaining = func.ceil(func.extract("epoch", sign_in_failures.c.locked_until - func.now()))
    seconds = connection.execute(
        select(remaining)
        .where(sign_in_failures.c.username == name)
        .where(sign_in_failures.c.locked_until > func.now())
    ).scalar_one_or_none()
    return int(seconds) if seconds is not None else 0


def _count_failure(connection: Connection, name: str) -> None:
    """One more failure; the fifth in a row locks. Failures older than the lock are forgotten."""
    window = timedelta(minutes=LOCK_MINUTES)
    connection.execute(
        delete(sign_in_failures).where(sign_in_failures.c.last_failed_at < func.now() - window)
    )
    failures = sign_in_failures.c.failures + 1
    connection.execute(
        upsert(sign_in_failures)
        .values(username=name, failures=1, last_failed_at=func.now())
        .on_conflict_do_update(
            index_elements=[sign_in_failures.c.username],
            set_={
                "failures": failures,
                "last_failed_at": func.now(),
                "locked_until": case(
                    (failures >= FAILURES_BEFORE_LOCK, func.now() + window), else_=None
                ),
            },
        )
    )
