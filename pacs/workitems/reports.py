"""Event reports (PS3.4 CC.2.4): what subscribers have to be told, kept until they have heard it."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson
import psycopg
from sqlalchemy import Connection, select, text, update

from pacs.workitems.attributes import tag_of
from pacs.workitems.dataset import Model, element, values_of
from pacs.workitems.tables import workitem_reports, workitem_subscribers
from pacs.workitems.worklist import READINESS, STATE, UPS_PUSH, Workitem

CHANNEL = "filmless_workitems"
GLOBAL_SUBSCRIPTION = "1.2.840.10008.5.1.4.34.5"
FILTERED_SUBSCRIPTION = "1.2.840.10008.5.1.4.34.5.1"

STATIONS = tag_of("ScheduledStationNameCodeSequence")
PERFORMERS = tag_of("ScheduledHumanPerformersSequence")
PROGRESS = tag_of("ProcedureStepProgressInformationSequence")
_PERFORMER_CODES = tag_of("HumanPerformerCodeSequence")
_ORGANIZATION = tag_of("HumanPerformerOrganization")
_REASON = tag_of("ReasonForCancellation")
_REASON_CODES = tag_of("ProcedureStepDiscontinuationReasonCodeSequence")
OF_STATE = (STATE, READINESS, PROGRESS)
"""Of what a state report is made."""
_EVENT_TYPE = "00001002"
_MESSAGE_ID = "00000110"

MOST_WAITING = 50_000
WAIT_AT_MOST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Report:
    """A report with its number among those of all subscribers."""

    id: int
    text: str


def state_report(workitem: Workitem) -> Model:
    """UPS State Report: its state, whether its input is ready, and why it was canceled."""
    attributes = {tag: workitem.attributes[tag] for tag in (STATE, READINESS)}
    for progress in values_of(workitem.attributes, PROGRESS):
        attributes |= {tag: progress[tag] for tag in (_REASON, _REASON_CODES) if tag in progress}
    return _report(workitem.sop_instance_uid, 1, attributes)


def cancel_requested(workitem: Workitem, requester: str, request: Mapping[str, Any]) -> Model:
    """UPS Cancel Requested: who asks, and what was said with it."""
    requesting = {tag_of("RequestingAE"): element("AE", requester)}
    return _report(workitem.sop_instance_uid, 2, requesting | dict(request))


def progress_report(workitem: Workitem) -> Model:
    """UPS Progress Report."""
    progress = workitem.attributes.get(PROGRESS, element("SQ"))
    return _report(workitem.sop_instance_uid, 3, {PROGRESS: progress})


def status_change(status: Literal["RESTARTED", "GOING DOWN"]) -> Model:
    """SCP Status Change: subscriptions and workitems are kept over every restart."""
    warm = element("CS", "WARM START")
    return _report(
        GLOBAL_SUBSCRIPTION,
        4,
        {
            tag_of("SCPStatus"): element("CS", status),
            tag_of("SubscriptionListStatus"): warm,
            tag_of("UnifiedProcedureStepListStatus"): warm,
        },
    )


def assigned(workitem: Workitem) -> Model:
    """UPS Assigned: the stations and people that it is scheduled for."""
    attributes = {
        tag: workitem.attributes[tag]
        for tag in (STATIONS, PERFORMERS)
        if values_of(workitem.attributes, tag)
    }
    performers = values_of(workitem.attributes, PERFORMERS)
    codes = [code for one in performers for code in values_of(one, _PERFORMER_CODES)]
    organizations = [name for one in performers for name in values_of(one, _ORGANIZATION)]
    if codes:
        attributes[_PERFORMER_CODES] = element("SQ", *codes)
    if organizations:
        attributes[_ORGANIZATION] = element("LO", *organizations)
    return _report(workitem.sop_instance_uid, 5, attributes)


def tell_subscribers(connection: Connection, workitem: Workitem, reports: Sequence[Model]) -> int:
    """Keep the reports for everybody subscribed to the workitem; how many subscribers there are."""
    found = connection.exec_driver_sql(
        "SELECT aet FROM workitem_subscriptions WHERE workitem_ref = %(id)s ORDER BY aet",
        {"id": workitem.id},
    )
    aets = list(found.scalars())
    for aet in aets:
        tell(connection, aet, reports)
    return len(aets)


def tell(connection: Connection, aet: str, reports: Sequence[Model]) -> None:
    """Keep the reports for one subscriber, in this order.

    Lines hear of them once the caller's transaction, which holds `one_at_a_time`, has committed.
    """
    if not reports:
        return
    connection.exec_driver_sql(
        "INSERT INTO workitem_reports (aet, report)"
        " SELECT %(aet)s, report::jsonb"
        " FROM unnest(%(reports)s::text[]) WITH ORDINALITY AS one (report, place) ORDER BY place",
        {"aet": aet, "reports": [orjson.dumps(report).decode() for report in reports]},
    )
    connection.exec_driver_sql(
        "SELECT pg_notify(%(channel)s, %(aet)s)", {"channel": CHANNEL, "aet": aet}
    )


def tell_of_restart(connection: Connection) -> None:
    """Keep an SCP Status Change for every subscriber that does not already have one waiting."""
    aets = connection.execute(
        text(
            "SELECT aet FROM workitem_subscribers AS who WHERE (worklist IS NOT NULL"
            " OR EXISTS (SELECT FROM workitem_subscriptions AS s WHERE s.aet = who.aet))"
            " AND NOT EXISTS (SELECT FROM workitem_reports AS r WHERE r.aet = who.aet"
            " AND r.id > who.told_up_to AND r.report @> CAST(:status AS jsonb))"
        ),
        {"status": json.dumps({_EVENT_TYPE: {"Value": [4]}})},
    )
    for aet in list(aets.scalars()):
        tell(connection, aet, [status_change("RESTARTED")])


def told_up_to(connection: Connection, aet: str) -> int:
    """The number of the last report that the subscriber has heard for certain."""
    row = connection.execute(
        select(workitem_subscribers.c.told_up_to).where(workitem_subscribers.c.aet == aet)
    ).one_or_none()
    return 0 if row is None else int(row.told_up_to)


def waiting(connection: Connection, aet: str, after: int, limit: int = 100) -> list[Report]:
    """The next reports for the subscriber after that number."""
    rows = connection.execute(
        select(workitem_reports.c.id, workitem_reports.c.report)
        .where(workitem_reports.c.aet == aet, workitem_reports.c.id > after)
        .order_by(workitem_reports.c.id)
        .limit(limit)
    )
    return [Report(row.id, as_text(row.report, row.id)) for row in rows]


def as_text(report: Model, number: int) -> str:
    """The report as it is sent: one line of DICOM JSON with a Message ID."""
    numbered = report | {_MESSAGE_ID: element("US", number % 65_536)}
    return orjson.dumps(dict(sorted(numbered.items()))).decode()


def confirm(connection: Connection, aet: str, up_to: int) -> None:
    """The subscriber has heard the reports up to that number."""
    who = workitem_subscribers.c
    connection.execute(
        update(workitem_subscribers)
        .where(who.aet == aet, who.told_up_to < up_to)
        .values(told_up_to=up_to)
    )


async def listen(database_url: str) -> AsyncIterator[str | None]:
    """AE titles for which there are new reports, from all processes; None once it listens.

    Raises psycopg.OperationalError when cut off.
    """
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        yield None
        async for notification in connection.notifies():
            yield notification.payload


def _report(sop_instance_uid: str, event_type: int, attributes: Mapping[str, Any]) -> Model:
    return {
        "00000002": element("UI", UPS_PUSH),
        "00001000": element("UI", sop_instance_uid),
        _EVENT_TYPE: element("US", event_type),
        **attributes,
    }
