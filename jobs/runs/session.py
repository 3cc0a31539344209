"""The place of work of operations on runs: what is configured, and a database when it is needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from base.config import find_config
from base.output import say
from sql import Place

if TYPE_CHECKING:
    from base.network.breaker import Breaker
    from jobs.core.config import JobsConfig
    from jobs.runs.control import RunControl
    from sql import Database


class Session(Place):
    """The runs of a store, for one command or one server; the database stays its giver's."""

    def __init__(
        self,
        config_path: str,
        database: Callable[[], Database],
        say: Callable[[str], None] = lambda _line: None,
        breaker: Breaker | None = None,
    ) -> None:
        from jobs.core.config import load_jobs_config
        from jobs.runs.registry import load_extra_workflows

        super().__init__(config_path, database, say)
        self._breaker = breaker
        self.config: JobsConfig = load_jobs_config(config_path)
        load_extra_workflows(self.config)

    @functools.cached_property
    def control(self) -> RunControl:
        """What starts and changes runs."""
        from jobs.runs.control import RunControl

        return RunControl(self.config_path, self.database, self.config, self._breaker)


@contextmanager
def opened(config: str | None) -> Generator[Session]:
    """Yield the runs of a store; the database has to be up when it is asked."""
    path = find_config(config)
    with ExitStack() as stack:

        def database() -> Database:
            from sql import Database

            return stack.enter_context(Database.open(path, start=False))

        yield Session(path, database, say)
