"""What every request of this process shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, Engine
from starlette.requests import HTTPConnection

from pacs.archive import Archive
from pacs.audit.trail import AuditTrail
from pacs.retrieve import StoredInstance
from viewer_api.known import Known

if TYPE_CHECKING:
    from viewer_api.access import Principal
    from viewer_api.dicomweb.workitems.lines import Lines
    from viewer_api.events import EventHub


@dataclass(frozen=True)
class Door:
    """The archive behind the door, the trail of who came through it, and the live events.

    `known`: who was let in a moment ago; `stored`: instances that were asked for a moment ago;
    `lines`: subscribers to workitems on the line.
    """

    archive: Archive
    audit: AuditTrail
    events: EventHub
    known: Known[Principal]
    stored: Known[StoredInstance]
    lines: Lines

    def reading(self) -> Connection:
        """A connection on which every statement stands for itself.

        No transaction is begun and ended around a single query: that would double its trips to
        the database, and frames are asked for by the thousand.
        """
        return self._reading.connect()

    @cached_property
    def _reading(self) -> Engine:
        return self.archive.engine.execution_options(isolation_level="AUTOCOMMIT")


def door_of(request: HTTPConnection) -> Door:
    """The door through which the request came."""
    return cast(Door, request.app.state.door)


def base_url(request: HTTPConnection) -> str:
    """The address under which the caller reaches this server, without a slash at the end."""
    public_url = door_of(request).archive.settings.public_url
    return (public_url or str(request.base_url)).rstrip("/")
