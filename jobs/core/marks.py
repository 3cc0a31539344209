"""The marks of long-running processes: files that who runs under a name holds locked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig

WHILE_UP = "--while-up"
"""Last argument of what runs only for as long as `up` holds."""


def worker_mark(config: JobsConfig, name: str) -> str:
    """Return the mark of a worker."""
    return os.path.join(config.run_dir, f"worker-{name}.mark")


def scheduler_mark(config: JobsConfig) -> str:
    """Return the mark of the scheduler, named as before: `down` ends one of the last version."""
    return os.path.join(config.run_dir, "keeper.mark")
