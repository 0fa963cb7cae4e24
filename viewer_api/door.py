"""What every request of this process shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection
from starlette.requests import HTTPConnection

from pacs.archive import Archive
from pacs.audit.trail import AuditTrail

if TYPE_CHECKING:
    from viewer_api.events import EventHub


@dataclass(frozen=True)
class Door:
    """The archive behind the door, the trail of who came through it, and the live events."""

    archive: Archive
    audit: AuditTrail
    events: EventHub

    def reading(self) -> Connection:
        """A connection on which every statement stands for itself.

        No transaction is begun and ended around a single query: that would double its trips to
        the database, and frames are asked for by the thousand.
        """
        return self.archive.engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def door_of(request: HTTPConnection) -> Door:
    """The door through which the request came."""
    return cast(Door, request.app.state.door)


def base_url(request: HTTPConnection) -> str:
    """The address under which the caller reaches this server, without a slash at the end."""
    public_url = door_of(request).archive.settings.public_url
    return (public_url or str(request.base_url)).rstrip("/")
