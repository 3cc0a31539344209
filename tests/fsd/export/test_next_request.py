"""While the last files of a request are written, the first windows of the next one are read."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections import deque
from functools import partial
from pathlib import Path

import pytest
from shard_fixture import SHARD_ID, Shard, build_shard, key_of, store_shard
from store_checks import until

from fsd.disk_io.extract.extract import Failure
from fsd.disk_io.extract.extract_requests import Extractor, Request
from fsd.disk_io.extract.extract_windows import Item
from fsd.disk_io.shard_file import FreeStep, no_step, open_direct
from fsd.format.layout import shard_path
from fsd.process.process import Child

pytest_plugins = ("child_fixture",)

MIB = 1 << 20


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def written(folder: Path, number: int, payloads: list[bytes]) -> tuple[Shard, str]:
    shard, path = build_shard([payloads]), folder / f"shard-{number}"
    path.write_bytes(shard.sealed())
    return shard, str(path)


def request(number: int, shard: Shard, path: str, target: Path) -> Request:
    items = [
        Item(entry.offset, entry.length_bytes, entry.key, (entry.key.hex().encode(),))
        for entry in shard.entries
    ]
    file = partial(open_direct, path, os.O_RDONLY)
    return Request(number, file, SHARD_ID, items, str(target))


def one_of(folder: Path, number: int, target: Path, size: int = 3 * MIB) -> Request:
    payload = bytes([number]) * size
    return request(number, *written(folder, number, [payload]), target)


def test_the_next_request_is_read_before_the_first_has_ended(tmp_path: Path, target: Path):
    first, second = (one_of(tmp_path, number, target) for number in (1, 2))
    extractor = Extractor(no_step, iter([second]).__next__)
    assert extractor.run_for(first).files == 1
    # Reading is in order: had it not been asked for yet, it would fail now.
    extractor._ahead.thread.submit(lambda: None).result()
    with open(tmp_path / "shard-2", "r+b") as file:
        file.truncate(0)
    extractor._upcoming = lambda: None
    assert extractor.run_for(second).failures == []
    assert sorted(os.listdir(target)) == sorted(key_of(bytes([n]) * 3 * MIB).hex() for n in (1, 2))


def test_another_request_comes_between(tmp_path: Path, target: Path):
    first, second, urgent = (one_of(tmp_path, number, target) for number in (1, 2, 3))
    extractor = Extractor(no_step, lambda: second)
    for one in (first, urgent, second):
        kept = extractor.run_for(one)
        assert (kept.files, kept.failures) == (1, [])
    assert {path.name for path in target.iterdir()} == {
        key_of(path.read_bytes()).hex() for path in target.iterdir()
    }


def test_what_was_read_of_it_is_given_back(tmp_path: Path, target: Path):
    first, second, third = (one_of(tmp_path, number, target) for number in (1, 2, 3))
    extractor = Extractor(no_step, lambda: second)
    assert extractor.run_for(first).files == 1
    given = extractor.give_back(2)
    assert given is not None and (given.end, given.whole) == (0, True)
    assert extractor.run_for(second).end == 0
    extractor._upcoming = lambda: None
    assert extractor.run_for(third).files == 1
    assert len(os.listdir(target)) == 2


def test_a_shard_that_is_gone_fails_its_own_request_only(tmp_path: Path, target: Path):
    first, second = (one_of(tmp_path, number, target) for number in (1, 2))
    os.unlink(tmp_path / "shard-2")
    extractor = Extractor(no_step, lambda: second)
    assert extractor.run_for(first).failures == []
    with pytest.raises(FileNotFoundError):
        extractor.run_for(second)


def open_below(folder: Path) -> list[str]:
    """Return what this process holds open below a folder: others' files come and go beside it."""
    opened = list[str]()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            opened.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in opened if path.startswith(f"{folder}/")]


def test_no_file_stays_open(tmp_path: Path, target: Path):
    requests = [one_of(tmp_path, number, target) for number in range(1, 7)]
    with open(tmp_path / "shard-1", "rb") as file:
        assert open_below(tmp_path) == [file.name]
    waiting = deque(requests[1:])
    extractor = Extractor(no_step, lambda: waiting[0] if waiting else None)
    extractor.run_for(requests[0])
    while waiting:
        extractor.run_for(waiting.popleft())
    assert open_below(tmp_path) == []


@pytest.mark.parametrize("seed", range(6))
def test_requests_share_the_buffers_without_harm(tmp_path: Path, target: Path, seed: int):
    """Records of all sizes, ends before their time, failures: each file has its own bytes."""
    chance = random.Random(seed)
    sizes = (10, 5_000, 700_000, 3 * MIB, 9 * MIB, 17 * MIB)
    waiting: deque[tuple[Request, set[int]]] = deque()
    for number in range(1, 7):
        payloads = [chance.randbytes(chance.choice(sizes)) for _ in range(chance.randint(1, 9))]
        shard, path = written(tmp_path, number, payloads)
        damaged = {n for n in range(len(payloads)) if chance.random() < 0.15}
        with open(path, "r+b") as file:
            for n in damaged:
                file.seek(shard.entries[n].offset)
                file.write(bytes(16))
        waiting.append((request(number, shard, path, target), damaged))
    extractor = Extractor(no_step, lambda: waiting[0][0] if waiting else None)
    files = 0
    while waiting:
        asked, damaged = waiting.popleft()
        kept = extractor.run_for(asked)
        assert {Failure(*failure).position for failure in kept.failures} == damaged
        files += kept.files
    assert files == len(list(target.iterdir()))
    for path in target.iterdir():
        assert key_of(path.read_bytes()).hex() == path.name


class Counted(FreeStep):
    """Tells when the second window is read; the third waits until it may."""

    def __init__(self) -> None:
        self.reads = 0
        self.waits = threading.Event()
        self.released = threading.Event()

    def begin(self, wanted_bytes: int) -> int:
        self.reads += 1
        if self.reads == 6:
            self.waits.set()
            assert self.released.wait(60)
        return wanted_bytes


def test_one_that_is_halved_ends_where_it_said_and_the_next_begins(tmp_path: Path, target: Path):
    payloads = [random.Random(n).randbytes(3 * MIB) for n in range(30)]
    first = request(1, *written(tmp_path, 1, payloads), target)
    second = one_of(tmp_path, 2, target)
    step = Counted()
    extractor = Extractor(step, lambda: second)
    answers = []
    lane = threading.Thread(target=lambda: answers.append(extractor.run_for(first)))
    lane.start()
    assert step.waits.wait(60)
    kept = extractor.give_back(1, True)
    step.released.set()
    lane.join()
    assert kept is not None and 0 < kept.end < 30
    assert (answers[0].end, answers[0].failures) == (kept.end, [])
    assert extractor.run_for(second).failures == []
    assert len(os.listdir(target)) == kept.end + 1
    for path in target.iterdir():
        assert key_of(path.read_bytes()).hex() == path.name


def test_a_disks_process_looks_for_what_waits(child: Child, disk: tuple[str, str], target: Path):
    """The first request's files are pipes: it goes on when somebody reads them."""
    shard = build_shard([[bytes([n]) * 5 * MIB for n in range(2)]])
    other_id = "ab" * 16
    store_shard(disk[0], shard)
    other = shard_path(disk[0], other_id)
    os.makedirs(os.path.dirname(other), exist_ok=True)
    os.link(shard_path(disk[0], SHARD_ID.hex()), other)
    names = [f"pipe{n}".encode() for n in range(2)]
    for name in names:
        os.mkfifo(target / name.decode())
    places = [(e.offset, e.length_bytes, e.key) for e in shard.entries]
    pipes = [(*place, (name,)) for place, name in zip(places, names, strict=True)]
    files = [(*place, (b"file%d" % n,)) for n, place in enumerate(places)]

    first = child.request("extract", 1, SHARD_ID.hex(), pipes, str(target), 0)
    second = child.request("extract", 2, other_id, files, str(target), 0)
    child.call("find", "none", [])  # Requests arrive in order: the second one waits now.
    opened = f"/proc/{child.pid}/fd"
    assert (target / "pipe0").read_bytes() == shard.payload(shard.entries[0])
    until(lambda: other in _links(opened), "the second shard to be opened")
    assert not first.done()
    assert (target / "pipe1").read_bytes() == shard.payload(shard.entries[1])
    assert first.result().failures == []
    # Another shard's records lie under its name.
    assert len(second.result().failures) == 2


def _links(folder: str) -> set[str]:
    found: set[str] = set()
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found.add(os.readlink(os.path.join(folder, name)))
    return found
