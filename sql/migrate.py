"""The schema's way forward: it owns which migrations there are and how they are applied.

Migrations are the files `NNNN_name.sql` in sql/migrations, numbered from 1 without a gap. Each runs
in one transaction together with its record, so a crash leaves all of it or nothing. An applied file
never changes; there is no way back.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg

from sql.errors import MigrationError

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "migrations")
ADVISORY_LOCK = 0x6472_7973_746F_6E65
"""One migration at a time in a database: "drystone" in ASCII."""

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

    Raises MigrationError when the database and the files contradict each other.
    """
    applied: list[Migration] = []
    while True:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            done = schema_version(connection, migrations)
            if done == len(migrations):
                if applied:
                    grant_reader(connection)
                return applied
            _apply(connection, migrations[done])
        applied.append(migrations[done])


def grant_reader(connection: psycopg.Connection[Any]) -> None:
    """Let the reading role read; after a restore too, which brings no rights with it."""
    connection.execute(_query("reader.sql"))


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


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        connection.execute(_query("schema_migration.sql"))
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
