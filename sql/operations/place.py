"""The place of work of operations on the database: its configuration, and it when it is needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from base.config import find_config
from base.operations.operation import Caller, Right
from base.output import say

if TYPE_CHECKING:
    from sql.database.database import Database


class Place:
    """The database of a store, for one command or one server; it stays its giver's.

    `say` takes what happens on the way, for whoever waits for an answer.
    """

    def __init__(
        self,
        config_path: str,
        database: Callable[[], Database],
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.config_path = config_path
        self.say = say
        self.received: Any = None
        """What receives for the store, in the process that does: it knows what was accepted before
        the database does."""
        self._database = database

    @functools.cached_property
    def database(self) -> Database:
        """The database. Raises DatabaseUnavailableError."""
        return self._database()

    def seen_by(self, caller: Caller, right: Right | None = None) -> Place:
        """Return what a guest is shown of it: what was granted by a right; by `view` when it is
        left out, for programs by `api`."""
        assert caller.user_id is not None
        right = right or ("api" if caller.token else "view")
        view = self.database.seen_by(caller.user_id, right)
        # Operations for guests ask what both can be asked.
        return Place(self.config_path, lambda: cast("Database", view))


@contextmanager
def opened(config: str | None) -> Generator[Place]:
    """Yield the database of a store; an embedded one that is down is started for the command."""
    path = find_config(config)
    with ExitStack() as stack:

        def database() -> Database:
            from sql.database.database import Database

            return stack.enter_context(Database.open(path, say))

        yield Place(path, database, say)
