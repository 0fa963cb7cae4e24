"""Attribute matching (PS3.4 C.2.2.2) as SQL: a key and its value become a condition.

The text of a condition is made of names of this package alone; every value is bound.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import orjson

from pacs.dicom.header import is_uid
from pacs.dicom.text import fold, fold_name, normal
from pacs.index.attributes import (
    JSON_NUMBERS,
    JSON_TEXT,
    KEYS,
    Matching,
    QueryError,
    value_representation,
)
from pacs.index.ranges import date_range, datetime_range, time_range

MAX_UIDS = 1000
EMPTY = '""'
_COMMON_NAMES = frozenset("nguyen tran pham hoang huynh phan truong dang duong thi van".split())
_DEEPEST = 8
_TAG = re.compile(r"[0-9A-F]{8}")

Tree = Mapping[str, "str | Tree"]


class Column(Protocol):
    """Where the values of an attribute are, and how a key of it selects."""

    @property
    def sql(self) -> str:
        """The column, or another SQL expression."""

    @property
    def matching(self) -> Matching:
        """How it selects."""


class Values(dict[str, object]):
    """The values of a statement by the names they have in its text."""

    def bind(self, value: object) -> str:
        """The placeholder that stands for the value."""
        name = f"v{len(self)}"
        self[name] = value
        return f"%({name})s"


def key_tree(matches: Mapping[str, str]) -> dict[str, str | Tree]:
    """The keys with those of a sequence's items under the sequence. Raises QueryError."""
    tree: dict[str, Any] = {}
    for path, value in matches.items():
        *sequences, tag = path.split(".")
        if len(sequences) > _DEEPEST or not all(map(_TAG.fullmatch, (*sequences, tag))):
            raise QueryError(path[:80], "is no tag, nor a path of tags into a sequence")
        inner = tree
        for sequence in sequences:
            if not isinstance(inner.get(sequence), dict):
                inner[sequence] = {}
            inner = inner[sequence]
        if not isinstance(inner.get(tag), dict):
            inner[tag] = value
    return tree


def is_open(wanted: str | Tree) -> bool:
    """Whether it selects nothing out (PS3.4 C.2.2.2.3): no value, or asterisks alone."""
    if not isinstance(wanted, str):
        return all(map(is_open, wanted.values()))
    parts = _parts(wanted)
    return not parts or any(not part.strip("*") for part in parts)


def column_condition(tag: str, key: Column, value: str, values: Values) -> str | None:
    """The condition on the key's column; None when it selects nothing out. Raises QueryError."""
    if is_open(value):
        return None
    if value.strip() == EMPTY:
        return _empty(key)
    if key.matching in _BY_PART:
        compiled = [_BY_PART[key.matching](tag, key.sql, part, values) for part in _parts(value)]
        return _either(compiled)
    if key.matching in (Matching.UID, Matching.CLASSES):
        wanted = uids(tag, value)
        several = key.matching is Matching.CLASSES
        return (
            f"{key.sql} && {values.bind(wanted)}" if several else _one_of(key.sql, wanted, values)
        )
    if key.matching is Matching.MODALITIES:
        return _any_modality(key.sql, _parts(value.replace(",", "\\")), values)
    if key.matching is Matching.EXACT:
        return _texts(key.sql, [normal(part) for part in _parts(value)], values)
    folds = fold_name if key.matching is Matching.NAME else fold
    folded = [folds(part) for part in _parts(value)]
    # Nothing but separators and asterisks is a name of which no component is given.
    if any(not part.strip("*= ") for part in folded):
        return None
    if key.matching is Matching.FOLDED:
        return _texts(key.sql, folded, values)
    return _either([_name(key.sql, part, values) for part in folded])


def moment_condition(day: tuple[str, str], moment: tuple[str, str], values: Values) -> str:
    """Ranges of the same form of a date and of its time, tags and values, as one range of moments.

    What carries a date alone is taken for any time of that day. Raises QueryError.
    """
    (first, last), on = date_range(*day), KEYS[day[0]].sql
    (start, end), at = time_range(*moment), KEYS[moment[0]].sql
    conditions = [_between(on, first, last, values)]
    for bound, limit, beyond in ((first, start, ">"), (last, end, "<")):
        if bound is not None and limit is not None:
            conditions.append(
                f"({on} {beyond} {values.bind(bound)} OR {at} IS NULL"
                f" OR {at} {beyond}= {values.bind(limit)})"
            )
    return " AND ".join(conditions)


def words_condition(column: str, value: str, values: Values) -> str | None:
    """Fuzzy matching of names: the beginnings of words in any order; None when there are none.

    What half of all people are called is a whole word where another follows: to gather all words
    that begin so would take ten times as long as the rest.
    """
    words = ["".join(letter for letter in word if letter.isalnum()) for word in _words(value)]
    *complete, last = [word for word in words if word] or [""]
    beginnings = [word if word in _COMMON_NAMES else f"{word}:*" for word in complete]
    query = " & ".join([*beginnings, f"{last}:*"]) if last else ""
    return f"{column} @@ to_tsquery('simple', {values.bind(query)})" if query else None


def json_condition(attributes: str, keys: Tree, values: Values, depth: int = 0) -> str | None:
    """The condition that DICOM JSON fulfils all keys; None when they select nothing out.

    `attributes`: SQL of type jsonb. The keys under a sequence must all be fulfilled by one of its
    items (PS3.4 C.2.2.2.6). Raises QueryError.
    """
    conditions = []
    for tag, wanted in keys.items():
        plain = _plain(tag, wanted)
        if plain is not None:
            contained = orjson.dumps({tag: {"Value": [plain]}}).decode()
            conditions.append(f"{attributes} @> {values.bind(contained)}::jsonb")
            continue
        item = f"item{depth}"
        if not isinstance(wanted, str):
            condition = json_condition(f"{item}.value", wanted, values, depth + 1)
        elif wanted.strip() == EMPTY:
            conditions.append(f"{attributes} #> '{{{tag},Value,0}}' IS NULL")
            continue
        else:
            condition = _json_value(tag, wanted, f"{item}.value", values)
        if condition is not None:
            each = f"jsonb_array_elements({attributes} -> '{tag}' -> 'Value') AS {item}"
            conditions.append(f"EXISTS (SELECT FROM {each} WHERE {condition})")
    return " AND ".join(conditions) or None


def _plain(tag: str, wanted: str | Tree) -> Any:
    """What must be among the attribute's values, where that is known to the letter; else None.

    PostgreSQL finds a whole JSON value faster than it looks through items one by one.
    """
    if isinstance(wanted, str):
        parts = _parts(wanted)
        text = value_representation(tag) in JSON_TEXT - {"PN"}
        whole = text and len(parts) == 1 and not _is_wild(wanted) and wanted.strip() != EMPTY
        return normal(parts[0]) if whole else None
    inner = {of: _plain(of, value) for of, value in wanted.items() if not is_open(value)}
    if not inner or None in inner.values():
        return None
    return {of: {"Value": [value]} for of, value in inner.items()}


def uids(tag: str, value: str) -> list[str]:
    """The UIDs of a list. Raises QueryError."""
    found = _parts(value.replace(",", "\\"))
    if not found:
        raise QueryError(tag, "no UID")
    if len(found) > MAX_UIDS:
        raise QueryError(tag, f"more than {MAX_UIDS} UIDs")
    for uid in found:
        if not is_uid(uid):
            raise QueryError(tag, f"{uid[:80]!r} is not a UID")
    return found


def _json_value(tag: str, value: str, element: str, values: Values) -> str | None:
    vr = value_representation(tag)
    if vr is None or is_open(value):
        return None
    text = f"{element} #>> '{{}}'"
    if vr == "UI":
        return _one_of(f"({text})", uids(tag, value), values)
    if vr == "DA":
        ranges = (map(_da, date_range(tag, part)) for part in _parts(value))
        return _either(
            [_between(f'({text} COLLATE "C")', low, high, values) for low, high in ranges]
        )
    if vr in JSON_NUMBERS:
        numbers = [str(_decimal(tag, part)) for part in _parts(value)]
        return _either([f"{element} = {values.bind(number)}::jsonb" for number in numbers])
    if vr == "PN":
        groups = (f"{element} ->> '{group}'" for group in ("Alphabetic", "Ideographic", "Phonetic"))
        patterns = [normal(part) for part in _parts(value)]
        return _either([_texts(f"({group})", patterns, values) for group in groups])
    if vr in JSON_TEXT:
        return _texts(f"({text})", [normal(part) for part in _parts(value)], values)
    return None


def _da(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y%m%d}"


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split("\\") if part.strip()]


def _words(value: str) -> list[str]:
    return fold(value).replace("=", " ").split()


def _empty(key: Column) -> str:
    if key.matching in (Matching.MODALITIES, Matching.CLASSES):
        return f"{key.sql} = '{{}}'"
    return f"{key.sql} IS NULL" if key.matching in _BY_PART else f"{key.sql} = ''"


def _texts(column: str, patterns: list[str], values: Values) -> str:
    plain = [pattern for pattern in patterns if not _is_wild(pattern)]
    conditions = [_one_of(column, plain, values)] if plain else []
    conditions += [_like(column, pattern, values) for pattern in patterns if _is_wild(pattern)]
    return _either(conditions)


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _like(column: str, pattern: str, values: Values) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return f"{column} LIKE {values.bind(escaped.replace('*', '%').replace('?', '_'))}"


def _one_of(column: str, wanted: list[Any], values: Values) -> str:
    if len(wanted) == 1:
        return f"{column} = {values.bind(wanted[0])}"
    return f"{column} = ANY({values.bind(wanted)})"


def _either(conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions) or 'false'})"


def _between(column: str, low: object, high: object, values: Values) -> str:
    bounds = []
    if low is not None:
        bounds.append(f"{column} >= {values.bind(low)}")
    if high is not None:
        bounds.append(f"{column} <= {values.bind(high)}")
    return " AND ".join(bounds)


def _name(column: str, name: str, values: Values) -> str:
    """One folded name. A single component group matches any that is stored."""
    groups = [_open_ended(group) for group in name.split("=")]
    while not groups[-1][0].strip("*"):
        groups.pop()
    if len(groups) > 1:
        pattern = "=".join(map(_group_pattern, groups))
        return f"{column} ~ {values.bind(f'^{pattern}(=.*)?$')}"
    group, open_ended = groups[0]
    # Names of several groups are few, and an index holds them alone. Among groups is looked in an
    # expression: PostgreSQL would try the pattern on its samples of the column while it plans.
    several = f"{column} LIKE '%%=%%'"
    among = f"({column} || '') ~ {values.bind(f'(^|=){_group_pattern(groups[0])}($|=)')}"
    if not (open_ended or _is_wild(group)):
        return f"({_one_of(column, [group], values)} OR {several} AND {among})"
    alone = _texts(column, [group, f"{group} *"] if open_ended else [group], values)
    return f"({alone} AND NOT {several} OR {several} AND {among})"


def _open_ended(group: str) -> tuple[str, bool]:
    """The group without components at its end that may be anything or missing; whether it had."""
    bare = re.sub(r"( \*+)+$", "", group)
    return bare, bare != group


def _group_pattern(group: tuple[str, bool]) -> str:
    """A regular expression that stays within a component group."""
    text, open_ended = group
    escaped = re.escape(text or "*").replace(r"\*", "[^=]*").replace(r"\?", "[^=]")
    return f"{escaped}( [^=]*)?" if open_ended else escaped


def _any_modality(column: str, modalities: list[str], values: Values) -> str:
    plain = [normal(part) for part in modalities if not _is_wild(part)]
    conditions = [f"{column} && {values.bind(plain)}"] if plain else []
    conditions += [
        f"EXISTS (SELECT FROM unnest({column}) AS modality WHERE {_like('modality', part, values)})"
        for part in map(normal, modalities)
        if _is_wild(part)
    ]
    return _either(conditions)


def _number(tag: str, column: str, value: str, values: Values) -> str:
    try:
        number = int(value)
    except ValueError as error:
        raise QueryError(tag, f"{value[:80]!r} is not a whole number") from error
    if not -(2**31) <= number < 2**31:
        raise QueryError(tag, f"{number} is out of range")
    return f"{column} = {values.bind(number)}"


def _days(tag: str, column: str, value: str, values: Values) -> str:
    return _between(column, *date_range(tag, value), values)


def _moments(tag: str, column: str, value: str, values: Values) -> str:
    return _between(column, *datetime_range(tag, value), values)


def _times(tag: str, column: str, value: str, values: Values) -> str:
    return _between(column, *time_range(tag, value), values)


def _decimal(tag: str, value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise QueryError(tag, f"{value[:80]!r} is not a number") from error
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise QueryError(tag, f"{value[:80]!r} is out of range")
    return number


# Columns that are null where there is no value.
_BY_PART = {
    Matching.NUMBER: _number,
    Matching.DATE: _days,
    Matching.TIME: _times,
    Matching.DATETIME: _moments,
}
