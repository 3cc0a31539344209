"""The borders of transactions: it owns what one may do and for how long, and no statement of ours.

Two kinds: one that may write, and one that can change nothing, runs as the reading role where there
is one, and is cut off after the statement timeout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import errors

from sql.core import guests, migrate
from sql.core.connections import Connections
from sql.core.errors import DatabaseFullError, GuestError, QueryTimeoutError, StatementError
from sql.core.guest_turns import GuestTurns
from sql.core.request_mark import mark_if_changed

if TYPE_CHECKING:
    from base.network.breaker import Breaker

READ_ONLY = errors.ReadOnlySqlTransaction.sqlstate
STATEMENT_TIMEOUT_S = 60.0
GUEST_STATEMENT_TIMEOUT_S = 10.0
"""At most so long for guests, who share few connections."""
READER_IDLE_LIMIT_S = 3_600.0
"""So long a reader may do something else between two statements: its snapshot keeps dead rows."""
GUEST_IDLE_LIMIT_S = 60.0
"""At most so long for guests."""

# One statement, so that a reading transaction costs one round trip more.
_BEGIN_READING = """
    SELECT set_config('transaction_read_only', 'on', true),
        set_config('statement_timeout', %s, true),
        set_config('idle_in_transaction_session_timeout', %s, true), set_config('role', %s, true)
"""

_TELL_GUEST = """
    SELECT set_config('drystone.account', %s, true), set_config('drystone.right', %s, true),
        set_config('drystone.link', %s, true)
"""


class Transactions:
    """The connections to a database that has been brought up to date.

    `refusal` says why nothing can be written now; empty, all can. `ssd` is that of the store; empty
    for a database without one.
    """

    def __init__(
        self,
        dsn: str,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
        refusal: Callable[[], str] = lambda: "",
        ssd: str = "",
    ) -> None:
        self.statement_timeout_s = statement_timeout_s
        self.ssd = ssd
        self._refusal = refusal
        self._connections = Connections(dsn)
        self._guest_turns = GuestTurns()
        try:
            with self.connection() as connection:
                migrate.migrate(connection, migrate.known_migrations())
                self.reader_role = migrate.ensure_reader(connection)
                self.guest_role = self.reader_role and guests.ensure_guests(connection)
        except BaseException:
            self.close()
            raise

    def guard(self, breaker: Breaker) -> None:
        """Ask through a breaker: of a server, whose threads a silent database would all take."""
        self._connections.breaker = breaker

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
        """Yield a connection in a transaction that ends with the block; for this folder only.

        Without room it only reads: DatabaseFullError when something is to be changed in it.
        """
        refusal = self._refusal()
        try:
            with self._connections.lend(read_only=bool(refusal)) as connection:
                yield connection
                if not refusal:
                    mark_if_changed(connection)
        except StatementError as error:
            if refusal and error.sqlstate == READ_ONLY:
                raise DatabaseFullError(refusal) from error
            raise

    def check_guests(self) -> None:
        """Raise GuestError unless this database can show guests what was granted, and no more."""
        if not self.guest_role:
            with self._connections.lend() as connection:
                self.guest_role = self.reader_role and guests.ensure_guests(connection)
        if not self.guest_role:
            raise GuestError(
                "guests cannot be let in: the database user may not make the role "
                f"{guests.GUEST_ROLE}, or its tables are busy; an admin of the server can make it "
                "(CREATE ROLE, and GRANT it to that user)"
            )

    @contextlib.contextmanager
    def reading(
        self, idle_limit_s: float = READER_IDLE_LIMIT_S, *, guest: guests.Guest | None = None
    ) -> Generator[psycopg.Connection[Any]]:
        """Yield a connection that can change nothing; for this folder only.

        With `guest` it shows what is granted to that one at this moment. Raises GuestError where
        this cannot be, and BusyError while guests ask as much as they may.

        Raises QueryTimeoutError when a statement takes longer than `statement_timeout_s`, of a
        guest than GUEST_STATEMENT_TIMEOUT_S, or when the next one comes later than `idle_limit_s`.
        """
        timeout_s = self.statement_timeout_s
        role = migrate.READER_ROLE if self.reader_role else "none"
        turn = contextlib.nullcontext()
        if guest is not None:
            self.check_guests()
            role = guests.GUEST_ROLE
            timeout_s = min(timeout_s, GUEST_STATEMENT_TIMEOUT_S)
            idle_limit_s = min(idle_limit_s, GUEST_IDLE_LIMIT_S)
            turn = self._guest_turns.taken(guest)
        timeout_ms = str(max(1, round(timeout_s * 1000)))
        idle_ms = str(max(1, round(idle_limit_s * 1000)))
        with turn, self._connections.lend() as connection:
            try:
                if guest is not None:
                    account = "" if guest.user_id is None else str(guest.user_id)
                    link = guest.link_hash.hex() if guest.link_hash else ""
                    connection.execute(_TELL_GUEST, [account, guest.right, link])
                connection.execute(_BEGIN_READING, [timeout_ms, idle_ms, role])
                yield connection
            except errors.QueryCanceled as error:
                more = (
                    "" if guest else ", or raise statement_timeout_s in [database] of drystone.toml"
                )
                raise QueryTimeoutError(
                    f"the query took longer than {timeout_s:g} s; narrow it{more}"
                ) from error
            except errors.IdleInTransactionSessionTimeout as error:
                raise QueryTimeoutError(
                    f"nothing was read for {idle_limit_s:g} s, so the query was cut off; read on "
                    "sooner, or ask for parts with limit and after_node_id"
                ) from error
