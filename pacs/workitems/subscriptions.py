"""Who is told about which workitems (PS3.4 CC.2.3): table CC.2.3-2, row by row."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pacs.workitems import reports
from pacs.workitems.errors import Status, WorkitemRefused
from pacs.workitems.search import matching
from pacs.workitems.states import State
from pacs.workitems.tables import (
    workitem_reports,
    workitem_subscribers,
    workitem_subscriptions,
)
from pacs.workitems.worklist import Workitem, find, one_at_a_time

MOST_SUBSCRIBERS = 500
_AT_ONCE = 1000
# What a state report says, and not all the rest of a workitem.
_STATES = """
SELECT id, sop_instance_uid,
  (SELECT jsonb_object_agg(tag, attributes -> tag) FROM unnest(%(tags)s::text[]) AS tag
   WHERE attributes ? tag)
FROM workitems WHERE id = ANY(%(ids)s) ORDER BY id
"""


def subscribe(
    connection: Connection, sop_instance_uid: str, aet: str, *, deletion_lock: bool
) -> None:
    """Tell the AE about one workitem, beginning with its state. Raises WorkitemRefused."""
    one_at_a_time(connection)
    workitem = find(connection, sop_instance_uid)
    _know(connection, aet)
    _add(connection, workitem, aet, deletion_lock=deletion_lock)
    reports.tell(connection, aet, [reports.state_report(workitem)])


def subscribe_to_worklist(
    connection: Connection,
    aet: str,
    *,
    deletion_lock: bool,
    keys: Mapping[str, str] | None = None,
) -> None:
    """Tell the AE about all workitems there are and will be, or about those that match the keys.

    What it is subscribed to already stays as it is. Where it is to be subscribed with a lock, each
    workitem that is new to it is reported. Raises WorkitemRefused, QueryError.
    """
    one_at_a_time(connection)
    condition, values = matching(keys or {})
    _know(connection, aet)
    connection.execute(
        update(workitem_subscribers)
        .where(workitem_subscribers.c.aet == aet)
        .values(
            worklist="all" if keys is None else "filtered",
            filter=None if keys is None else dict(keys),
            deletion_lock=deletion_lock,
        )
    )
    chosen = f"SELECT id, {values.bind(aet)}, {values.bind(deletion_lock)} FROM workitems"  # noqa: S608
    added = connection.exec_driver_sql(
        f"INSERT INTO workitem_subscriptions (workitem_ref, aet, deletion_lock) {chosen}"
        f" WHERE {condition} ON CONFLICT DO NOTHING RETURNING workitem_ref",
        values,
    )
    new = sorted(added.scalars())
    for start in range(0, len(new) if deletion_lock else 0, _AT_ONCE):
        rows = connection.exec_driver_sql(
            _STATES, {"ids": new[start : start + _AT_ONCE], "tags": list(reports.OF_STATE)}
        )
        found = [Workitem(id_, uid, State.SCHEDULED, None, held) for id_, uid, held in rows]
        reports.tell(connection, aet, [reports.state_report(one) for one in found])


def unsubscribe(connection: Connection, sop_instance_uid: str, aet: str) -> None:
    """The AE hears no more about this workitem. Raises WorkitemRefused."""
    one_at_a_time(connection)
    workitem = find(connection, sop_instance_uid)
    table = workitem_subscriptions.c
    gone = connection.execute(
        delete(workitem_subscriptions).where(table.workitem_ref == workitem.id, table.aet == aet)
    )
    if not gone.rowcount:
        raise WorkitemRefused(sop_instance_uid, Status.NOT_SUBSCRIBED)


def unsubscribe_from_worklist(connection: Connection, uid: str, aet: str) -> None:
    """The AE hears about nothing any more, and keeps nothing from being deleted.

    `uid`: the well-known one by which it was asked. Raises WorkitemRefused.
    """
    one_at_a_time(connection)
    gone = connection.execute(
        delete(workitem_subscriptions).where(workitem_subscriptions.c.aet == aet)
    )
    if not _end_of_worklist(connection, aet) and not gone.rowcount:
        raise WorkitemRefused(uid, Status.NOT_SUBSCRIBED)


def suspend(connection: Connection, uid: str, aet: str) -> None:
    """The AE is not subscribed to workitems to come. Raises WorkitemRefused."""
    one_at_a_time(connection)
    if uid not in (reports.GLOBAL_SUBSCRIPTION, reports.FILTERED_SUBSCRIPTION):
        raise WorkitemRefused(uid, Status.NOT_APPROPRIATE)
    if not _end_of_worklist(connection, aet):
        raise WorkitemRefused(uid, Status.NOT_SUBSCRIBED)


def subscribe_watchers(connection: Connection, workitem: Workitem) -> None:
    """Subscribe to a new workitem whoever wants to hear of all, or of such as this one."""
    who = workitem_subscribers.c
    watchers = connection.execute(
        select(who.aet, who.filter, who.deletion_lock)
        .where(who.worklist.is_not(None))
        .order_by(who.aet)
    ).all()
    for aet, keys, deletion_lock in watchers:
        if keys is None or _matches(connection, workitem, keys):
            _add(connection, workitem, aet, deletion_lock=deletion_lock)


def _matches(connection: Connection, workitem: Workitem, keys: Mapping[str, str]) -> bool:
    condition, values = matching(keys)
    statement = (
        f"SELECT EXISTS (SELECT FROM workitems WHERE id = {values.bind(workitem.id)}"  # noqa: S608
        f" AND {condition})"
    )
    return bool(connection.exec_driver_sql(statement, values).scalar_one())


def _know(connection: Connection, aet: str) -> None:
    """A row for the subscriber; what was reported before it was known is not for it."""
    known: Any = connection.execute(
        select(func.count(), func.bool_or(workitem_subscribers.c.aet == aet))
    ).one()
    if known[1]:
        return
    if known[0] >= MOST_SUBSCRIBERS:
        raise WorkitemRefused(aet, Status.TOO_MANY_SUBSCRIBERS)
    latest = select(func.coalesce(func.max(workitem_reports.c.id), 0)).scalar_subquery()
    connection.execute(insert(workitem_subscribers).values(aet=aet, told_up_to=latest))


def _add(connection: Connection, workitem: Workitem, aet: str, *, deletion_lock: bool) -> None:
    connection.execute(
        insert(workitem_subscriptions)
        .values(workitem_ref=workitem.id, aet=aet, deletion_lock=deletion_lock)
        .on_conflict_do_update(
            index_elements=["workitem_ref", "aet"], set_={"deletion_lock": deletion_lock}
        )
    )


def _end_of_worklist(connection: Connection, aet: str) -> bool:
    who = workitem_subscribers.c
    ended = connection.execute(
        update(workitem_subscribers)
        .where(who.aet == aet, who.worklist.is_not(None))
        .values(worklist=None, filter=None, deletion_lock=False)
    )
    return bool(ended.rowcount)
