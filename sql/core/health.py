"""How the database is: it owns the figures of `drystone db health`, and changes nothing."""

from __future__ import annotations

from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict

from sql.core import migrate
from sql.core.statements import statements

_FIGURES = """
    SELECT current_setting('server_version'), pg_database_size(current_database()),
        extract(epoch FROM now() - pg_postmaster_start_time())::float8,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector'),
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
"""
_TABLES = """
    SELECT class.relname, greatest(class.reltuples, 0)::int8, pg_total_relation_size(class.oid)
    FROM pg_class AS class
    WHERE class.relkind = 'r' AND class.relnamespace = 'public'::regnamespace
    ORDER BY class.relname
"""


class TableHealth(BaseModel):
    """One table; `rows_estimate` is the planner's, and 0 before its first ANALYZE."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows_estimate: int
    size_bytes: int


class BackupHealth(BaseModel):
    """The last backup, failed or not; `good_age_s` is that of the last good one, None if never."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    state: str
    copies: int
    size_bytes: int
    age_s: float
    good_age_s: float | None


class Health(BaseModel):
    """What `drystone db health` answers."""

    model_config = ConfigDict(frozen=True)

    server_version: str
    schema_version: int
    schema_current: bool
    size_bytes: int
    uptime_s: float
    connections: int
    pgvector_available: bool
    reader_role: bool
    backup: BackupHealth | None
    tables: tuple[TableHealth, ...]


def health(connection: psycopg.Connection[Any], *, reader_role: bool) -> Health:
    """Look at the server and the schema; raises MigrationError when the two do not fit."""
    known = migrate.known_migrations()
    row = connection.execute(_FIGURES).fetchone()
    assert row is not None
    version, size_bytes, uptime_s, pgvector_available, connections = row
    schema_version = migrate.schema_version(connection, known)
    return Health(
        server_version=version,
        schema_version=schema_version,
        schema_current=schema_version == len(known),
        size_bytes=size_bytes,
        uptime_s=uptime_s,
        connections=connections,
        pgvector_available=pgvector_available,
        reader_role=reader_role,
        backup=_backup(connection),
        tables=tuple(
            TableHealth(name=name, rows_estimate=rows, size_bytes=size)
            for name, rows, size in connection.execute(_TABLES).fetchall()
        ),
    )


def _backup(connection: psycopg.Connection[Any]) -> BackupHealth | None:
    row = connection.execute(statements("backup")["last"]).fetchone()
    if row is None:
        return None
    name, _, kind, state, copies, size_bytes, age_s, good_age_s = row
    return BackupHealth(
        name=name,
        kind=kind,
        state=state,
        copies=copies,
        size_bytes=size_bytes,
        age_s=age_s,
        good_age_s=good_age_s,
    )
