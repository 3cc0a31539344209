"""A database as a guest sees it: what was granted, at the moment of each question, and no more."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from sql.core.errors import GuestError, NotFoundError
from sql.core.guests import Guest
from sql.core.repository import rows_of, value_of
from sql.core.statements import statements
from sql.core.transactions import (
    GUEST_STATEMENT_TIMEOUT_S,
    READER_IDLE_LIMIT_S,
    Transactions,
)
from sql.database.books import Books

if TYPE_CHECKING:
    from base.operations.operation import Right
    from sql.datasets.explore_book import ExploreBook
    from sql.events.event_book import EventBook
    from sql.rights.guest_grants import GuestGrants

_SQL = statements("guests")
_SEES = "SELECT FROM node WHERE sha256 = %s"
_RIGHTS = b"SELECT rights_on(node_id) FROM node WHERE sha256 = %s"


class SharedContent(NamedTuple):
    """Something with bytes that a link shows."""

    key: str
    size_bytes: int
    extension: str | None
    media_type: str | None


class GuestView(Books):
    """The questions of a database, asked as a guest; it changes nothing, and closes nothing."""

    def __init__(self, database: Transactions, guest: Guest) -> None:
        # Not that of Transactions: the connections stay those of the database.
        self._database = database
        self._guest = guest
        self.statement_timeout_s = min(database.statement_timeout_s, GUEST_STATEMENT_TIMEOUT_S)
        self.reader_role = database.reader_role
        self.guest_role = True

    def close(self) -> None:
        """Do nothing: the database is somebody else's."""

    @contextlib.contextmanager
    def connection(self) -> Generator[psycopg.Connection[Any]]:
        """Raise GuestError: whoever may do everything asks here."""
        raise GuestError("guests only look")
        yield

    @contextlib.contextmanager
    def reading(
        self, idle_limit_s: float = READER_IDLE_LIMIT_S, *, guest: Guest | None = None
    ) -> Generator[psycopg.Connection[Any]]:
        """Yield a connection that shows what was granted."""
        assert guest is None
        with self._database.reading(idle_limit_s, guest=self._guest) as connection:
            try:
                yield connection
            except psycopg.errors.InsufficientPrivilege as error:
                raise GuestError("guests cannot ask for this; ask for less") from error

    @property
    def rights(self) -> GuestGrants:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the guest grants to others, by the right `share`."""
        from sql.rights.guest_grants import GuestGrants

        if self._guest.user_id is None:
            raise GuestError("whoever has a link only looks")
        sharing = GuestView(self._database, self._guest._replace(right="share"))
        return GuestGrants(self._database, sharing, self._guest.user_id)

    @property
    def explore(self) -> ExploreBook:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Pages of a selector, and counts over the newest of its nodes."""
        from sql.datasets.explore_book import GUEST_FACET_NODES_MAX, ExploreBook

        return ExploreBook(self, GUEST_FACET_NODES_MAX)

    @property
    def events(self) -> EventBook:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What happened to batches that were granted, in the one order that there is."""
        from sql.events.event_book import EventBook

        return EventBook(self, self._database)

    def read_rights(self, limit_s: float = float("inf")) -> None:
        """Note what grants reach; see `Database.read_rights`."""
        from sql.rights import reach

        reach.read_all(self._database, limit_s)

    def rights_on(self, key: str) -> tuple[Right, ...]:
        """Return all rights that the guest has on a node; none on one that is not seen."""
        with self.reading() as connection:
            return tuple(value_of(connection, _RIGHTS, [bytes.fromhex(key)]) or ())

    def check_sees(self, key: str) -> None:
        """Raise NotFoundError for a node that the guest does not see, or that is not there."""
        with self.reading() as connection:
            if connection.execute(_SEES, [bytes.fromhex(key)]).fetchone() is None:
                raise NotFoundError("there is no such node")

    def holds(self) -> bool:
        """Tell whether anything is granted by the right of this view."""
        with self.reading() as connection:
            return value_of(connection, _SQL["holds"])

    def shared(self, limit: int) -> list[SharedContent]:
        """Return what there is with bytes, hidden nodes left out, by node_id.

        Raises NotFoundError where nothing is granted, or not any more.
        """
        with self.reading() as connection:
            if not value_of(connection, _SQL["holds"]):
                raise NotFoundError("nothing is shared here, or not any more")
            return rows_of(connection, SharedContent, _SQL["shared"], _wanted(None, limit))

    def shared_content(self, key: str) -> SharedContent:
        """Return one of these by its key; NotFoundError for all else."""
        with self.reading() as connection:
            found = rows_of(connection, SharedContent, _SQL["shared"], _wanted(key, 1))
        if not found:
            raise NotFoundError("nothing is shared here, or not any more")
        return found[0]


def _wanted(key: str | None, limit: int) -> dict[str, Any]:
    return {"sha256": bytes.fromhex(key) if key else None, "limit": limit}
