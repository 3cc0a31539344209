"""Fixtures of UA_1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import database_harness
import pytest
from ingest_harness import House, make_house
from store_harness import Store


@pytest.fixture
def houses(
    store: Callable[..., Store], database_server: str, database_template: str
) -> Iterator[Callable[[], House]]:
    """A function that makes a running store of three disks with an empty database of its own."""
    with ExitStack() as stack:

        def make() -> House:
            new = database_harness.new_database(database_server, database_template)
            house = make_house(store(), stack.enter_context(new))
            stack.callback(house.database.close)
            return house

        yield make


@pytest.fixture
def house(houses: Callable[[], House]) -> House:
    """A running store with its database."""
    return houses()
