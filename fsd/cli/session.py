"""What all commands of the store share: its configuration, and the client of its engine."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.disks.config import Config


def open_config(given: str | None) -> Config:
    """Read the configuration that a command was pointed at."""
    from base.config import find_config
    from fsd.disks.config import load_config

    return load_config(find_config(given))


def connect(given: str | None) -> Client:
    """Return the client of the store that a command was pointed at."""
    from fsd.client.client import Client

    settings = open_config(given)
    return Client(settings.socket_path, settings.run_dir)


@contextmanager
def opened(given: str | None) -> Generator[Client]:
    """Yield the client, the place of work of the store's operations."""
    yield connect(given)
