"""A question to the index as SQL, and its rows as answers.

Statements are written out instead of being built by SQLAlchemy, which would take longer to build
them than PostgreSQL takes to run them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import Connection, CursorResult

from pacs.database.engine import cursor_of, meaning_of
from pacs.index.attributes import (
    ATTRIBUTES,
    KEYS,
    LEVELS,
    SOP_CLASSES_IN_STUDY,
    Level,
    level_of,
    value_representation,
)
from pacs.index.matching import (
    EMPTY,
    Tree,
    Values,
    column_condition,
    is_open,
    json_condition,
    key_tree,
    moment_condition,
    words_condition,
)
from pacs.index.question import Query, Scope
from pacs.index.ranges import date_range, same_form

BATCH = 300
_MODALITY = "00080060"
_MODALITIES_IN_STUDY = "00080061"
_STUDY_DATE, _FEW_DAYS = "00080020", timedelta(31)
_PATIENT_NAME = "00100010"
_MOMENTS = (("00080020", "00080030"), ("00080021", "00080031"), ("00400244", "00400245"))

_FROM = {
    "PATIENT": "studies",
    "STUDY": "studies",
    "SERIES": "series JOIN studies ON studies.id = series.study_ref",
    "IMAGE": "instances JOIN series ON series.id = instances.series_ref"
    " JOIN studies ON studies.id = series.study_ref",
}
_ORDER_OF_SERIES = "series.study_ref DESC, series.series_number NULLS LAST, series.id"
_ORDER = {
    "PATIENT": "studies.id DESC",
    "STUDY": "studies.study_date DESC NULLS LAST, studies.id DESC",
    "SERIES": _ORDER_OF_SERIES,
    "IMAGE": f"{_ORDER_OF_SERIES}, instances.instance_number NULLS LAST, instances.id",
}
_PARTS: Mapping[Level, str] = {
    "STUDY": "studies.attributes",
    "SERIES": "series.attributes",
    "IMAGE": "instances.attributes",
}
COMPUTED: Mapping[str, tuple[Level, str]] = {
    "00080056": ("STUDY", "'ONLINE'"),
    "00080061": ("STUDY", "studies.modalities"),
    "00080062": ("STUDY", SOP_CLASSES_IN_STUDY),
    "00201200": (
        "PATIENT",
        "(SELECT count(*) FROM studies t WHERE t.patient_ref = studies.patient_ref"
        " AND NOT t.hidden)",
    ),
    "00201202": (
        "PATIENT",
        "(SELECT sum(t.number_of_series) FROM studies t WHERE t.patient_ref = studies.patient_ref)",
    ),
    "00201204": (
        "PATIENT",
        "(SELECT count(*) FROM studies t JOIN series e ON e.study_ref = t.id"
        " JOIN instances i ON i.series_ref = e.id"
        " WHERE t.patient_ref = studies.patient_ref AND i.current)",
    ),
    "00201206": ("STUDY", "studies.number_of_series"),
    "00201208": ("STUDY", "studies.number_of_instances"),
    "00201209": ("SERIES", "series.number_of_instances"),
    "00083002": ("IMAGE", "instances.transfer_syntax_uid"),
    # Of the levels above the asked one mostly the UID alone is wanted, and not all the rest.
    "0020000D": ("STUDY", "studies.study_instance_uid"),
    "0020000E": ("SERIES", "series.series_instance_uid"),
    "00080018": ("IMAGE", "instances.sop_instance_uid"),
}
"""Attributes that are asked of the tables, not of what is kept of each object: level and SQL."""

# Counts that are kept once a study has settled; until then its instances are counted, of all rows
# at once: a subquery in each row would take longer to plan than all the rest.
_COUNTED: Mapping[str, tuple[str, str]] = {
    "00201208": (
        "CASE WHEN studies.unsettled THEN studies.id END",
        "SELECT e.study_ref, count(*) FROM series e JOIN instances i ON i.series_ref = e.id"
        " WHERE e.study_ref = ANY(%(of)s) AND i.current GROUP BY e.study_ref",
    ),
    "00201209": (
        "CASE WHEN studies.unsettled THEN series.id END",
        "SELECT i.series_ref, count(*) FROM instances i"
        " WHERE i.series_ref = ANY(%(of)s) AND i.current GROUP BY i.series_ref",
    ),
}
_UIDS: Mapping[Level, frozenset[str]] = {
    "PATIENT": frozenset(("00100020",)),
    "STUDY": frozenset(("0020000D",)),
    "SERIES": frozenset(("0020000D", "0020000E")),
    "IMAGE": frozenset(("0020000D", "0020000E", "00080018")),
}
RETRIEVE_URL = "00081190"
_PATH = (("/", "0020000D"), ("/series/", "0020000E"), ("/instances/", "00080018"))
PATHS: Mapping[Level, Sequence[tuple[str, str]]] = {
    "PATIENT": (),
    "STUDY": _PATH[:1],
    "SERIES": _PATH[:2],
    "IMAGE": _PATH,
}
UNICODE = {"vr": "CS", "Value": ["ISO_IR 192"]}
_ALWAYS = frozenset(("00080005",))


class Statement:
    """A query as SQL, and how its rows become answers."""

    def __init__(self, query: Query, scope: Scope, studies_url: str | None = None) -> None:
        """`studies_url`: under which each answer is said to be had (0008,1190)."""
        self.values = Values()
        keys = key_tree(query.matches)
        self._level = query.level
        self._where = _where(query, keys, scope, self.values)
        wanted = _wanted(query, keys)
        self._studies_url = studies_url if PATHS[query.level] else None
        self._wanted = sorted(wanted if self._studies_url is None else wanted | {RETRIEVE_URL})
        self._parts = [
            sql for level, sql in _PARTS.items() if (ATTRIBUTES[level] - COMPUTED.keys()) & wanted
        ]
        self._computed = [
            (tag, value_representation(tag), sql)
            for tag, (level, sql) in COMPUTED.items()
            if tag in wanted and _sees(query.level, level)
        ]
        self._counted = [tag for tag, _, _ in self._computed if tag in _COUNTED]
        self._items = (
            {tag: inner for tag, inner in keys.items() if not isinstance(inner, str)}
            if query.answer == "keys"
            else {}
        )

    def part(self, connection: Connection, limit: int, offset: int) -> Sequence[Sequence[Any]]:
        """So many rows of those that `rows` selects, at once."""
        values = Values(self.values)
        text = f"{self.rows()} LIMIT {values.bind(limit)} OFFSET {values.bind(offset)}"
        # By psycopg's own cursor, as what is around it elsewhere takes a third of the time; and
        # planned for these values, not once for all.
        try:
            return cursor_of(connection).execute(text.encode(), values, prepare=False).fetchall()
        except psycopg.Error as error:
            meaning = meaning_of(error)
            if meaning is None:
                raise
            raise meaning from error

    def stream(self, connection: Connection, offset: int) -> CursorResult[Any]:
        """All rows from there on, fetched batch by batch."""
        values = Values(self.values)
        text = f"{self.rows()} OFFSET {values.bind(offset)}"
        options = {"yield_per": BATCH}
        return connection.exec_driver_sql(text, values, execution_options=options)

    def rows(self) -> str:
        """Selects the parts of the answers, in order."""
        columns = [*self._parts, *(sql for _, _, sql in self._computed)]
        columns += [_COUNTED[tag][0] for tag in self._counted]
        source = self._source()
        if self._level == "PATIENT":
            # A patient looks as in the newest of the studies that match.
            newest = f"SELECT max(studies.id) {source} GROUP BY studies.patient_ref"
            source = f"FROM studies WHERE studies.id IN ({newest})"
        return f"SELECT {', '.join(columns)} {source} ORDER BY {_ORDER[self._level]}"

    def count(self) -> str:
        """Selects how many rows there are."""
        what = "count(DISTINCT studies.patient_ref)" if self._level == "PATIENT" else "count(*)"
        return f"SELECT {what} {self._source()}"

    def answers(
        self, connection: Connection, rows: Sequence[Sequence[Any]]
    ) -> list[dict[str, Any]]:
        """The data sets of rows of `rows`, their tags in order."""
        return list(map(self._answer, self._recounted(connection, rows)))

    def _recounted(
        self, connection: Connection, rows: Sequence[Sequence[Any]]
    ) -> Sequence[Sequence[Any]]:
        """The rows with what is still arriving counted."""
        tags = [tag for tag, _, _ in self._computed]
        for position, tag in enumerate(reversed(self._counted), 1):
            unsettled = {row[-position] for row in rows if row[-position] is not None}
            if unsettled:
                counting = _COUNTED[tag][1]
                found = connection.exec_driver_sql(counting, {"of": list(unsettled)})
                counts = {row[0]: row[1] for row in found}
                column = len(self._parts) + tags.index(tag)
                rows = [
                    row
                    if row[-position] is None
                    else [*row[:column], counts.get(row[-position], 0), *row[column + 1 :]]
                    for row in rows
                ]
        return rows

    def _answer(self, row: Sequence[Any]) -> dict[str, Any]:
        held: dict[str, Any] = row[0] if self._parts else {}
        for position in range(1, len(self._parts)):
            held |= row[position]
        held["00080005"] = UNICODE
        for position, (tag, vr, _) in enumerate(self._computed, len(self._parts)):
            value = row[position]
            held[tag] = {"vr": vr, "Value": value if isinstance(value, list) else [value]}
        for tag, inner in self._items.items():
            if tag in held:
                held[tag] = _only(held[tag], inner)
        if self._studies_url is not None:
            url = self._studies_url
            for part, tag in PATHS[self._level]:
                url += part + held[tag]["Value"][0]
            held[RETRIEVE_URL] = {"vr": "UR", "Value": [url]}
        return {tag: held[tag] for tag in self._wanted if tag in held}

    def _source(self) -> str:
        people = " JOIN patients ON patients.id = studies.patient_ref"
        joined = people if "patients." in self._where else ""
        return f"FROM {_FROM[self._level]}{joined} WHERE {self._where}"


def _where(query: Query, keys: Tree, scope: Scope, values: Values) -> str:
    """The conditions on rows of the asked level; on those below it, that there are such.

    One series and one of its instances must fulfil what is asked of them all together.
    """
    by_level = _conditions(query, keys, values)
    study, series, image = by_level["STUDY"], by_level["SERIES"], by_level["IMAGE"]
    study.append("NOT studies.hidden")
    if scope.study_instance_uid is not None:
        study.append(f"studies.study_instance_uid = {values.bind(scope.study_instance_uid)}")
    if scope.institutions is not None:
        study.append(
            "EXISTS (SELECT FROM series theirs WHERE theirs.study_ref = studies.id"
            f" AND theirs.institution_name = ANY({values.bind(list(scope.institutions))}))"
        )
    if query.level == "IMAGE":
        return " AND ".join(["instances.current", *image, *series, *study])
    if image:
        inner = "instances.series_ref = series.id AND instances.current"
        series.append(f"EXISTS (SELECT FROM instances WHERE {' AND '.join([inner, *image])})")
    if query.level == "SERIES":
        return " AND ".join(["NOT series.hidden", *series, *study])
    if series:
        inner = "series.study_ref = studies.id AND NOT series.hidden"
        study.append(f"EXISTS (SELECT FROM series WHERE {' AND '.join([inner, *series])})")
    return " AND ".join(study)


def _conditions(query: Query, keys: Tree, values: Values) -> dict[Level, list[str]]:
    conditions: dict[Level, list[str]] = {"STUDY": [], "SERIES": [], "IMAGE": []}
    done = set()
    for day, moment in _MOMENTS if query.combined_moments else ():
        days, times = keys.get(day), keys.get(moment)
        if isinstance(days, str) and isinstance(times, str) and same_form(days, times):
            condition = moment_condition((day, days), (moment, times), values)
            conditions[KEYS[day].level].append(condition)
            done |= {day, moment}
    for tag, wanted in keys.items():
        level = level_of(tag)
        if level is None or tag in done:
            continue
        if _is_modality_of_study(query, keys, tag):
            level, tag = "STUDY", _MODALITIES_IN_STUDY  # noqa: PLW2901
        selects = _condition(query, level, tag, wanted, values)
        if selects is not None:
            conditions[level].append(selects)
    return conditions


def _is_modality_of_study(query: Query, keys: Tree, tag: str) -> bool:
    """Whether it is the modality, asked of studies, and nothing else is asked of their series.

    Then the study's own row answers, and there is an index of it.
    """
    return (
        tag == _MODALITY
        and query.level in ("PATIENT", "STUDY")
        and keys[tag] != EMPTY
        and all(
            level_of(other) not in ("SERIES", "IMAGE") or is_open(wanted)
            for other, wanted in keys.items()
            if other != tag
        )
    )


def _condition(
    query: Query, level: Level, tag: str, wanted: str | Tree, values: Values
) -> str | None:
    key = KEYS.get(tag)
    if key is None or not isinstance(wanted, str):
        return json_condition(_PARTS[level], {tag: wanted}, values)
    if tag == _PATIENT_NAME and query.fuzzy and not is_open(wanted):
        return words_condition("studies.patient_name_words", wanted, values)
    if tag == _MODALITIES_IN_STUDY and _few_days(query.matches.get(_STUDY_DATE, "")):
        # The days select better; of a modality that is used every day PostgreSQL would gather
        # all studies first.
        key = replace(key, sql=f"({key.sql} || '{{}}')")
    return column_condition(tag, key, wanted, values)


def _few_days(wanted: str) -> bool:
    if is_open(wanted) or wanted.strip() == EMPTY or "\\" in wanted:
        return False
    first, last = date_range(_STUDY_DATE, wanted)
    return first is not None and last is not None and last - first <= _FEW_DAYS


def _wanted(query: Query, keys: Tree) -> frozenset[str]:
    seen = frozenset().union(*(ATTRIBUTES[at] for at in LEVELS if _sees(query.level, at)))
    if query.include == "all":
        return seen | _ALWAYS
    asked = _UIDS[query.level] | query.include | keys.keys()
    own = asked if query.answer == "keys" else asked | ATTRIBUTES[query.level]
    return own & (seen | COMPUTED.keys()) | _ALWAYS


def _sees(asked: Level, of: Level) -> bool:
    return LEVELS.index(of) <= LEVELS.index(asked)


def _only(sequence: dict[str, Any], keys: Tree) -> dict[str, Any]:
    """The sequence with nothing but the asked attributes in its items."""
    items = [
        {
            tag: value if isinstance(inner, str) else _only(value, inner)
            for tag, inner in sorted(keys.items())
            if (value := item.get(tag)) is not None
        }
        for item in sequence.get("Value", [])
    ]
    return {"vr": "SQ", "Value": items}
