"""The database as others see it: it owns how one is opened, and the list of what it can be asked.

Each method is one transaction and hands the work to the module that knows it, which is loaded only
then. Connections never leave this folder, and a server that is gone always appears as
DatabaseUnavailableError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from base.config import find_config
from sql.copies import unrestored
from sql.core.config import DatabaseConfig, load_config
from sql.core.errors import DatabaseUnavailableError
from sql.core.transactions import STATEMENT_TIMEOUT_S
from sql.database.books import Books
from sql.server import server

if TYPE_CHECKING:
    from base.operations.operation import Right
    from sql.core.declared import DeclaredTable
    from sql.core.health import Health
    from sql.database.guest_view import GuestView
    from sql.intent.intent import IntentResult, WriteIntent
    from sql.intent.tree_rebuild import DerivedCheck
    from sql.selector.select import Explanation
    from sql.selector.selector import Selector

REOPEN_TIMEOUT_S = 10.0
REOPEN_POLL_S = 0.1
REACHED_S = 1.0
"""So long a writer notes what grants reach; the rest is the scheduler's."""


class Database(Books):
    """A database that is up to date. Use `open` or `connect`, and it as a context manager."""

    @classmethod
    def open(
        cls,
        config_path: str | None = None,
        say: Callable[[str], None] = lambda _: None,
        *,
        start: bool = True,
    ) -> Database:
        """Open the database of a store, starting the embedded server when it does not run.

        `config_path` is a drystone.toml or its folder; None looks here and above. With
        `start=False` a server that does not run is a DatabaseUnavailableError.
        """
        config = load_config(find_config(config_path))
        if not start and config.embedded and server.find(place_of(config)) is None:
            raise DatabaseUnavailableError("the database is down; start it with `drystone up`")
        if not config.embedded:
            return cls(config.dsn, config.statement_timeout_s, ssd=config.ssd)
        deadline = time.monotonic() + REOPEN_TIMEOUT_S
        while True:
            dsn = dsn_of(config, say)
            try:
                return cls(
                    dsn, config.statement_timeout_s, place_of(config).refusal, ssd=config.ssd
                )
            except DatabaseUnavailableError:
                # One that finds no room to replay its log ends in a moment; the next one has the
                # room of the ballast.
                if not start or time.monotonic() > deadline:
                    raise
            time.sleep(REOPEN_POLL_S)

    @classmethod
    def connect(cls, dsn: str, statement_timeout_s: float = STATEMENT_TIMEOUT_S) -> Database:
        """Open the database behind a connection string (URL or key=value) and migrate it."""
        return cls(dsn, statement_timeout_s)

    def seen_by(self, user_id: int, right: Right = "view") -> GuestView:
        """Return the database as a guest sees it: what was granted by a right."""
        from sql.core.guests import Guest
        from sql.database.guest_view import GuestView

        return GuestView(self, Guest(right, user_id))

    def shared_by(self, secret: str, right: Right = "view") -> GuestView:
        """Return the database as whoever has a link sees it, by a right."""
        from sql.core.guests import Guest, hash_of_link
        from sql.database.guest_view import GuestView

        return GuestView(self, Guest(right, link_hash=hash_of_link(secret)))

    def health(self) -> Health:
        """Return the versions, sizes and figures of the server and the schema."""
        from sql.core import health

        with self.connection() as connection:
            return health.health(connection, reader_role=self.reader_role)

    # ---- Writing and asking ----------------------------------------------------------------------

    def apply_intent(self, intent: WriteIntent) -> IntentResult:
        """Write what an intent says, all of it or nothing; the same intent again does nothing."""
        from sql.intent import apply

        with self.connection() as connection:
            result = apply.apply_intent(connection, intent)
        if not result.repeated:
            self.read_words()
            self.read_rights(REACHED_S)
        return result

    def read_words(self) -> None:
        """Make nodes that were written since findable by their words; see sql/search/words.py."""
        from sql.search import words

        while words.read_on(self):
            pass

    def read_rights(self, limit_s: float = float("inf")) -> None:
        """Note what grants reach since something was granted or written; see sql/rights/."""
        from sql.rights import reach

        reach.read_all(self, limit_s)

    def check_derived(self) -> DerivedCheck:
        """Compare root, component and depth of all nodes with what their edges say."""
        from sql.intent import tree_rebuild

        with self.connection() as connection:
            return tree_rebuild.check_derived(connection)

    def rebuild_derived(self) -> DerivedCheck:
        """Put root, component and depth of all nodes right; returns what was wrong."""
        from sql.intent import tree_rebuild

        with self.connection() as connection:
            return tree_rebuild.rebuild_derived(connection)

    def declare(self, table: DeclaredTable) -> bool:
        """Make or migrate a declared table; False when it was so already. Raises SchemaError."""
        from sql.core import declared

        with self.connection() as connection:
            return declared.declare(connection, table)

    def declared_tables(self) -> list[DeclaredTable]:
        """Return all declarations, by name of the table."""
        from sql.core import declared

        with self.reading() as connection:
            return declared.declared_tables(connection)

    def explain(self, selector: Selector) -> Explanation:
        """Return the statement that a selector becomes and what the planner expects of it."""
        from sql.selector import select

        with self.reading() as connection:
            return select.explain(connection, selector)

    def file_extensions(self) -> frozenset[str]:
        """Return the extensions that physical content may have."""
        from sql.core import file_types

        with self.reading() as connection:
            return file_types.file_extensions(connection)

    def physical_contents(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of every physical content, deleted ones too, in no order."""
        from sql.core import contents

        with self.reading() as connection:
            yield from contents.physical_contents(connection)


def dsn_of(config: DatabaseConfig, say: Callable[[str], None] = lambda _: None) -> str:
    """Return the connection string of a store, with its embedded server up if it has one."""
    if not config.embedded:
        return config.dsn
    place = place_of(config)
    unrestored.tell_if_new(config, say)
    server.start(place, say)
    return server.dsn(place)


def place_of(config: DatabaseConfig) -> server.Place:
    """Return where the embedded server of a store lives."""
    return server.Place(config.data, config.run_dir, has_ballast=True)
