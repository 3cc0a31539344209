"""The connections of a Database: it owns how many there are, their reuse, and what a loss means.

Deliberately not psycopg_pool: its threads go on trying to reach a server that is gone, with pauses
that grow, while whoever asked waits; here that is an error at once, and a server that is back is
used at once. A connection is checked without a round trip: an idle one has nothing to say, so one
that is readable brings its own obituary.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel, conninfo
from psycopg.pq import TransactionStatus

from base.errors import ConfigError
from sql.core.errors import DatabaseFullError, DatabaseUnavailableError
from sql.core.refusals import explained, line

if TYPE_CHECKING:
    from base.network.breaker import Breaker

CONNECTIONS_MAX = 8
RECOVERY_TIMEOUT_S = 300.0
RECOVERY_POLL_S = 0.1
# libpq has no SQLSTATE of a connection that was refused, only what the server said.
_RECOVERING = (
    "the database system is starting up",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
)
_CLOSED = "server closed the connection unexpectedly"
CLOSED_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 10
TURN_TIMEOUT_S = 60.0
"""So long one waits for somebody else to give a connection back."""

WRITER_IDLE_LIMIT_S = 600
"""So long whoever changes something may do something else between two statements. A process that is
frozen (SIGSTOP, a suspended machine) would keep its locks, and all others waiting, for ever."""

# A schema named like the user would come before ours, and times are told in the session's zone:
# whatever the role, the database or PGTZ say, ours are these.
_SETTINGS = """
    SELECT set_config('search_path', 'public', false), set_config('TimeZone', 'UTC', false),
        set_config('idle_in_transaction_session_timeout', %s, false)
"""


class Connections:
    """At most CONNECTIONS_MAX connections, lent to one thread each, last in first out."""

    def __init__(self, dsn: str) -> None:
        self.breaker: Breaker | None = None
        self._dsn = dsn
        # Held with a connection, for the whole transaction. Who has one and asks for another may
        # wait for itself, for TURN_TIMEOUT_S.
        self._turns = threading.BoundedSemaphore(CONNECTIONS_MAX)
        # Guards the two below, never held while the server is asked. Innermost.
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection[Any]] = []
        self._closed = False

    @contextlib.contextmanager
    def lend(self, *, read_only: bool = False) -> Generator[psycopg.Connection[Any]]:
        """Yield a connection; its transaction is committed at the end, or rolled back on error.

        With `read_only` the server refuses every change in it.

        Raises DatabaseUnavailableError when the server or the connection is gone, and every other
        refusal of the server as the SqlError that explains it.
        """
        with self._passing(), self._turn():
            connection = self._take()
            try:
                with explained():
                    connection.read_only = read_only or None
                    yield connection
                    connection.commit()
            finally:
                self._give_back(connection)

    def _passing(self) -> contextlib.AbstractContextManager[None]:
        if self.breaker is None:
            return contextlib.nullcontext()
        return self.breaker.passing(_resting, is_away)

    @contextlib.contextmanager
    def _turn(self) -> Generator[None]:
        if not self._turns.acquire(timeout=TURN_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"all {CONNECTIONS_MAX} connections have been busy for {TURN_TIMEOUT_S:g} s; see "
                "`drystone db health`"
            )
        try:
            yield
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close the idle ones now and the lent ones when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> psycopg.Connection[Any]:
        while True:
            with self._lock:
                if self._closed:
                    raise DatabaseUnavailableError("this Database has been closed")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return connect_once(self._dsn)
            if _is_quiet(connection):
                return connection
            connection.close()

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        idle = connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            if idle and not self._closed and not connection.autocommit:
                self._idle.append(connection)
                return
        connection.close()


def is_away(error: Exception) -> bool:
    """Tell whether the server gave no answer; one that is full gave one."""
    return isinstance(error, DatabaseUnavailableError) and not isinstance(error, DatabaseFullError)


def _resting() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("the database did not answer; it is asked again in a moment")


def connect_once(dsn: str) -> psycopg.Connection[Any]:
    """Connect; messages never show the connection string, which may hold a password.

    Transactions are READ COMMITTED, whatever the default of the server: what waited for a lock
    must see what its holder wrote.
    """
    parts = parts_of(dsn)
    # Anything else, as PGCLIENTENCODING=SQL_ASCII, would bring bytes in place of text.
    parts["client_encoding"] = "utf8"
    parts.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    parts.setdefault("application_name", "drystone")
    connection = _connect(conninfo.make_conninfo("", **parts))
    try:
        with explained():
            connection.execute(_SETTINGS, [f"{WRITER_IDLE_LIMIT_S}s"])
            connection.autocommit = False
            connection.isolation_level = IsolationLevel.READ_COMMITTED
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(conninfo_text: str) -> psycopg.Connection[Any]:
    """Connect, waiting for a server that replays its log after a crash: it is there in a moment.

    One that closes what it has just taken is about to.
    """
    began_s = time.monotonic()
    while True:
        try:
            return psycopg.connect(conninfo_text, autocommit=True)
        except psycopg.OperationalError as error:
            said = line(error)
            waits_s = RECOVERY_TIMEOUT_S if any(words in said for words in _RECOVERING) else 0.0
            waits_s = CLOSED_TIMEOUT_S if _CLOSED in said else waits_s
            if time.monotonic() - began_s >= waits_s:
                raise DatabaseUnavailableError(f"the database does not answer: {said}") from None
            time.sleep(RECOVERY_POLL_S)


@contextlib.contextmanager
def connected(dsn: str) -> Generator[psycopg.Connection[Any]]:
    """Yield a connection of one's own, closed at the end; commit what shall stay.

    Raises SqlError, as `Connections.lend` does.
    """
    with contextlib.closing(connect_once(dsn)) as connection, explained():
        yield connection


def parts_of(dsn: str) -> dict[str, Any]:
    """Take a connection string apart; ConfigError, which does not show it, when it is none."""
    try:
        return dict(conninfo.conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:
        raise ConfigError(
            "dsn in [database] is no connection string; write it as postgresql://USER@HOST/NAME or "
            "as host=HOST user=USER dbname=NAME"
        ) from None


def _is_quiet(connection: psycopg.Connection[Any]) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
