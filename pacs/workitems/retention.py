"""What is forgotten: workitems long done, reports that were heard or that nobody came for."""

from datetime import timedelta

from sqlalchemy import Connection, text

from pacs.workitems.reports import MOST_WAITING, WAIT_AT_MOST
from pacs.workitems.worklist import one_at_a_time

KEPT_FOR = timedelta(days=30)
"""How long a workitem is kept after its final state, and longer where there is a deletion lock."""
KNOWN_FOR = timedelta(days=365)
"""How long it is known that a deleted workitem did exist."""
_HEARD_FOR = timedelta(minutes=10)

_DELETE = """
UPDATE workitems SET deleted_at = now(), attributes = '{}', transaction_uid = NULL,
  patient_name_folded = '', label_folded = '', worklist_label_folded = ''
WHERE deleted_at IS NULL AND ended_at < now() - :kept_for
  AND NOT EXISTS (SELECT FROM workitem_subscriptions AS s
                  WHERE s.workitem_ref = workitems.id AND s.deletion_lock)
"""
_STATEMENTS = (
    _DELETE,
    "DELETE FROM workitem_subscriptions AS s USING workitems AS w"
    " WHERE w.id = s.workitem_ref AND w.deleted_at IS NOT NULL",
    "DELETE FROM workitems WHERE deleted_at < now() - :known_for",
    # Lines open at the same AE title read each for itself; so what one has heard stays a while.
    "DELETE FROM workitem_reports AS r USING workitem_subscribers AS who"
    " WHERE who.aet = r.aet AND r.id <= who.told_up_to AND r.at < now() - :heard_for",
    "DELETE FROM workitem_reports WHERE at < now() - :wait_at_most",
    "DELETE FROM workitem_reports AS r USING (SELECT who.aet, (SELECT id FROM workitem_reports"
    " WHERE aet = who.aet ORDER BY id DESC OFFSET :most_waiting LIMIT 1) AS last"
    " FROM workitem_subscribers AS who) AS over WHERE r.aet = over.aet AND r.id <= over.last",
    "DELETE FROM workitem_subscribers AS who WHERE worklist IS NULL"
    " AND NOT EXISTS (SELECT FROM workitem_subscriptions AS s WHERE s.aet = who.aet)"
    " AND NOT EXISTS (SELECT FROM workitem_reports AS r WHERE r.aet = who.aet)",
)


def sweep(connection: Connection) -> None:
    """Forget what is to be forgotten by now, in the caller's transaction."""
    one_at_a_time(connection)
    values = {
        "kept_for": KEPT_FOR,
        "known_for": KNOWN_FOR,
        "heard_for": _HEARD_FOR,
        "wait_at_most": WAIT_AT_MOST,
        "most_waiting": MOST_WAITING,
    }
    for statement in _STATEMENTS:
        asked = text(statement)
        connection.execute(asked, {name: values[name] for name in asked.compile().params})
