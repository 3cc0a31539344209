"""Fixtures of datasets: a running store with its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import database_harness
import pytest
from dataset_house import House, make_house
from store_harness import Store


@pytest.fixture
def house(
    store: Callable[..., Store], database_server: str, database_template: str
) -> Iterator[House]:
    """A running store of three disks with an empty database of its own."""
    with ExitStack() as stack:
        new = database_harness.new_database(database_server, database_template)
        made = make_house(store(), stack.enter_context(new))
        stack.callback(made.database.close)
        yield made
