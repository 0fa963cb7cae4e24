"""One question, many languages: C-FIND, QIDO-RS and FHIR ask the index through here.

How a key selects is in `pacs.index.matching`, what is asked of which table in
`pacs.index.statement`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, and_, exists, literal
from sqlalchemy.sql.elements import ColumnElement

from pacs.index.attributes import Level, QueryError, keyword_to_tag
from pacs.index.question import EVERYTHING, Query, Scope
from pacs.index.statement import BATCH, Statement
from pacs.index.tables import series, studies
from pacs.index.texts import TextStatement

__all__ = [
    "Level",
    "Query",
    "QueryError",
    "Scope",
    "count",
    "keyword_to_tag",
    "search",
    "search_all",
    "search_texts",
]

MAX_LIMIT = 5000


def search(
    connection: Connection,
    query: Query,
    scope: Scope = EVERYTHING,
    *,
    studies_url: str | None = None,
) -> list[dict[str, Any]]:
    """The matching data sets as DICOM JSON, newest study first. Raises QueryError.

    `studies_url`: what the Retrieve URL (0008,1190) of each begins with, which is left out
    otherwise.
    """
    _check_page(query)
    statement = Statement(query, scope, studies_url)
    rows = statement.part(connection, min(query.limit, MAX_LIMIT), query.offset)
    return statement.answers(connection, rows)


def search_texts(connection: Connection, query: Query, scope: Scope, studies_url: str) -> list[str]:
    """What `search` finds, each data set as JSON text."""
    _check_page(query)
    statement = TextStatement(query, scope, studies_url)
    rows = statement.part(connection, min(query.limit, MAX_LIMIT), query.offset)
    return statement.texts(connection, rows)


def _check_page(query: Query) -> None:
    if not 0 <= query.offset <= 10_000_000 or query.limit < 0:
        raise QueryError("limit/offset", "must not be negative, nor the offset over ten million")


def search_all(
    connection: Connection,
    query: Query,
    scope: Scope = EVERYTHING,
) -> Iterator[dict[str, Any]]:
    """All matching data sets in the same order, whatever the query's limit, fetched as they go.

    The connection is busy until the last one is taken or the iterator closed. It may be one that
    commits by itself, which spares short answers two turns to the server. A study that arrives
    meanwhile may shift another into view twice. Raises QueryError.
    """
    statement = Statement(query, scope)
    # Most questions have few answers: to open a cursor for them would take longer than to answer.
    rows: Sequence[Sequence[Any]] = statement.part(connection, BATCH, 0)
    yield from statement.answers(connection, rows)
    if len(rows) < BATCH:
        return
    with _transaction(connection), closing(statement.stream(connection, BATCH)) as found:
        while rows := found.fetchmany():
            yield from statement.answers(connection, rows)


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """What a cursor of the server needs, on connections that commit by themselves too."""
    own: Any = connection.connection.driver_connection
    if not own.autocommit:
        yield
        return
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    finally:
        if not own.closed:
            own.rollback()


def count(
    connection: Connection,
    query: Query,
    scope: Scope = EVERYTHING,
) -> int:
    """How many data sets match in all. Raises QueryError."""
    statement = Statement(query, scope)
    return int(connection.exec_driver_sql(statement.count(), statement.values).scalar_one())


def scoped(scope: Scope) -> ColumnElement[bool]:
    """The condition on `studies` that keeps to the scope."""
    conditions: list[ColumnElement[bool]] = [literal(value=True)]
    if scope.study_instance_uid is not None:
        conditions.append(studies.c.study_instance_uid == scope.study_instance_uid)
    if scope.institutions is not None:
        theirs = series.alias("theirs")
        conditions.append(
            exists().where(
                theirs.c.study_ref == studies.c.id,
                theirs.c.institution_name.in_(scope.institutions),
            )
        )
    return and_(*conditions)
