"""From one window to the next: the disk goes on where it stands, through holes as within one."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from shard_fixture import SHARD_ID, build_shard
from shard_fixture import write_file as write

from fsd.disk_io.extract.extract_requests import Extractor
from fsd.disk_io.extract.extract_windows import HOLE_BYTES_MAX, Item, plan_windows
from fsd.disk_io.shard_file import no_step


def plan(*records: tuple[int, int]) -> list[tuple[int, ...]]:
    items = [Item(offset, length, bytes(32), ()) for offset, length in records]
    return [tuple(window) for window in plan_windows(items, 8192)]


def test_a_window_goes_on_where_the_one_before_ends():
    assert plan((0, 4000), (8192, 4000)) == [(0, 4096, 0, 1), (4096, 12288, 1, 2)]


def test_a_window_holds_no_hole_that_does_not_fit_or_is_jumped_over():
    assert plan((0, 4000), (8192, 8000))[1] == (8192, 16384, 1, 2)
    assert plan((0, 4000), (8192, 20_000))[1] == (8192, 28672, 1, 2)
    far = 4096 + HOLE_BYTES_MAX
    assert plan((0, 4000), (far, 4000))[1] == (far, far + 4096, 1, 2)
    assert plan((0, 4000), (far + 4096, 4000))[1] == (far + 4096, far + 8192, 1, 2)


def test_the_disk_is_asked_for_one_range_without_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    contents = [bytes([number]) * 700_000 for number in range(40)]
    shard = build_shard([contents])
    entries = list(enumerate(shard.entries))[::2]
    items = [Item(e.offset, e.length_bytes, e.key, (b"%d" % n,)) for n, e in entries]
    assert len(plan_windows(items)) > 2
    target = tmp_path / "target"
    target.mkdir()
    reads: list[tuple[int, int]] = []
    preadv = os.preadv

    def noted(fd: int, views: list[memoryview], offset: int) -> int:
        count = preadv(fd, views, offset)
        reads.append((offset, offset + count))
        return count

    fd = write(tmp_path / "shard", shard.data)
    monkeypatch.setattr(os, "preadv", noted)
    try:
        assert Extractor(no_step).run(fd, SHARD_ID, items, str(target))[2] == []
    finally:
        os.close(fd)
    assert all(end == start for (_, end), (start, _) in pairwise(reads))
    assert {int(path.name): path.read_bytes() for path in target.iterdir()} == {
        number: contents[number] for number, _ in entries
    }
