"""Fixtures for the tests of child processes: a disk, and processes that serve it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsd.disk_io import disk_process
from fsd.disk_io.place.identity import make_identity
from fsd.process.process import Child
from fsd.process.slots import SlotPool

STORE = "5" * 32
SLOT_BYTES = 1 << 20


@pytest.fixture
def pool() -> Iterator[SlotPool]:
    pool = SlotPool(3, SLOT_BYTES)
    yield pool
    pool.close()


@pytest.fixture
def spawn(pool: SlotPool) -> Iterator[Callable[[], Child]]:
    """Start disk processes; they are dead before the slots are closed."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child("fsd.disk_io.disk_process", "d1", disk_process.LANES, pool))
        # Answering once, it has started: what is measured later is not Python's start.
        children[-1].call("find", "none", [])
        return children[-1]

    yield start
    for child in children:
        child.kill()
        assert child.wait_dead(60)


@pytest.fixture
def disk(tmp_path: Path) -> tuple[str, str]:
    """Return (path, disk id) of a new disk."""
    path = str(tmp_path / "disk")
    os.mkdir(path)
    return path, make_identity(path, STORE, "d1")["disk_id"]


@pytest.fixture
def child(spawn: Callable[[], Child], disk: tuple[str, str]) -> Child:
    child = spawn()
    child.call("attach", disk[0], disk[1], STORE, 1)
    return child
