"""What the commands of this folder share: it owns the way to runs, and their options."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig
    from jobs.runs.control import RunControl
    from sql import Database

RunArgument = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Its number.")]


class Session:
    """The runs of a store, opened for one command."""

    def __init__(
        self, config_path: str, config: JobsConfig, database: Database, control: RunControl
    ) -> None:
        self.config_path = config_path
        self.config = config
        self.database = database
        self.control = control


@contextmanager
def opened(config: str | None) -> Generator[Session]:
    """Yield the runs of a store; the database has to be up."""
    from jobs.core.config import load_jobs_config
    from jobs.runs.control import RunControl
    from sql import Database

    path = find_config(config)
    jobs_config = load_jobs_config(path)
    with Database.open(path, start=False) as database:
        control = RunControl(path, database, jobs_config)
        yield Session(path, jobs_config, database, control)


def person() -> str:
    """Return who sits at the command line."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def time_text(moment: datetime | None) -> str:
    """Return a time in this machine's zone, '' for none."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
