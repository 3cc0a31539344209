"""What store and cold storage add to a backup of the database: a sample of files, and packages.

The front door loads this module for every command, so it imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sql import Packager


class BackupPartner:
    """See `sql.BackupPartner`."""

    def sample_check(self, config_path: str) -> Callable[[list[str]], list[str]]:
        """Return a function that lists which of some keys the store does not have readable."""

        def check(keys: list[str]) -> list[str]:
            from base.errors import DrystoneError
            from fsd import Client, load_config

            client = Client(load_config(config_path).socket_path)
            problems: list[str] = []
            for key in keys:
                try:
                    head = client.head(key)
                except DrystoneError as error:
                    problems.append(f"{key} is in the backup and not in the store: {error}")
                    continue
                if head.copies < 1:
                    problems.append(f"{key} has no readable copy in the store")
            return problems

        return check

    def packager(self, config_path: str) -> Packager:
        """Return what makes packages for cold storage of a good backup."""
        from adapters.cold_storage.send import packager

        return packager(config_path)


backup_partner = BackupPartner()
