"""Searching the worklist (PS3.4 CC.2.8) with the matching rules of all other searches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from pacs.database.engine import PLANNED_ANEW
from pacs.index.attributes import JSON_MATCHED, Matching, QueryError, value_representation
from pacs.index.matching import (
    Values,
    column_condition,
    is_open,
    json_condition,
    key_tree,
    words_condition,
)
from pacs.workitems.attributes import RETURNED, tag_of
from pacs.workitems.dataset import Model

MAX_LIMIT = 5000
_TRANSACTION = tag_of("TransactionUID")
_PATIENT_NAME = tag_of("PatientName")


@dataclass(frozen=True, slots=True)
class _Column:
    sql: str
    matching: Matching


_COLUMNS: Mapping[str, _Column] = {
    tag_of(keyword): _Column(f"workitems.{column}", kind)
    for keyword, column, kind in (
        ("SOPInstanceUID", "sop_instance_uid", Matching.UID),
        ("ProcedureStepState", "state", Matching.EXACT),
        ("PatientName", "patient_name_folded", Matching.NAME),
        ("ProcedureStepLabel", "label_folded", Matching.FOLDED),
        ("WorklistLabel", "worklist_label_folded", Matching.FOLDED),
        ("ScheduledProcedureStepStartDateTime", "starts_at", Matching.DATETIME),
        ("ExpectedCompletionDateTime", "expected_at", Matching.DATETIME),
        ("ScheduledProcedureStepExpirationDateTime", "expires_at", Matching.DATETIME),
        ("ScheduledProcedureStepModificationDateTime", "modified_at", Matching.DATETIME),
    )
}


@dataclass(frozen=True, slots=True)
class WorkitemQuery:
    """Keys and their values as `pacs.index.question.Query` has them; `include`: tags."""

    matches: Mapping[str, str]
    include: frozenset[str] | Literal["all"] = frozenset()
    limit: int = 100
    offset: int = 0
    fuzzy: bool = False


def is_key(path: str) -> bool:
    """Whether a value under this tag, or path into a sequence, selects."""
    *sequences, tag = path.split(".")
    if tag == _TRANSACTION or any(value_representation(one) != "SQ" for one in sequences):
        return False
    return (not sequences and tag in _COLUMNS) or value_representation(tag) in JSON_MATCHED


def matching(keys: Mapping[str, str], *, fuzzy: bool = False) -> tuple[str, Values]:
    """The condition on rows of `workitems`, and its values. Raises QueryError.

    Keys that are none (see `is_key`) select nothing out.
    """
    values = Values()
    conditions = ["workitems.deleted_at IS NULL"]
    held = {path: value for path, value in keys.items() if is_key(path)}
    for tag, wanted in key_tree(held).items():
        if tag not in _COLUMNS or not isinstance(wanted, str):
            condition = json_condition("workitems.attributes", {tag: wanted}, values)
        elif fuzzy and tag == _PATIENT_NAME and not is_open(wanted):
            words = "to_tsvector('simple', workitems.patient_name_folded)"
            condition = words_condition(words, wanted, values)
        else:
            condition = column_condition(tag, _COLUMNS[tag], wanted, values)
        if condition is not None:
            conditions.append(f"({condition})")
    return " AND ".join(conditions), values


def search(connection: Connection, query: WorkitemQuery) -> list[Model]:
    """The matching workitems, those that start first before the others. Raises QueryError.

    Each with what every answer holds (PS3.4 table CC.2.5-3), the keys and what is to be included.
    """
    if not 0 <= query.offset <= 10_000_000 or query.limit < 0:
        raise QueryError("limit/offset", "must not be negative, nor the offset over ten million")
    condition, values = matching(query.matches, fuzzy=query.fuzzy)
    limit, offset = values.bind(min(query.limit, MAX_LIMIT)), values.bind(query.offset)
    rows = connection.exec_driver_sql(
        f"SELECT workitems.attributes FROM workitems WHERE {condition}"  # noqa: S608
        f" ORDER BY workitems.starts_at, workitems.id LIMIT {limit} OFFSET {offset}",
        values,
        execution_options=PLANNED_ANEW,
    )
    found: list[Model] = list(rows.scalars())
    if query.include == "all":
        return found
    wanted = RETURNED | query.include | {path.partition(".")[0] for path in query.matches}
    return [{tag: one[tag] for tag in one if tag in wanted} for one in found]
