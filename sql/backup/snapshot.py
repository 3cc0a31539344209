"""What a database holds at one moment: it owns counting rows, and comparing such counts."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.sql import SQL, Identifier

from sql.core.connections import connect_once
from sql.core.statements import statements

_NO_TIMEOUTS = b"""
    SELECT set_config('statement_timeout', '0', true),
        set_config('idle_in_transaction_session_timeout', '0', true)
"""
# Every page of a table is read, and with it its checksum; an index alone would prove less.
_READ_PAGES = b"""
    SELECT set_config('enable_indexscan', 'off', true),
        set_config('enable_indexonlyscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows per table, and the id by which pg_dump sees the same moment."""

    snapshot_id: str
    counts: dict[str, int]


@contextlib.contextmanager
def snapshot(dsn: str) -> Generator[Snapshot]:
    """Count everything in one snapshot, which others can share until the block ends."""
    connection = connect_once(dsn)
    with contextlib.closing(connection):
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute(_NO_TIMEOUTS)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield Snapshot(row[0], count_rows(connection))
        connection.rollback()


def count_rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Count the rows of every table by reading all of its pages."""
    connection.execute(_READ_PAGES)
    counts: dict[str, int] = {}
    for schema, table in connection.execute(statements("backup")["tables"]).fetchall():
        name = Identifier(schema, table)
        row = connection.execute(SQL("SELECT count(*) FROM {}").format(name)).fetchone()
        assert row is not None
        counts[table if schema == "public" else f"{schema}.{table}"] = row[0]
    return counts


def differences(
    what: str, found: Mapping[str, int], before: Mapping[str, int], after: Mapping[str, int]
) -> list[str]:
    """Return one line per table whose rows are not between those counted before and after.

    Equal counts before and after demand exactly that one.
    """
    problems: list[str] = []
    for table in sorted(before.keys() | after.keys() | found.keys()):
        bounds = (before.get(table, 0), after.get(table, 0))
        rows = found.get(table)
        if rows is None and table in before and table in after:
            problems.append(f"{what}: table {table} is missing")
        elif not min(bounds) <= (rows or 0) <= max(bounds):
            wanted = f"{min(bounds)}" if bounds[0] == bounds[1] else f"{bounds[0]} to {bounds[1]}"
            problems.append(f"{what}: table {table} has {rows} rows in place of {wanted}")
    return problems
