"""Canaries: texts planted in every table, which nobody may read who has no right to their rows."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

CANARY = "canary_of_"
LEFT_ALONE = {"schema_migration", "declared_table", "file_type", "app_user", "user_session"}
"""Read as what they are by whoever serves; of people there is one more, with a name like that."""

_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
"""
_COLUMNS = """
    SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL
        AND is_identity = 'NO'
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s
    ORDER BY ordinal_position
"""
_CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass"
_WORD = re.compile(r"\(?(\w+) = (?:ANY \(ARRAY\[)?'(\w+)'")
"""Columns that take the words of a list, and the first of each."""
_VALUES: dict[str, list[Any]] = {
    "bigint": [1], "integer": [1], "smallint": [1], "boolean": [True],
    "bytea": [b"c" * 32, b"c" * 16], "timestamp with time zone": ["2026-01-01T00:00:00Z"],
    "date": ["2026-01-01"], "double precision": [1.0], "ARRAY": ["{}"],
}  # fmt: skip


def plant(url: str) -> set[str]:
    """Put a canary into each text that can be any, of every table; returns the tables with one."""
    planted: set[str] = set()
    with psycopg.connect(url) as connection:
        # A reference to a row that is not there does no harm to who may not see it.
        connection.execute("SET session_replication_role = replica")
        for (table,) in connection.execute(_TABLES).fetchall():
            if table in LEFT_ALONE:
                continue
            columns = connection.execute(_COLUMNS, [table]).fetchall()
            _fill(connection, table, columns)
            for column, kind, _ in columns:
                if kind == "text" and _mark(connection, table, column):
                    planted.add(table)
    return planted


def _fill(connection: psycopg.Connection[Any], table: str, columns: list[Any]) -> None:
    """Give an empty table a row, where any will do."""
    name = Identifier(table)
    if connection.execute(SQL("SELECT FROM {} LIMIT 1").format(name)).fetchone() is not None:
        return
    checks = connection.execute(_CHECKS, [f"public.{table}"]).fetchall()
    words = dict(found for (check,) in checks for found in _WORD.findall(check))
    for turn, also in product((0, 1), ((), ("text",))):
        given = {
            column: words.get(column, CANARY + table)
            if kind == "text"
            else _VALUES[kind][min(turn, len(_VALUES[kind]) - 1)]
            for column, kind, is_needed in columns
            if is_needed or kind in also
        }
        statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(
            name,
            SQL(", ").join(map(Identifier, given)),
            SQL(", ").join(SQL("%s") for _ in given),
        )
        if given and _tried(connection, statement, list(given.values())):
            return


def _mark(connection: psycopg.Connection[Any], table: str, column: str) -> bool:
    names = {"table": Identifier(table), "column": Identifier(column)}
    value = [f"{CANARY}{table}_{column}"]
    every = SQL("UPDATE {table} SET {column} = %s").format(**names)
    one = SQL("UPDATE {table} SET {column} = %s WHERE ctid = (SELECT min(ctid) FROM {table})")
    return _tried(connection, every, value) or _tried(connection, one.format(**names), value)


def _tried(connection: psycopg.Connection[Any], statement: Any, values: list[Any]) -> bool:
    try:
        with connection.transaction():
            return connection.execute(statement, values).rowcount > 0
    except psycopg.Error:
        return False
