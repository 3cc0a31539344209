"""A group on its way to one disk: its requests, and that an export between them can be kept off."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from fsd.growing_shards import GrowingShards
from fsd.queue_rule import GRACE_S, Gate, Kind
from fsd.shard_file import FreeStep

HEAD = b"h" * 4096
GROUP_BYTES = 3 << 20
SYNC = 0


class Asking(FreeStep):
    """Notes what is asked for, and how long the file was then; no two requests run at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[int, int]] = []
        self.runs = False

    def begin(self, wanted_bytes: int) -> int:
        assert not self.runs
        self.runs = True
        self.asked.append((wanted_bytes, self.path.stat().st_size if self.path.exists() else -1))
        return wanted_bytes

    def end(self) -> None:
        self.runs = False


@pytest.mark.parametrize("head", [HEAD, b""], ids=["first", "later"])
def test_all_that_moves_the_head_is_a_request(tmp_path: Path, head: bytes):
    """Making the file and syncing it too: between two of them nobody else is let in for a while."""
    path = tmp_path / "aa" / "shard"
    step = Asking(path)
    growing = GrowingShards(step)
    view = memoryview(mmap.mmap(-1, GROUP_BYTES))
    view[:] = b"g" * GROUP_BYTES
    if not head:
        growing.create(str(path), HEAD, 8 << 20)
        step.asked.clear()
    growing.write_group(str(path), head, 8 << 20, view, len(HEAD), False)
    whole = len(HEAD) + GROUP_BYTES
    first = -1 if head else len(HEAD)
    heads = [(len(HEAD), 0)] if head else []
    read_back = [(len(HEAD), whole)] if head else []
    pieces = [(1 << 20, whole)] * 3
    expected = [(SYNC, first), *heads, (GROUP_BYTES, len(HEAD)), (SYNC, whole)]
    assert step.asked == [*expected, *read_back, *pieces]
    assert path.read_bytes() == HEAD + b"g" * GROUP_BYTES


def test_a_put_has_its_turn_until_it_pauses():
    """An export that came meanwhile reads on when the put has read back what it wrote."""
    gate, put, export = Gate(), object(), object()
    steps: list[int] = []
    for _ in range(5):
        gate.pass_in(Kind.BATCH, 4096, lambda: None, put)
        gate.go_out(Kind.BATCH)
    gate.pass_in(Kind.BATCH, 4096, lambda: steps.append(1), export)
    gate.go_out(Kind.BATCH)
    assert steps, f"it did not wait for {GRACE_S} s of rest"
