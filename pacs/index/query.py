"""One question, many languages: DICOM attribute matching (PS3.4 C.2.2.2) compiled to SQL.

C-FIND and QIDO-RS ask through here, and so will whatever else matches attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Select,
    Time,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.sql.elements import ColumnElement

from pacs.dicom.header import is_uid
from pacs.dicom.text import fold, normal
from pacs.index.attributes import (
    ATTRIBUTES,
    KEYS,
    LEVELS,
    Key,
    Level,
    Matching,
    QueryError,
    keyword_to_tag,
    value_representation,
)
from pacs.index.ranges import date_range, time_range
from pacs.index.tables import instances, patients, series, studies

__all__ = ["Level", "Query", "QueryError", "Scope", "count", "keyword_to_tag", "search"]

MAX_LIMIT = 5000
MAX_UIDS = 1000
PATIENT_NAME = "00100010"

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which studies may be seen: all, or one alone."""

    study_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Keys by tag (eight hex digits) with values as C-FIND and QIDO-RS write them.

    Keys that the index does not hold select nothing out (PS3.4 C.2.2.1.3: optional keys).
    `include`: attributes beyond those of the level, of the levels above. `fuzzy`: a name is found
    by the beginnings of its words, in any order.
    """

    level: Level
    matches: Mapping[str, str]
    include: frozenset[str] | Literal["all"] = frozenset()
    limit: int = 100
    offset: int = 0
    fuzzy: bool = False


def search(
    connection: Connection,
    query: Query,
    scope: Scope = Scope(),
) -> list[dict[str, Any]]:
    """The matching data sets as DICOM JSON, newest study first. Raises QueryError."""
    if not 0 <= query.offset <= 10_000_000 or query.limit < 0:
        raise QueryError("limit/offset", "must not be negative, nor the offset over ten million")
    statement = _selected(query, scope).limit(min(query.limit, MAX_LIMIT)).offset(query.offset)
    return [_answer(query, row._mapping) for row in connection.execute(statement)]


def count(
    connection: Connection,
    query: Query,
    scope: Scope = Scope(),
) -> int:
    """How many data sets match in all. Raises QueryError."""
    matched = _selected(query, scope).order_by(None).subquery()
    return int(connection.execute(select(func.count()).select_from(matched)).scalar_one())


def scoped(scope: Scope) -> Condition:
    """The condition on `studies` that keeps to the scope."""
    if scope.study_instance_uid is None:
        return literal(value=True)
    return studies.c.study_instance_uid == scope.study_instance_uid


def _selected(query: Query, scope: Scope) -> Select[Any]:
    conditions = [scoped(scope)]
    for tag, value in query.matches.items():
        key = KEYS.get(tag)
        if key is not None and value.strip() not in ("", "*"):
            condition = _compile(tag, key, value, fuzzy=query.fuzzy)
            conditions.append(_at_level(query.level, key.level, condition))
    return _FROM[query.level]().where(and_(*conditions))


_OF_STUDY = (
    studies.c.attributes.label("study"),
    studies.c.modalities,
    studies.c.number_of_series,
    studies.c.number_of_instances,
)
_OF_SERIES = (
    series.c.attributes.label("series"),
    series.c.number_of_instances.label("series_instances"),
)
_SERIES_ORDER = (series.c.study_ref.desc(), series.c.series_number.nulls_last(), series.c.id)


def _from_patients() -> Select[Any]:
    return (
        select(studies.c.attributes.label("study"))
        .select_from(patients.join(studies))
        .ext(distinct_on(patients.c.id))
        .order_by(patients.c.id, studies.c.id.desc())
    )


def _from_studies() -> Select[Any]:
    return (
        select(*_OF_STUDY)
        .select_from(studies.join(patients))
        .order_by(studies.c.study_date.desc().nulls_last(), studies.c.id.desc())
    )


def _from_series() -> Select[Any]:
    return (
        select(*_OF_STUDY, *_OF_SERIES)
        .select_from(series.join(studies).join(patients))
        .order_by(*_SERIES_ORDER)
    )


def _from_instances() -> Select[Any]:
    return (
        select(*_OF_STUDY, *_OF_SERIES, instances.c.attributes.label("image"))
        .select_from(instances.join(series).join(studies).join(patients))
        .where(instances.c.current)
        .order_by(*_SERIES_ORDER, instances.c.instance_number.nulls_last(), instances.c.id)
    )


_FROM = {
    "PATIENT": _from_patients,
    "STUDY": _from_studies,
    "SERIES": _from_series,
    "IMAGE": _from_instances,
}


def _at_level(asked: Level, of_key: Level, condition: Condition) -> Condition:
    """The condition on rows of the asked level; below it, that some series or image fulfils it."""
    if LEVELS.index(of_key) <= max(LEVELS.index(asked), LEVELS.index("STUDY")):
        return condition
    if of_key == "SERIES":
        return exists().where(series.c.study_ref == studies.c.id, condition)
    if asked == "SERIES":
        return exists().where(instances.c.series_ref == series.c.id, instances.c.current, condition)
    return exists(
        select(literal(1))
        .select_from(instances.join(series))
        .where(series.c.study_ref == studies.c.id, instances.c.current, condition)
    )


def _compile(tag: str, key: Key, value: str, *, fuzzy: bool) -> Condition:
    column, matching = key.column, key.matching
    if matching is Matching.UID:
        return column.in_(_uids(tag, value))
    if matching is Matching.NUMBER:
        return column == _number(tag, value)
    if matching is Matching.DATE:
        return _between(column, Date, *date_range(tag, value))
    if matching is Matching.TIME:
        return _between(column, Time, *time_range(tag, value))
    if matching is Matching.MODALITIES:
        return _any_modality(column, value)
    if tag == PATIENT_NAME and fuzzy:
        return _words(value)
    if matching is Matching.FOLDED:
        return _text(column, fold(value))
    return or_(*(_text(column, normal(part)) for part in value.split("\\")))


def _text(column: Column[Any], value: str) -> Condition:
    if "*" not in value and "?" not in value:
        return column == value
    escaped = value.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="!")


def _words(value: str) -> Condition:
    words = ["".join(letter for letter in word if letter.isalnum()) for word in fold(value).split()]
    query = " & ".join(f"{word}:*" for word in words if word)
    if not query:
        return literal(value=True)
    return studies.c.patient_name_words.op("@@")(func.to_tsquery("simple", query))


def _uids(tag: str, value: str) -> list[str]:
    uids = [part.strip() for part in value.replace(",", "\\").split("\\") if part.strip()]
    if len(uids) > MAX_UIDS:
        raise QueryError(tag, f"more than {MAX_UIDS} UIDs")
    for uid in uids:
        if not is_uid(uid):
            raise QueryError(tag, f"{uid[:80]!r} is not a UID")
    return uids


def _number(tag: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError as error:
        raise QueryError(tag, f"{value[:80]!r} is not a whole number") from error
    if not -(2**31) <= number < 2**31:
        raise QueryError(tag, f"{number} is out of range")
    return number


def _between(
    column: Column[Any], kind: type[Date] | type[Time], low: str | None, high: str | None
) -> Condition:
    bounds = []
    if low is not None:
        bounds.append(column >= cast(low, kind))
    if high is not None:
        bounds.append(column <= cast(high, kind))
    return and_(*bounds)


def _any_modality(column: Column[Any], value: str) -> Condition:
    parts = [normal(part) for part in value.replace(",", "\\").split("\\")]
    plain = [part for part in parts if "*" not in part and "?" not in part]
    conditions: list[Condition] = [column.overlap(plain)] if plain else []
    any_series = series.alias()
    conditions.extend(
        exists().where(any_series.c.study_ref == studies.c.id, _text(any_series.c.modality, part))
        for part in parts
        if part not in plain
    )
    return or_(*conditions)


def _answer(query: Query, row: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    wanted = _wanted(query)
    for part in ("study", "series", "image"):
        if part in row:
            found |= {tag: value for tag, value in row[part].items() if tag in wanted}
    for tag, column in _COMPUTED.items():
        if tag in wanted and column in row:
            values = row[column] if isinstance(row[column], list) else [row[column]]
            found[tag] = {"vr": value_representation(tag), "Value": values}
    return dict(sorted(found.items()))


_COMPUTED = {
    "00080061": "modalities",
    "00201206": "number_of_series",
    "00201208": "number_of_instances",
    "00201209": "series_instances",
}
_IDENTIFYING = frozenset(("0020000D", "0020000E", "00080018"))


def _wanted(query: Query) -> frozenset[str]:
    if query.include == "all":
        return frozenset().union(*ATTRIBUTES.values())
    return ATTRIBUTES[query.level] | _IDENTIFYING | query.include | frozenset(query.matches)
