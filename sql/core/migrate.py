"""The schema's way forward: it owns which migrations there are and how they are applied.

Migrations are the files `NNNN_name.sql` in sql/migrations, numbered from 1 without a gap. Each runs
in one transaction together with its record and the rights to read what it made, so a crash leaves
all of it or nothing. An applied file never changes; there is no way back.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg

from sql.core.errors import BusyError, MigrationError
from sql.core.lock_waits import TABLE_LOCK_TIMEOUT_S, limit_lock_waits, with_table_locks

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(HERE, "migrations")
READER_ROLE = "drystone_reader"
TURN_TIMEOUT_S = 900.0
"""So long one waits for a migration of somebody else; a large table takes its time."""
ADVISORY_LOCK = 0x6472_7973_746F_6E65
"""One migration at a time in a database: "drystone" in ASCII."""

# Whether the role may read all that is ours, but for what is signed with.
_READER_IS_READY = """
    SELECT coalesce((
        SELECT pg_has_role(current_user, reader.oid, 'MEMBER')
            AND has_schema_privilege(reader.oid, 'public', 'USAGE')
            AND NOT EXISTS (
                SELECT FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
                    AND pg_has_role(current_user, relowner, 'USAGE')
                    AND has_table_privilege(reader.oid, pg_class.oid, 'SELECT')
                        = (relname = 'webhook_secret')
            )
        FROM pg_roles AS reader WHERE rolname = %s
    ), false)
"""
_FILE_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """The hash that its record keeps."""
        return hashlib.sha256(self.text.encode()).digest()


def known_migrations(folder: str = FOLDER) -> list[Migration]:
    """Return the migrations in a folder, in order; raises MigrationError when one is missing."""
    found: list[Migration] = []
    for file_name in sorted(os.listdir(folder)):
        match = _FILE_NAME.fullmatch(file_name)
        if match is None:
            continue
        if int(match[1]) != len(found) + 1:
            raise MigrationError(f"migration {len(found) + 1:04} is missing or twice in {folder}")
        found.append(Migration(int(match[1]), match[2], read_sql(os.path.join(folder, file_name))))
    return found


def migrate(connection: psycopg.Connection[Any], migrations: list[Migration]) -> list[Migration]:
    """Bring a database up to date and return what was applied; several callers wait in turn.

    The connection must be in no transaction, or all migrations would be one. Raises MigrationError
    when the database and the files contradict each other, and BusyError when somebody else's
    transaction kept a table locked; then the migrations before that one stay.
    """
    applied: list[Migration] = []
    while True:
        migration = with_table_locks(
            "the schema cannot be migrated", lambda: _apply_next(connection, migrations)
        )
        if migration is None:
            return applied
        applied.append(migration)


def grant_reader(connection: psycopg.Connection[Any]) -> None:
    """Let the reading role read; after a restore too, which brings no rights with it."""
    connection.execute(_query("reader.sql"))


def ensure_reader(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether the reading role may read everything, after giving it what it lacked.

    False for a user who may not make it: selectors then run as that user.
    """
    if _reader_is_ready(connection):
        return True
    try:
        with connection.transaction():
            _take_turn(connection)
            grant_reader(connection)
    except psycopg.errors.ReadOnlySqlTransaction:
        return False  # A standby takes no grants.
    return _reader_is_ready(connection)


def _reader_is_ready(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(_READER_IS_READY, [READER_ROLE]).fetchone()
    return bool(row and row[0])


def schema_version(connection: psycopg.Connection[Any], migrations: list[Migration]) -> int:
    """Return how many migrations a database has had, each of which must be one of these."""
    known = connection.execute("SELECT to_regclass('public.schema_migration')").fetchone()
    if known is None or known[0] is None:
        return 0
    rows = connection.execute(
        "SELECT number, name, sha256 FROM schema_migration ORDER BY number"
    ).fetchall()
    if len(rows) > len(migrations):
        number, name, _ = rows[-1]
        raise MigrationError(
            f"the database has been migrated to {number:04}_{name}, and this Drystone knows only "
            f"{len(migrations)} migrations: update Drystone"
        )
    for (number, name, sha256), migration in zip(rows, migrations, strict=False):
        if (number, name, bytes(sha256)) != (migration.number, migration.name, migration.sha256):
            raise MigrationError(
                f"migration {number:04}_{name} was changed after this database had been through "
                "it; put the file back as it was and write another migration"
            )
    return len(rows)


def _apply_next(
    connection: psycopg.Connection[Any], migrations: list[Migration]
) -> Migration | None:
    """Apply the first that is missing, in a transaction of its own; None when none is."""
    with connection.transaction():
        _take_turn(connection)
        done = schema_version(connection, migrations)
        if done == len(migrations):
            return None
        _apply(connection, migrations[done])
        grant_reader(connection)
    return migrations[done]


def _take_turn(connection: psycopg.Connection[Any]) -> None:
    """Wait for whoever migrates this database now."""
    with limit_lock_waits(connection, TURN_TIMEOUT_S):
        try:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        except psycopg.errors.LockNotAvailable as error:
            raise BusyError(
                f"another program has been migrating the database for {TURN_TIMEOUT_S:g} s; look "
                "for it, or wait"
            ) from error


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        connection.execute(_query("schema_migration.sql"))
        with limit_lock_waits(connection, TABLE_LOCK_TIMEOUT_S):
            connection.execute(_trusted(migration.text))
        connection.execute(
            "INSERT INTO schema_migration (number, name, sha256) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.sha256],
        )
    except psycopg.OperationalError:
        raise  # The server went away, or a lock timed out: nothing is wrong with the migration.
    except psycopg.Error as error:
        raise MigrationError(
            f"migration {migration.number:04}_{migration.name} failed and changed nothing: "
            f"{error.diag.message_primary or error}"
        ) from error


def read_sql(path: str) -> str:
    """Return the text of an .sql file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def _query(file_name: str) -> LiteralString:
    return _trusted(read_sql(os.path.join(HERE, file_name)))


def _trusted(text: str) -> LiteralString:
    """Say that a text comes from our own files: psycopg's types accept nothing else as a query."""
    return cast("LiteralString", text)
