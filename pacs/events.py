"""What happens, told to whoever listens: PostgreSQL's NOTIFY, sent with the commit."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Literal

import psycopg
from sqlalchemy import Connection

CHANNEL = "filmless"
WITHDRAWN_CHANNEL = "filmless_withdrawn"  # triggers of the database tell on it
Change = Literal["arrived", "complete", "triaged", "changed"]


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """Something has happened to a study; what it is now stands in the index."""

    study_instance_uid: str
    change: Change


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Something may no longer be seen: a right was taken away, an instance replaced or rejected."""


ARRIVED = f"""
SELECT pg_notify('{CHANNEL}', json_build_object(
  'study_instance_uid', study_instance_uid, 'change', 'arrived')::text)::text
"""
"""Of a statement with `study_instance_uid`: tells, with its transaction, that images arrived."""


def notify(connection: Connection, study_instance_uid: str, change: Change) -> None:
    """Tells listeners once the caller's transaction has committed, and never if it does not."""
    payload = json.dumps(asdict(StudyEvent(study_instance_uid, change)))
    connection.exec_driver_sql(
        "SELECT pg_notify(%(channel)s, %(payload)s)", {"channel": CHANNEL, "payload": payload}
    )


async def listen(database_url: str) -> AsyncIterator[StudyEvent | Withdrawn]:
    """The events of all processes, as they commit; raises psycopg.OperationalError when cut off.

    The first is Withdrawn: what changed before was not heard.
    """
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        await connection.execute(f"LISTEN {WITHDRAWN_CHANNEL}")
        yield Withdrawn()
        async for notification in connection.notifies():
            if notification.channel == WITHDRAWN_CHANNEL:
                yield Withdrawn()
            else:
                yield StudyEvent(**json.loads(notification.payload))
