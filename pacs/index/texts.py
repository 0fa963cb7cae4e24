"""Answers as JSON text, straight from what PostgreSQL keeps as text.

Lists of studies are asked for all day long, and to read the JSON of each and write it anew takes
most of the time of an answer. What is kept of an object is in the order of its tags already, so
what the tables know is put between. Answers for which that is not enough are made as all others.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection

from pacs.index.attributes import ATTRIBUTES
from pacs.index.question import Query, Scope
from pacs.index.statement import COMPUTED, PATHS, RETRIEVE_URL, UNICODE, Statement

_BEGIN = f'{{"00080005": {orjson.dumps(UNICODE).decode()}'


class TextStatement(Statement):
    """A query as SQL, and how its rows become text."""

    def __init__(self, query: Query, scope: Scope, studies_url: str) -> None:
        super().__init__(query, scope, studies_url)
        self._is_plain = (
            query.answer == "level" and len(self._parts) == 1 and query.level != "PATIENT"
        )
        if not self._is_plain:
            return
        self._parts = [f"{self._parts[0]}::text"]
        self._url = orjson.dumps(studies_url).decode()[:-1]
        columns = {tag: column for column, (tag, _, _) in enumerate(self._computed, 1)}
        self._path = [(part, columns[tag]) for part, tag in PATHS[query.level]]
        own = PATHS[query.level][-1][1]
        # Where an object itself says what the tables know better, its text is not good enough; and
        # in the items of a sequence the same keys may stand as outside.
        self._better = ['"SQ"', *(_key(tag) for tag in columns if tag != own)]
        put = {tag: (_key(tag) + f'{{"vr": "{vr}", "Value": [') for tag, vr, _ in self._computed}
        put[RETRIEVE_URL] = _key(RETRIEVE_URL) + '{"vr": "UR", "Value": ['
        kept = sorted(ATTRIBUTES[query.level] - COMPUTED.keys() | {own})
        # What is put before the first of some keys that there is, or else at the end.
        self._places: list[tuple[list[str], list[tuple[str, int]]]] = []
        behind = None
        for tag in sorted(put.keys() - {own}):
            following = [_key(other) for other in kept if other > tag]
            if following != behind:
                self._places.append((following, []))
                behind = following
            self._places[-1][1].append((put[tag], columns.get(tag, 0)))

    def texts(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> list[str]:
        """The data sets of rows of `rows` as JSON, their tags in order."""
        make = self._text if self._is_plain else self._written
        return [make(row) for row in self._recounted(connection, rows)]

    def _text(self, row: Sequence[Any]) -> str:
        held: str = row[0]
        for key in self._better:
            if key in held:
                return self._written([orjson.loads(held), *row[1:]])
        pieces = [_BEGIN]
        at, end = 1, len(held) - 1
        for following, put in self._places:
            stop = end
            for key in following:
                place = held.find(key, at)
                if place > 0:
                    stop = max(at, place - 2)  # before the comma and the space
                    break
            if stop > at:
                pieces.append(held[at:stop])
                at = stop + 2
            for before, column in put:
                pieces.append(f"{before}{self._value(row, column)}]}}")
        if at < end:
            pieces.append(held[at:end])
        return ", ".join(pieces) + "}"

    def _value(self, row: Sequence[Any], column: int) -> str:
        if column == 0:
            url = self._url
            for part, of in self._path:
                url += part + row[of]
            return f'{url}"'
        value = row[column]
        if type(value) is int:
            return str(value)
        return _list(tuple(value)) if isinstance(value, list) else _list((value,))

    def _written(self, row: Sequence[Any]) -> str:
        return orjson.dumps(self._answer(row)).decode()


def _key(tag: str) -> str:
    return f'"{tag}": '


@lru_cache(maxsize=4096)
def _list(values: tuple[Any, ...]) -> str:
    return orjson.dumps(values).decode()[1:-1]
