"""A restore, or a backup, that kills itself: started by tests with CONFIG, STEP and packages.

Each step is a function; the process dies with SIGKILL right after its first return, or before it
for those that begin with "before ".
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from adapters import backup_partner
from adapters.cold_storage import restore, send
from sql import Database, make_backup
from sql.backup import data

STEPS: dict[str, tuple[Any, str]] = {
    "stored": (restore, "_store"),
    "pinned": (restore, "bring_back_state"),
    "before filled": (data, "fill"),
    "placed": (restore, "put_in_place"),
    "registered": (restore, "register"),
    "group written": (send, "write_group"),
    "database written": (send, "write_database"),
    "older dropped": (send, "_drop_older"),
}
RESTORE_STEPS = ("stored", "pinned", "before filled", "placed", "registered")
BACKUP_STEPS = ("group written", "database written", "older dropped")


def kill_in(step: str) -> None:
    """Let a step be the last thing that this process does."""
    place, name = STEPS[step]
    real = getattr(place, name)

    def killed(*arguments: Any, **options: Any) -> None:
        if not step.startswith("before "):
            real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, killed)


def main(config_path: str, step: str, *places: str) -> None:
    kill_in(step)
    if places:
        with Database.open(config_path) as database:
            restore.restore(config_path, list(places), database)
        return
    make_backup(config_path, package=backup_partner.packager(config_path))


if __name__ == "__main__":
    main(*sys.argv[1:])
