"""Fixtures of the jobs: a store's jobs without its engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jobs_harness import Yard, import_trial_workflows, make_yard
from webhook_place import Hook, Place, serving

from sql import Database


@pytest.fixture
def yards(short_tmp: str, database_url: str) -> Iterator[Callable[..., Yard]]:
    """A function that makes a configuration with a database of its own; nothing runs yet."""
    import_trial_workflows()
    with ExitStack() as stack:

        def make(**settings: Any) -> Yard:
            root = os.path.join(short_tmp, "yard")
            os.makedirs(root)
            yard = make_yard(root, database_url, **settings)
            stack.callback(yard.database.close)
            stack.callback(yard.stop)
            return yard

        yield make


@pytest.fixture
def yard(yards: Callable[..., Yard]) -> Yard:
    """A configuration whose Redis runs."""
    made = yards()
    made.start_redis()
    return made


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving(Hook()) as server:
        yield server


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    path = tmp_path / "drystone.toml"
    path.write_text('[jobs.webhooks]\nallowed_networks = ["127.0.0.0/8"]\n')
    return Place(database, str(path))
