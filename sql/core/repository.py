"""Repositories: what can be asked and changed about one noun, each method one transaction.

Rows become documents (models, named tuples, dataclasses) by the names of their columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import class_row, scalar_row

if TYPE_CHECKING:
    from psycopg.abc import Params

    from sql.core.transactions import Transactions

Row = TypeVar("Row")
ROWS_PER_FETCH = 5_000


class Repository:
    """The base of all; get one as `Database.runs` and the like."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def _asking(self) -> contextlib.AbstractContextManager[psycopg.Connection[Any]]:
        """Return what questions are asked in; overridden where the reading role may not look, or
        its timeout would cut off what takes long."""
        return self._database.reading()

    def _all(self, kind: type[Row], statement: bytes, given: Params | None = None) -> list[Row]:
        with self._asking() as connection:
            return rows_of(connection, kind, statement, given)

    def _first(self, kind: type[Row], statement: bytes, given: Params | None = None) -> Row | None:
        with self._asking() as connection:
            return row_of(connection, kind, statement, given)

    def _value(self, statement: bytes, given: Params | None = None) -> Any:
        """Return the one value that a question comes to; None without a row."""
        with self._asking() as connection:
            return value_of(connection, statement, given)

    def _change(self, statement: bytes, given: Params | None = None) -> int:
        """Return how many rows a statement changed."""
        with self._database.connection() as connection:
            return connection.execute(statement, given).rowcount

    def _stream(
        self, kind: type[Row], statement: bytes, given: Params | None = None
    ) -> Iterator[Row]:
        """Yield rows as they are read, from one snapshot; the connection is busy until the last."""
        with self._asking() as connection:
            yield from stream_of(connection, kind, statement, given)


def rows_of(
    connection: psycopg.Connection[Any],
    kind: type[Row],
    statement: bytes,
    given: Params | None = None,
) -> list[Row]:
    """Return the rows of a statement."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, given).fetchall()


def stream_of(
    connection: psycopg.Connection[Any],
    kind: type[Row],
    statement: bytes,
    given: Params | None = None,
) -> Iterator[Row]:
    """Yield the rows of a statement as they are read, from one snapshot."""
    with connection.cursor("stream", row_factory=class_row(kind)) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        yield from cursor.execute(statement, given)


def row_of(
    connection: psycopg.Connection[Any],
    kind: type[Row],
    statement: bytes,
    given: Params | None = None,
) -> Row | None:
    """Return the first row of a statement; None when there is none."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, given).fetchone()


def value_of(
    connection: psycopg.Connection[Any], statement: bytes, given: Params | None = None
) -> Any:
    """Return the first column of the first row of a statement; None when there is none."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement, given).fetchone()
