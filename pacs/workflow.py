"""What happens to a study: arriving, complete, triaged, read, reported, delivered.

A study counts as complete when nothing came for a while, never when an association ends: modalities
release whenever they like (pynetdicom#619). Every state is derived from committed rows, so a
process that dies in between leaves nothing to be put right.
"""

from sqlalchemy import Connection

from pacs import events, jobs
from pacs.index.counts import count_instances
from pacs.index.locks import close_up

_QUIET = """
SELECT id, study_instance_uid FROM studies
WHERE unsettled AND touched_at <= now() - make_interval(secs => %(quiet)s)
ORDER BY touched_at LIMIT 100
"""

# What the first statement saw may have changed before the lock was taken; this one sees it.
_SETTLE = """
UPDATE studies SET unsettled = false, completed_at = now(),
  state = CASE WHEN state = 'arriving' THEN 'complete' ELSE state END
WHERE id = ANY(%(studies)s) AND unsettled
  AND touched_at <= now() - make_interval(secs => %(quiet)s)
RETURNING id, study_instance_uid
"""


def settle_quiet_studies(connection: Connection, quiet_seconds: float) -> list[str]:
    """Declares complete what has been quiet for that long, and asks for its metadata and triage.

    Returns the Study Instance UIDs. Several processes may do this at once.
    """
    quiet = {"quiet": quiet_seconds}
    ours = [
        row.id
        for row in connection.exec_driver_sql(_QUIET, quiet).all()
        if close_up(connection, row.study_instance_uid)
    ]
    settled = connection.exec_driver_sql(_SETTLE, quiet | {"studies": ours}).all() if ours else []
    if not settled:
        return []
    count_instances(connection, [row.id for row in settled])
    uids = [row.study_instance_uid for row in settled]
    jobs.defer_descriptions(connection, uids)
    for study_instance_uid in uids:
        events.notify(connection, study_instance_uid, "complete")
        jobs.defer(
            connection,
            "triage_study",
            {"study_instance_uid": study_instance_uid},
            queue="ai",
            lock=f"triage {study_instance_uid}",
        )
    return uids
