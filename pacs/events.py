"""What happens to studies, told to whoever listens: PostgreSQL's NOTIFY, sent with the commit."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Literal

import psycopg
from sqlalchemy import Connection

CHANNEL = "filmless"
Change = Literal["arrived", "complete", "triaged", "changed"]


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """Something has happened to a study; what it is now stands in the index."""

    study_instance_uid: str
    change: Change


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


async def listen(database_url: str) -> AsyncIterator[StudyEvent]:
    """The events of all processes, as they commit; raises psycopg.OperationalError when cut off."""
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        async for notification in connection.notifies():
            yield StudyEvent(**json.loads(notification.payload))
