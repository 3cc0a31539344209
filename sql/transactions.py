"""The borders of transactions: it owns what one may do and for how long, and no statement of ours.

Two kinds: one that may write, and one that can change nothing, runs as the reading role where there
is one, and is cut off after the statement timeout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import errors

from sql import migrate
from sql.connections import Connections
from sql.errors import QueryTimeoutError

STATEMENT_TIMEOUT_S = 60.0
READER_ROLE = "drystone_reader"

# One statement, so that a reading transaction costs one round trip more.
_BEGIN_READING = """
    SELECT set_config('transaction_read_only', 'on', true),
        set_config('statement_timeout', %s, true), set_config('role', %s, true)
"""
_MAY_BE_READER = """
    SELECT coalesce((
        SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s
    ), false)
"""


class Transactions:
    """The connections to a database that has been brought up to date."""

    def __init__(self, dsn: str, statement_timeout_s: float = STATEMENT_TIMEOUT_S) -> None:
        self.statement_timeout_s = statement_timeout_s
        self._connections = Connections(dsn)
        try:
            with self.connection() as connection:
                migrate.migrate(connection, migrate.known_migrations())
                row = connection.execute(_MAY_BE_READER, [READER_ROLE]).fetchone()
        except BaseException:
            self.close()
            raise
        self.reader_role = bool(row and row[0])

    def close(self) -> None:
        """Close all connections; an embedded server stays up."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def connection(self) -> Generator[psycopg.Connection[Any]]:
        """Yield a connection in a transaction that ends with the block; for this folder only."""
        with self._connections.lend() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Generator[psycopg.Connection[Any]]:
        """Yield a connection that can change nothing; for this folder only.

        Raises QueryTimeoutError when a statement takes longer than `statement_timeout_s`.
        """
        timeout_ms = str(max(1, round(self.statement_timeout_s * 1000)))
        role = READER_ROLE if self.reader_role else "none"
        try:
            with self.connection() as connection:
                connection.execute(_BEGIN_READING, [timeout_ms, role])
                yield connection
        except errors.QueryCanceled as error:
            raise QueryTimeoutError(
                f"the query took longer than {self.statement_timeout_s:g} s; narrow it, or raise "
                "statement_timeout_s in [database] of drystone.toml"
            ) from error
