"""Fixtures that all tests share: a real store on folders in a temporary place, with its engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import command
import pytest
from store_harness import MIB, Store, write_files

from fsd.setup import init_store


@pytest.fixture
def short_tmp() -> Iterator[str]:
    """A temporary folder with a short path: a unix socket's path has at most 107 bytes."""
    folder = tempfile.mkdtemp(prefix="ds-")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(short_tmp: str) -> Iterator[Callable[..., Store]]:
    """A function that makes a store with N folder disks and starts its engine.

    All options of `init_store` may be given. `started=False` leaves the engine off.
    """
    made: list[Store] = []

    def make(disks: int = 3, *, started: bool = True, **options: object) -> Store:
        root = os.path.join(short_tmp, f"store{len(made)}")
        paths = [os.path.join(root, f"d{number}") for number in range(1, disks + 1)]
        settings = {"min_free_bytes": MIB, "shard_size_bytes": 4 * MIB, **options}
        config = init_store(root, paths, None, **settings)
        made.append(Store(root, config, paths))
        if started:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def source(tmp_path) -> str:
    """A folder with `command.FILES`, one of which has a hostile name."""
    return write_files(str(tmp_path / "source"), command.FILES)


@pytest.fixture
def filled(store, source) -> Store:
    """A running store whose batch `pets` holds `command.FILES`."""
    made = store()
    made.put(source, "pets")
    return made


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-points", type=int, default=240, help="kills in the crash test")
    parser.addoption("--crash-seed", default="", help="replay the crash test with this seed")
    parser.addoption("--slow", action="store_true", help="also tests that measure by the clock")
    parser.addoption("--power-cuts", type=int, default=6, help="cuts in the power cut test")
    parser.addoption("--power-seed", default="", help="replay the power cut test with this seed")
