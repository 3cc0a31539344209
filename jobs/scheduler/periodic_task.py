"""A periodic task of the scheduler: what is done every so often, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig
    from jobs.queues.queues import Deliverer
    from sql import Database

TURN_S = 60.0


@dataclass(slots=True)
class Watch:
    """What periodic tasks work with."""

    config_path: str
    config: JobsConfig
    database: Database
    deliverer: Deliverer


@dataclass(slots=True)
class PeriodicTask:
    """Something to look at every `interval_s`. `shared` ones are done by every scheduler.

    One that waits for others (a command, a store that hangs) is done `apart`, in a thread: what
    keeps runs going must not wait for it. After `turn_s` another scheduler may do it, too: this one
    may be frozen. So every periodic task is safe beside itself.
    """

    name: str
    interval_s: float
    function: Callable[[Watch], None]
    shared: bool = False
    apart: bool = False
    turn_s: float = TURN_S
    due_s: float = field(default=0.0)
