"""How long we wait for locks: it owns the limits and the new attempts, and no statement of ours.

Whoever waits to change a table makes everybody wait who comes later, readers too. So a change of a
table waits a moment only, lets the others pass, and tries again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from sql.core.errors import BusyError

TABLE_LOCK_TIMEOUT_S = 1.5
TABLE_LOCK_ATTEMPTS = 20
PAUSE_S = 0.5
"""Those who queued behind a failed attempt get through in between."""

Result = TypeVar("Result")


@contextlib.contextmanager
def limit_lock_waits(connection: psycopg.Connection[Any], timeout_s: float) -> Generator[None]:
    """Let the statements of the block wait so long for a lock each, then the former limit holds.

    Raises LockNotAvailable, which aborts the transaction or the savepoint that it is in.
    """
    row = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    _set_limit(connection, f"{round(timeout_s * 1000)}ms")
    yield
    _set_limit(connection, row[0] if row else "0")


def with_table_locks(what: str, change: Callable[[], Result]) -> Result:
    """Call a function that changes tables, again when a lock is not to be had at once.

    It must begin a transaction or a savepoint of its own, and limit its waits. Raises BusyError
    that begins with `what`.
    """
    attempts_left = TABLE_LOCK_ATTEMPTS
    while True:
        try:
            return change()
        except errors.LockNotAvailable as error:
            attempts_left -= 1
            if not attempts_left:
                raise BusyError(
                    f"{what}: somebody has been using the table all the time; try again when long "
                    "queries have ended (see pg_stat_activity in `drystone db psql`)"
                ) from error
        time.sleep(PAUSE_S)


def _set_limit(connection: psycopg.Connection[Any], limit: str) -> None:
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [limit])
