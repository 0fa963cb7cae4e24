"""Rejecting what should not be read, with who, when and why; and taking that back (IHE IOCM).

No stored byte changes and none is removed. A rejected instance is no longer the one shown under its
UID; lists, retrieval and the AI, which all look at what is shown, then do not see it. It still
stands for its UID: the same bytes, sent again, stay hidden, and other bytes become a new version,
which nobody has rejected. What an AI made of a rejected image is hidden with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from pacs import events
from pacs.errors import PacsError
from pacs.index import tables
from pacs.index.counts import count_instances
from pacs.index.locks import wait_and_close
from pacs.index.query import Scope, scoped
from pacs.index.tables import studies
from pacs.retrieve import NotFound

SCHEME = "DCM"
TITLES: Mapping[str, str] = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""Meanings of the codes of the scheme DCM that say why (PS3.16 CID 7011, IHE RAD TF-2 4.66)."""
QUALITY = "113001"
RETENTION = "113039"
LONGEST_REASON = 1000
EVERYTHING = Scope()

_RECORD = """
INSERT INTO rejections (study_instance_uid, series_instance_uid, sop_instance_uid, code, reason,
  rejected_by, note_object_key)
VALUES (%(study)s, %(series)s, %(instance)s, %(code)s, %(reason)s, %(by)s, %(note)s)
ON CONFLICT DO NOTHING RETURNING id
"""

_HIDE = """
WITH named AS (
  SELECT i.id, i.sop_instance_uid, e.study_ref
  FROM instances i JOIN series e ON e.id = i.series_ref
  WHERE e.study_ref = %(study_ref)s AND i.current
    AND (%(series)s::text IS NULL OR e.series_instance_uid = %(series)s)
    AND (%(instances)s::text[] IS NULL OR i.sop_instance_uid = ANY(%(instances)s::text[]))),
made_of_them AS (
  SELECT i.id FROM named n
    JOIN assessments a ON (a.study_ref, a.sop_instance_uid) = (n.study_ref, n.sop_instance_uid)
    JOIN instances i ON i.sop_instance_uid IN (a.sr_instance_uid, a.heatmap_instance_uid)
  WHERE i.current),
hidden AS (
  UPDATE instances SET current = false, rejection_ref = %(rejection)s
  WHERE current AND id IN (SELECT id FROM named UNION SELECT id FROM made_of_them)
  RETURNING sop_instance_uid, object_key)
INSERT INTO rejected_instances (rejection_ref, sop_instance_uid, object_key)
SELECT %(rejection)s, sop_instance_uid, object_key FROM hidden
"""

_SHOW = """
WITH shown AS (
  UPDATE instances i SET current = true, rejection_ref = NULL
  FROM series e
  WHERE e.id = i.series_ref AND e.study_ref = %(study_ref)s
    AND i.rejection_ref = ANY(%(rejections)s::bigint[])
    AND (%(series)s::text IS NULL OR e.series_instance_uid = %(series)s)
    AND (%(instance)s::text IS NULL OR i.sop_instance_uid = %(instance)s)
  RETURNING i.object_key)
UPDATE rejected_instances r SET restored_at = now() FROM shown
WHERE r.object_key = shown.object_key AND r.rejection_ref = ANY(%(rejections)s::bigint[])
"""

# What other bytes have superseded since is not shown again, and no longer waits for it either.
_END = """
UPDATE rejections r SET restored_at = now(), restored_by = %(by)s
WHERE r.id = ANY(%(rejections)s::bigint[]) AND r.restored_at IS NULL
  AND NOT EXISTS (SELECT FROM instances i WHERE i.rejection_ref = r.id)
"""
_END_INSTANCES = """
UPDATE rejected_instances i SET restored_at = r.restored_at FROM rejections r
WHERE r.id = ANY(%(rejections)s::bigint[]) AND i.rejection_ref = r.id
  AND r.restored_at IS NOT NULL AND i.restored_at IS NULL
"""

_ASSESSMENTS = """
UPDATE assessments a SET hidden = NOT hidden
WHERE a.study_ref = %(study_ref)s AND a.hidden <> EXISTS (
  SELECT FROM instances i
  WHERE i.sop_instance_uid = a.sop_instance_uid AND i.rejection_ref IS NOT NULL)
"""

# What an AI made of an image that was rejected meanwhile.
_HIDE_LATE = """
WITH hidden AS (
  UPDATE instances late SET current = false, rejection_ref = image.rejection_ref
  FROM assessments a JOIN instances image ON image.sop_instance_uid = a.sop_instance_uid
  WHERE a.study_ref = %(study_ref)s AND image.rejection_ref IS NOT NULL
    AND late.sop_instance_uid IN (a.sr_instance_uid, a.heatmap_instance_uid) AND late.current
  RETURNING late.rejection_ref, late.sop_instance_uid, late.object_key)
INSERT INTO rejected_instances (rejection_ref, sop_instance_uid, object_key)
SELECT rejection_ref, sop_instance_uid, object_key FROM hidden
ON CONFLICT DO NOTHING
"""

# Of what is hidden in the target, the rejections, as long as nobody restores them.
_OF_TARGET = """
SELECT DISTINCT i.rejection_ref FROM instances i JOIN series e ON e.id = i.series_ref
WHERE e.study_ref = %(study_ref)s AND i.rejection_ref IS NOT NULL
  AND (%(series)s::text IS NULL OR e.series_instance_uid = %(series)s)
  AND (%(instance)s::text IS NULL OR i.sop_instance_uid = %(instance)s)
"""

_STANDING = """
SELECT i.object_key, i.sop_instance_uid, i.rejection_ref, r.study_instance_uid
FROM rejected_instances i JOIN rejections r ON r.id = i.rejection_ref
WHERE i.restored_at IS NULL
"""

_HIDE_AGAIN = """
UPDATE instances SET current = false, rejection_ref = %(rejection)s
WHERE sop_instance_uid = %(instance)s AND object_key = %(key)s AND current
"""


class UnknownTitle(PacsError):
    """A code that does not say why something is rejected."""

    def __init__(self, code: str) -> None:
        known = ", ".join(f"{code}^{SCHEME} ({meaning})" for code, meaning in TITLES.items())
        super().__init__(f"{code[:64]!r} is no ground for rejecting; these are: {known}")


class RejectionNotFound(PacsError):
    """No rejection has that number, or it hides nothing any more."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A decision that something is not to be read, and what has become of it.

    `instances`: how many it hid; `hidden_instances`: how many it hides now, fewer where some were
    restored or other bytes came under their UIDs.
    """

    id: int
    study_instance_uid: str
    series_instance_uid: str | None
    sop_instance_uid: str | None
    code: str
    reason: str
    rejected_by: str
    rejected_at: datetime
    restored_by: str | None
    restored_at: datetime | None
    note_object_key: str | None
    instances: int
    hidden_instances: int

    @property
    def meaning(self) -> str:
        """The code in words."""
        return TITLES[self.code]


@dataclass(frozen=True, slots=True)
class RejectedObject:
    """A stored object that people hid: by which rejection, of which study."""

    object_key: str
    sop_instance_uid: str
    rejection: int
    study_instance_uid: str


def title(text: str) -> str:
    """The code value of `113001^DCM` or of `113001`. Raises UnknownTitle."""
    code, _, scheme = text.partition("^")
    if code not in TITLES or scheme not in ("", SCHEME):
        raise UnknownTitle(text)
    return code


def reject(
    connection: Connection,
    code: str,
    *,
    study: str,
    series: str | None = None,
    instances: Sequence[str] | None = None,
    reason: str = "",
    by: str,
    note: str | None = None,
    scope: Scope = EVERYTHING,
) -> Rejection | None:
    """Hides a study, one of its series, or some of its instances, in the caller's transaction.

    `code`: one of TITLES. `note`: the key of the stored document that asks for it; of each study
    it acts once, and None says that it has done so. Raises NotFound where nothing is shown that
    could be hidden, and UnknownTitle.
    """
    if code not in TITLES:
        raise UnknownTitle(code)
    study_ref = _close(connection, study, scope)
    values: dict[str, Any] = {
        "study": study,
        "series": series,
        "instance": instances[0] if instances and len(instances) == 1 else None,
        "code": code,
        "reason": reason[:LONGEST_REASON],
        "by": by,
        "note": note,
    }
    rejection = connection.exec_driver_sql(_RECORD, values).scalar_one_or_none()
    if rejection is None:
        return None
    hiding = {
        "study_ref": study_ref,
        "series": series,
        "instances": None if instances is None else list(instances),
        "rejection": rejection,
    }
    if not connection.exec_driver_sql(_HIDE, hiding).rowcount:
        raise NotFound(instances[0] if instances else series or study)
    _count(connection, study_ref, study)
    return find_rejection(connection, rejection)


def restore(
    connection: Connection, rejection: int, *, by: str, scope: Scope = EVERYTHING
) -> Rejection:
    """Shows again what a rejection hides, in the caller's transaction. Raises RejectionNotFound."""
    standing = find_rejection(connection, rejection, scope)
    if standing.restored_at is not None:
        raise RejectionNotFound(f"rejection {rejection} has been taken back already")
    study_ref = _close(connection, standing.study_instance_uid)
    _show(connection, [rejection], by, {"study_ref": study_ref, "series": None, "instance": None})
    _count(connection, study_ref, standing.study_instance_uid)
    return find_rejection(connection, rejection)


def restore_target(
    connection: Connection,
    *,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    by: str,
    codes: Sequence[str] = tuple(TITLES),
    scope: Scope = EVERYTHING,
) -> list[Rejection]:
    """Shows again what is hidden of a study, series or instance by rejections of these codes.

    The rejections that hid it; one that hides something else besides stays in force there. Raises
    NotFound where nothing of it is hidden so.
    """
    study_ref = _close(connection, study, scope)
    target = {"study_ref": study_ref, "series": series, "instance": instance}
    found = connection.exec_driver_sql(_OF_TARGET, target).scalars().all()
    fitting = [one for one in found if find_rejection(connection, one).code in codes]
    if not fitting:
        raise NotFound(instance or series or study, "rejected object")
    _show(connection, fitting, by, target)
    _count(connection, study_ref, study)
    return [find_rejection(connection, rejection) for rejection in fitting]


def find_rejection(connection: Connection, rejection: int, scope: Scope = EVERYTHING) -> Rejection:
    """The rejection of that number. Raises RejectionNotFound."""
    row = connection.execute(_list(scope).where(tables.rejections.c.id == rejection)).one_or_none()
    if row is None:
        raise RejectionNotFound(f"there is no rejection number {rejection}")
    return Rejection(**row._mapping)


def rejections(
    connection: Connection,
    *,
    study: str | None = None,
    restored: bool = False,
    before: int | None = None,
    limit: int = 100,
    scope: Scope = EVERYTHING,
) -> list[Rejection]:
    """Latest first; `restored`: those too that were taken back. `before` the id of the last one
    goes on."""
    columns = tables.rejections.c
    statement = _list(scope).order_by(columns.id.desc()).limit(limit)
    if study is not None:
        statement = statement.where(columns.study_instance_uid == study)
    if not restored:
        statement = statement.where(columns.restored_at.is_(None))
    if before is not None:
        statement = statement.where(columns.id < before)
    return [Rejection(**row._mapping) for row in connection.execute(statement)]


def rejected_objects(connection: Connection) -> dict[str, RejectedObject]:
    """All objects that rejections in force hide, by their keys."""
    found = connection.exec_driver_sql(_STANDING)
    return {row.object_key: RejectedObject(*row) for row in found}


def hide_again(connection: Connection, rejected: RejectedObject) -> None:
    """Hides an object that is new to the index, and was rejected when it was in it before."""
    study_ref = _close(connection, rejected.study_instance_uid)
    connection.exec_driver_sql(
        _HIDE_AGAIN,
        {
            "rejection": rejected.rejection,
            "instance": rejected.sop_instance_uid,
            "key": rejected.object_key,
        },
    )
    _count(connection, study_ref, rejected.study_instance_uid)


def hide_late_results(connection: Connection, study: str) -> None:
    """Hides what an AI has said of images that were rejected while it looked at them.

    Comes before the caller writes to the study's row, for which whoever rejects might be waiting.
    """
    study_ref = _close(connection, study)
    late = connection.exec_driver_sql(_HIDE_LATE, {"study_ref": study_ref}).rowcount
    said = connection.exec_driver_sql(_ASSESSMENTS, {"study_ref": study_ref}).rowcount
    if late or said:
        _count(connection, study_ref, study)


def _close(connection: Connection, study: str, scope: Scope = EVERYTHING) -> int:
    """The study's row; nobody writes to it until the transaction ends. Raises NotFound."""
    wait_and_close(connection, study)
    ours = select(studies.c.id).where(studies.c.study_instance_uid == study, scoped(scope))
    study_ref = connection.execute(ours).scalar_one_or_none()
    if study_ref is None:
        raise NotFound(study, "study")
    return int(study_ref)


def _show(
    connection: Connection, rejected: Sequence[int], by: str, target: Mapping[str, Any]
) -> None:
    values = {**target, "rejections": list(rejected), "by": by}
    for statement in (_SHOW, _END, _END_INSTANCES):
        connection.exec_driver_sql(statement, values)


def _count(connection: Connection, study_ref: int, study: str) -> None:
    connection.exec_driver_sql(_ASSESSMENTS, {"study_ref": study_ref})
    count_instances(connection, [study_ref])
    events.notify(connection, study, "changed")


def _list(scope: Scope) -> Select[Any]:
    kept, shown = tables.rejected_instances.c, tables.instances.c
    number = tables.rejections.c.id
    hidden = select(func.count()).where(kept.rejection_ref == number).scalar_subquery()
    hides = select(func.count()).where(shown.rejection_ref == number).scalar_subquery()
    statement = select(
        tables.rejections, hidden.label("instances"), hides.label("hidden_instances")
    )
    if scope == EVERYTHING:
        return statement
    uid = studies.c.study_instance_uid
    return statement.where(
        exists().where(uid == tables.rejections.c.study_instance_uid, scoped(scope))
    )
