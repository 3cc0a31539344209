"""Fixtures of the lab's own tests: emulated disks in a short temporary place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from . import EmulatedDisk, HddModel

SIZE_BYTES = 256 << 20


@pytest.fixture
def disk(short_tmp: str) -> Iterator[Callable[..., EmulatedDisk]]:
    """A function that starts an emulated disk, without latency; all are gone after the test."""
    made: list[EmulatedDisk] = []

    def make(model: HddModel | None = None, **options: object) -> EmulatedDisk:
        path = os.path.join(short_tmp, f"m{len(made)}")
        settings = {"fast": True, "work": short_tmp, **options}
        one = EmulatedDisk(path, model or HddModel(SIZE_BYTES), **settings)
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.close()
