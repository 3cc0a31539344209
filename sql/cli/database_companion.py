"""The database as a companion of the store: it owns what `up`, `down` and `status` do about it.

Everything is imported where it is needed: the front door loads this module for every command.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from base.errors import DrystoneError


class DatabaseCompanion:
    """Starts and stops the embedded server; a database with a dsn is somebody else's to run."""

    name = "database"

    def start(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Start the server and bring the schema up to date. Raises SqlError."""
        from sql.copies import unrestored
        from sql.core.config import load_config
        from sql.database.database import Database

        config = load_config(config_path)
        if not config.embedded:
            return

        if warning := unrestored.warning(config):
            say(f"warning: {warning}")
        was_up, _ = self.status(config_path)
        with Database.open(config_path, say):
            say("the database was up already" if was_up else "the database is up")

    def stop(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop the server. Raises SqlError."""
        from sql.core.config import load_config
        from sql.database.database import place_of
        from sql.server import server

        config = load_config(config_path)
        if not config.embedded:
            return

        stopped = server.stop(place_of(config))
        say("the database is down" if stopped else "the database was down already")

    def status(self, config_path: str) -> tuple[bool, str]:
        """Tell whether the server runs, and a line about it."""
        from sql.copies import unrestored
        from sql.core.config import load_config
        from sql.database.database import place_of
        from sql.server import server

        try:
            config = load_config(config_path)
        except DrystoneError as error:
            return False, str(error)
        if not config.embedded:
            return True, "not ours to start (dsn in [database]); see `drystone db health`"

        found = server.find(place_of(config))
        if found is None:
            return False, "down; start it with `drystone up`"
        if found.stopping:
            return False, f"process {found.pid} is being stopped, and waits for its clients"
        if not found.ready:
            return False, f"process {found.pid} is starting"
        minutes = max(0.0, time.time() - found.started_s) / 60
        warning = unrestored.warning(config) or place_of(config).refusal()
        text = f"up for {minutes:.0f} min, process {found.pid}"
        return True, f"{text}; warning: {warning}" if warning else text


companion = DatabaseCompanion()
