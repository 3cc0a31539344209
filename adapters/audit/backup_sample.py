"""A sample of a restored backup against the store: it owns asking the store about the keys.

The front door loads this module for every command, so it imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Callable

from base.errors import DrystoneError


def sample_check(config_path: str) -> Callable[[list[str]], list[str]]:
    """Return a function that lists which of some keys the store does not have readable."""

    def check(keys: list[str]) -> list[str]:
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
