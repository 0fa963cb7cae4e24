"""Making, opening, listing and revoking share links.

A link is a random capability that is stored hashed, not a self-contained signed token: it opens
what the database says that it opens, so that revoking it works at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, func, insert, select, update
from sqlalchemy.engine import Row

from pacs.index.query import scoped
from pacs.index.question import EVERYTHING, Scope
from pacs.index.tables import studies
from pacs.links.errors import BadLink, LinkNotFound
from pacs.links.tables import share_links
from pacs.people.secrets import new_secret, secret_hash

LONGEST = timedelta(days=30)
_LONGEST_BASIS = 1000


@dataclass(frozen=True, slots=True)
class ShareLink:
    """One link; never its secret."""

    id: int
    study_instance_uid: str
    made_by: str
    basis: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    open_count: int
    last_opened_at: datetime | None


def create_link(
    connection: Connection,
    study_instance_uid: str,
    *,
    made_by: str,
    basis: str,
    lifetime: timedelta,
    scope: Scope = EVERYTHING,
) -> tuple[ShareLink, str]:
    """A new link and its secret, which can never be shown again.

    `basis` says on what ground the study is shown (consent, a referral, ...). Raises BadLink when
    it is missing or too long, when the lifetime is not within 30 days, or when there is no such
    study in the scope of whoever makes the link.
    """
    if not basis.strip() or len(basis) > _LONGEST_BASIS or "\0" in basis:
        raise BadLink("basis", f"say in 1 to {_LONGEST_BASIS} characters why the study is shown")
    if not timedelta(0) < lifetime <= LONGEST:
        raise BadLink("lifetime", f"a link lasts at most {LONGEST.days} days")
    known = select(studies.c.id).where(
        studies.c.study_instance_uid == study_instance_uid,
        scoped(scope),
        ~studies.c.hidden,
    )
    if connection.execute(known).first() is None:
        raise BadLink("study", f"there is no study {study_instance_uid}")
    secret = new_secret()
    row = connection.execute(
        insert(share_links)
        .values(
            secret_hash=secret_hash(secret),
            study_instance_uid=study_instance_uid,
            made_by=made_by,
            basis=basis.strip(),
            expires_at=func.now() + lifetime,
        )
        .returning(share_links)
    ).one()
    return _link(row), secret


def open_link(connection: Connection, secret: str) -> ShareLink | None:
    """Follow a link: counts the opening. None when it is unknown, expired or revoked."""
    row = connection.execute(
        update(share_links)
        .where(share_links.c.secret_hash == secret_hash(secret))
        .where(share_links.c.revoked_at.is_(None), share_links.c.expires_at > func.now())
        .values(open_count=share_links.c.open_count + 1, last_opened_at=func.now())
        .returning(share_links)
    ).one_or_none()
    return None if row is None else _link(row)


def find_link(connection: Connection, secret: str) -> ShareLink | None:
    """The link that this secret still opens, without counting. None like `open_link`."""
    row = connection.execute(
        select(share_links)
        .where(share_links.c.secret_hash == secret_hash(secret))
        .where(share_links.c.revoked_at.is_(None), share_links.c.expires_at > func.now())
    ).one_or_none()
    return None if row is None else _link(row)


def list_links(
    connection: Connection, study_instance_uid: str, scope: Scope = EVERYTHING
) -> list[ShareLink]:
    """All links of a study, latest first, revoked and expired ones included.

    None of a study that is there but lies outside of `scope`.
    """
    hidden = exists().where(
        studies.c.study_instance_uid == share_links.c.study_instance_uid, ~scoped(scope)
    )
    rows = connection.execute(
        select(share_links)
        .where(share_links.c.study_instance_uid == study_instance_uid, ~hidden)
        .order_by(share_links.c.id.desc())
    )
    return [_link(row) for row in rows]


def revoke_link(connection: Connection, link_id: int, *, revoked_by: str) -> ShareLink:
    """The link opens nothing from now on; revoking twice is no error. Raises LinkNotFound."""
    row = connection.execute(
        update(share_links)
        .where(share_links.c.id == link_id)
        .values(
            revoked_at=func.coalesce(share_links.c.revoked_at, func.now()),
            revoked_by=func.coalesce(share_links.c.revoked_by, revoked_by),
        )
        .returning(share_links)
    ).one_or_none()
    if row is None:
        raise LinkNotFound(link_id)
    return _link(row)


def _link(row: Row[*tuple[object, ...]]) -> ShareLink:
    mapping = row._mapping
    table = share_links.c
    return ShareLink(
        id=mapping[table.id],
        study_instance_uid=mapping[table.study_instance_uid],
        made_by=mapping[table.made_by],
        basis=mapping[table.basis],
        created_at=mapping[table.created_at],
        expires_at=mapping[table.expires_at],
        revoked_at=mapping[table.revoked_at],
        revoked_by=mapping[table.revoked_by],
        open_count=mapping[table.open_count],
        last_opened_at=mapping[table.last_opened_at],
    )
