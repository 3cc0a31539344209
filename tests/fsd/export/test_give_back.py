"""What a request of an extraction has not begun is taken back: never written after that by it."""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shard_fixture import SHARD_ID, Shard, build_shard
from shard_fixture import write_file as write

from fsd.disk_io.extract.extract import Item
from fsd.disk_io.extract.extract_requests import Extractor, Request
from fsd.disk_io.shard_file import FreeStep, no_step

MIB = 1 << 20


@pytest.fixture(scope="module")
def big_shard() -> Shard:
    """Small records on both sides of one of three windows, then more than two windows of others."""
    chance = random.Random(1)
    rows = [[b"before", chance.randbytes(20 * MIB + 5), b"after"]]
    return build_shard([*rows, [chance.randbytes(MIB) for _ in range(20)]])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def items_of(shard: Shard) -> list[Item]:
    entries = enumerate(shard.entries)
    return [Item(e.offset, e.length_bytes, e.key, (b"f%d" % n,)) for n, e in entries]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def expected(shard: Shard, count: int) -> dict[str, bytes]:
    return {f"f{n}": shard.payload(entry) for n, entry in enumerate(shard.entries[:count])}


class Held(FreeStep):
    """A disk that hangs: its reads wait from the given one on."""

    def __init__(self, reads: int) -> None:
        self.left = reads
        self.hangs = threading.Event()
        self.released = threading.Event()

    def begin(self, wanted_bytes: int) -> int:
        self.left -= 1
        if self.left < 0:
            self.hangs.set()
            self.released.wait()
        return wanted_bytes


@pytest.mark.fault
@pytest.mark.parametrize("reads", [0, 1, 3])
def test_what_a_hanging_disk_has_not_begun_is_given_back_and_never_written(
    big_shard: Shard, tmp_path: Path, target: Path, reads: int
):
    """A large record's pieces are the first reads: its file is begun, and ends with the hang."""
    step = Held(reads)
    extractor = Extractor(step)
    items = items_of(big_shard)
    fd = write(tmp_path / "shard", big_shard.sealed())
    with ThreadPoolExecutor(1) as lane:
        running = lane.submit(extractor.run_for, Request(7, fd, SHARD_ID, items, str(target)))
        assert step.hangs.wait(60)
        begun = {0: 0, 1: 1, 3: 2}[reads]
        until_begun = time.monotonic() + 60
        while len(os.listdir(target)) < begun and time.monotonic() < until_begun:
            time.sleep(0.001)
        kept = extractor.give_back(7)
        assert kept is not None and kept.end <= len(items)
        there = files_in(target).keys()
        step.released.set()
        answer = running.result(60)
        assert extractor.give_back(7) is None
    os.close(fd)
    assert (answer.end, answer.whole, answer.failures) == (kept.end, True, [])
    assert not kept.whole or (answer.files, there) == (kept.files, files_in(target).keys())
    assert files_in(target) == expected(big_shard, kept.end)


def test_a_request_that_waits_is_given_back_as_a_whole(
    big_shard: Shard, tmp_path: Path, target: Path
):
    shard, extractor = big_shard, Extractor(no_step)
    assert extractor.give_back(8) == (0, True, 0, 0, [])
    fd = write(tmp_path / "shard", shard.sealed())
    items = items_of(shard)
    assert extractor.run_for(Request(8, fd, SHARD_ID, items, str(target))).end == 0
    assert os.listdir(target) == []
    assert extractor.run_for(Request(9, fd, SHARD_ID, items, str(target))).end == len(items)
    os.close(fd)
    assert files_in(target) == expected(shard, len(items))


def test_half_of_what_is_left_is_shared_while_the_request_runs(
    big_shard: Shard, tmp_path: Path, target: Path
):
    """Again and again, until there is nothing to halve; what is shared is not written here."""
    step = Held(1)  # It has read the small record, and waits for the large one behind it.
    extractor = Extractor(step)
    items = items_of(big_shard)
    fd = write(tmp_path / "shard", big_shard.sealed())
    with ThreadPoolExecutor(1) as lane:
        running = lane.submit(extractor.run_for, Request(7, fd, SHARD_ID, items, str(target)))
        assert step.hangs.wait(60)
        ends = [len(items)]
        while (kept := extractor.give_back(7, True)) is not None:
            assert kept == (kept.end, False, 0, 0, [])
            ends.append(kept.end)
        step.released.set()
        answer = running.result(60)
    os.close(fd)
    assert len(ends) > 1 and ends == sorted(set(ends), reverse=True)
    assert (answer.end, answer.whole, answer.failures) == (ends[-1], True, [])
    assert files_in(target) == expected(big_shard, ends[-1])


def test_what_is_shared_at_any_moment_is_written_once(
    big_shard: Shard, tmp_path: Path, target: Path
):
    """One halves all the time what the other runs, and does what it was given."""
    items, owner, thief = items_of(big_shard), Extractor(no_step), Extractor(no_step)
    fds = [write(tmp_path / name, big_shard.sealed()) for name in ("one", "two")]
    rest: list[Item] = []
    with ThreadPoolExecutor(1) as lane:
        running = lane.submit(owner.run_for, Request(1, fds[0], SHARD_ID, items, str(target)))
        end = len(items)
        while not running.done():
            if (kept := owner.give_back(1, True)) is not None:
                # Before it has begun it gives back all of it, as often as it is asked.
                assert kept.end < end or kept == (0, True, 0, 0, [])
                rest, end = items[kept.end : end] + rest, kept.end
        answer = running.result(60)
    assert answer.end == end and files_in(target) == expected(big_shard, end)
    assert thief.run_for(Request(2, fds[1], SHARD_ID, rest, str(target))).failures == []
    for fd in fds:
        os.close(fd)
    assert files_in(target) == expected(big_shard, len(items))
