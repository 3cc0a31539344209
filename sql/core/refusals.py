"""What the server's refusals mean to a person: it owns their wording, and asks nothing itself.

psycopg's errors end here: whatever leaves this folder is an error of ours that says what to do,
where that is known, with the server's own first line and the SQLSTATE to look up.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Generator

import psycopg
from psycopg import errors

from base.errors import DrystoneError, UsageError
from sql.core.errors import (
    BusyError,
    DatabaseUnavailableError,
    QueryTimeoutError,
    StatementError,
)

# The server or the connection is gone; everything else that psycopg counts as operational (a
# deadlock, a cancelled statement) is an answer of a server that lives.
_GONE = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    # Of our own process: it was frozen in the middle of a transaction.
    errors.IdleInTransactionSessionTimeout,
)
_BUSY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)

# SQLSTATE, or the two digits of its class, to what a person can do.
_ADVICE = {
    "42501": "the user of the database may not do this; grant the right, or set another dsn in "
    "[database] of drystone.toml",
    "25006": "this server only reads, as a standby does; set the dsn in [database] of "
    "drystone.toml to the primary",
    "53100": "a disk of the database is full; free space on it",
    "53200": "the server is out of memory; lower its work_mem",
    "53400": "a limit of the server was reached; narrow the query, or raise the limit",
    "XX001": "the database is damaged; stop it, and restore a backup (`drystone db restore`)",
    "XX002": "an index is damaged; rebuild it with REINDEX (`drystone db psql`)",
    "54": "this is more than PostgreSQL can do at once; narrow it",
    "58": "a disk of the database does not do what it should; see the server's log",
    "42": "the schema is not as this Drystone made it; compare `drystone db migrate --dry-run`",
}


@contextlib.contextmanager
def explained() -> Generator[None]:
    """Raise every refusal of the server in the block as the error that explains it.

    Also what psycopg itself refuses to send: numbers and text that no column can hold.
    """
    try:
        yield
    except psycopg.Error as error:
        raise explanation(error) from error
    except (OverflowError, struct.error, UnicodeEncodeError) as error:
        raise UsageError(f"a value is out of the range of its column: {line(error)}") from error


def explanation(error: psycopg.Error) -> DrystoneError:
    """Return what an error of psycopg means to a person."""
    state, said = error.sqlstate or "", line(error)
    if isinstance(error, _GONE) or (isinstance(error, psycopg.OperationalError) and not state):
        return DatabaseUnavailableError(f"the database is gone: {said}")
    if isinstance(error, _BUSY):
        return BusyError(f"others work on the same rows; nothing was done, try again: {said}")
    if isinstance(error, errors.QueryCanceled):
        return QueryTimeoutError(f"the statement was cut off, and nothing was done: {said}")
    if isinstance(error, psycopg.DataError):
        return UsageError(f"a value is out of the range of its column: {said}")
    advice = _ADVICE.get(state) or _ADVICE.get(state[:2])
    return StatementError(f"{advice}: {said}" if advice else f"the database refuses: {said}", state)


def line(error: Exception) -> str:
    """Return what was said as one line: the server's primary message where there is one."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return " ".join((primary or str(error)).split())
