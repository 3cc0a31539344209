"""Guests: the role they read as, and the row security that shows it what was granted and no more.

The role starts from nothing. What it may read, and which rows, is one list in
sql/queries/guests.sql; a table that is declared gets its policy with it. Whoever reads everything
does so by a policy that is true, which costs nothing. Where roles cannot be made there are no
guests: they are refused, never shown a table without its policy.
"""

from __future__ import annotations

import hashlib
from typing import Any, LiteralString, NamedTuple, cast

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from base.operations.operation import Right
from sql.core.lock_waits import TABLE_LOCK_TIMEOUT_S, limit_lock_waits
from sql.core.statements import statements

GUEST_ROLE = "drystone_guest"

_SQL = statements("guests")
_POLICIES = SQL("""
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS staff ON {table};
    CREATE POLICY staff ON {table} FOR SELECT TO drystone_reader USING (true);
    DROP POLICY IF EXISTS guest ON {table};
    CREATE POLICY guest ON {table} FOR SELECT TO drystone_guest USING ({condition});
    COMMENT ON POLICY guest ON {table} IS {mark};
    REVOKE ALL ON {table} FROM drystone_guest;
    GRANT SELECT {columns} ON {table} TO drystone_guest;
""")


class Guest(NamedTuple):
    """Who asks, and by which right it is to be granted; one of account and link."""

    right: Right = "view"
    user_id: int | None = None
    link_hash: bytes | None = None


def hash_of_link(secret: str) -> bytes:
    """Return what is kept of a link's random secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def ensure_guests(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether guests can be let in, after giving their role what it lacked.

    False where roles cannot be made, on a standby, and while somebody uses a table that has no
    policy yet. The connection must be in no transaction.
    """
    try:
        if not _has_role(connection):
            with connection.transaction():
                connection.execute(_SQL["make_role"])
            if not _has_role(connection):
                return False
        with connection.transaction():
            missing = _missing(connection)
        for one in missing:
            with (
                connection.transaction(),
                limit_lock_waits(connection, TABLE_LOCK_TIMEOUT_S),
            ):
                _protect(connection, *one)
    except (
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.LockNotAvailable,
    ):
        return False
    return True


def protect_declared(connection: psycopg.Connection[Any], table_name: str) -> None:
    """Give a table that was just declared its policies, in its transaction, where there are any."""
    if _has_role(connection):
        for one in _missing(connection, table_name):
            _protect(connection, *one)


def _has_role(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(_SQL["has_role"]).fetchone()
    return bool(row and row[0])


def _missing(
    connection: psycopg.Connection[Any], table_name: str | None = None
) -> list[tuple[str, str, str, str]]:
    return connection.execute(_SQL["missing"], {"table": table_name}).fetchall()


def _protect(
    connection: psycopg.Connection[Any], name: str, columns: str, condition: str, mark: str
) -> None:
    # Both are of the list in sql/queries/guests.sql.
    told, listed = cast("LiteralString", condition), cast("LiteralString", columns)
    connection.execute(
        _POLICIES.format(
            table=Identifier("public", name),
            condition=SQL(told),
            mark=Literal(mark),
            columns=SQL(f"({listed})") if listed else SQL(""),
        )
    )
