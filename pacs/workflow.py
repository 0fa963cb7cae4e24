"""What happens to a study: arriving, complete, triaged, read, reported, delivered.

A study counts as complete when nothing came for a while, never when an association ends: modalities
release whenever they like (pynetdicom#619). Every state is derived from committed rows, so a
process that dies in between leaves nothing to be put right.
"""

from sqlalchemy import Connection

from pacs import events, jobs

_SETTLE = """
UPDATE studies SET unsettled = false, completed_at = now(),
  state = CASE WHEN state = 'arriving' THEN 'complete' ELSE state END
WHERE id IN (
  SELECT id FROM studies
  WHERE unsettled AND touched_at <= now() - make_interval(secs => %(quiet)s)
  ORDER BY touched_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING study_instance_uid
"""


def settle_quiet_studies(connection: Connection, quiet_seconds: float) -> list[str]:
    """Declares complete what has been quiet for that long, and asks for its triage.

    Returns the Study Instance UIDs. Several processes may do this at once.
    """
    settled = list(connection.exec_driver_sql(_SETTLE, {"quiet": quiet_seconds}).scalars())
    for study_instance_uid in settled:
        events.notify(connection, study_instance_uid, "complete")
        jobs.defer(
            connection,
            "triage_study",
            {"study_instance_uid": study_instance_uid},
            queue="ai",
            lock=f"triage {study_instance_uid}",
        )
    return settled
