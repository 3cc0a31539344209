"""Whole passes over a shard read every byte once: what is read again costs a disk a seek."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shard_fixture import SHARD_ID, Shard, build_shard

from fsd.disk_io.copy.copy_source import CopySource
from fsd.disk_io.extract.extract import Item
from fsd.disk_io.extract.extract_requests import Extractor
from fsd.disk_io.reading.read_ahead import BUFFERS, RANGE_BYTES_MAX, Range, ReadAhead, Reads
from fsd.disk_io.reading.verify import verify_shard
from fsd.disk_io.shard_file import no_step, open_direct
from fsd.format.errors import CorruptError
from fsd.format.record import SECTOR_BYTES, payload_offset

MIB = 1 << 20
SIZES = [3000, 700_000, 40, 900_000, 5 * MIB + 1, 10_000, 20 * MIB + 77, 1_500_000, 3_900_000, 99]
ENDS = 8 * SECTOR_BYTES
"""What is looked at before the pass: the shard's header, its footer, the ends of its groups."""


@pytest.fixture
def shard() -> Shard:
    payloads = [os.urandom(size) for size in SIZES]
    return build_shard([payloads, payloads[:4], payloads[3:8]])


@pytest.fixture
def path(shard: Shard, tmp_path: Path) -> str:
    (tmp_path / "shard").write_bytes(shard.sealed())
    return str(tmp_path / "shard")


def read_bytes(work: Callable[[], object]) -> int:
    """Return how many bytes this process reads while it does the work."""
    before = _read_bytes()
    work()
    # Reading the count itself reads some.
    return _read_bytes() - before - 500


def _read_bytes() -> int:
    with open("/proc/self/io", encoding="ascii") as file:
        return int(dict(line.split(": ") for line in file.read().splitlines())["rchar"])


def test_a_verification(shard: Shard, path: str):
    fd = open_direct(path, os.O_RDONLY)
    found = read_bytes(lambda: verify_shard(fd, SHARD_ID))
    assert verify_shard(fd, SHARD_ID).problems == []
    os.close(fd)
    # Each group's head and tail may begin or end inside of a sector that was read before.
    assert found <= len(shard.sealed()) + ENDS


def test_a_copy(shard: Shard, path: str):
    view = memoryview(mmap.mmap(-1, 4 * MIB))
    copied = bytearray()

    def copy() -> None:
        source = CopySource(open_direct(path, os.O_RDONLY), SHARD_ID, no_step)
        while (size := source.next(view)[1]) > 0:
            copied.extend(view[:size])
        source.close()

    assert read_bytes(copy) <= len(shard.sealed()) + ENDS
    assert copied == shard.sealed()


def test_an_export(shard: Shard, path: str, tmp_path: Path):
    target = tmp_path / "out"
    target.mkdir()
    entries = sorted(shard.entries, key=lambda entry: entry.offset)
    items = [Item(e.offset, e.length_bytes, e.key, (b"%d" % n,)) for n, e in enumerate(entries)]
    fd = open_direct(path, os.O_RDONLY)
    found = read_bytes(lambda: Extractor(no_step).run(fd, SHARD_ID, items, str(target)))
    os.close(fd)
    for number, entry in enumerate(entries):
        assert (target / str(number)).read_bytes() == shard.payload(entry)
    assert found <= len(shard.data)


def test_a_large_record_that_is_damaged_is_not_read_to_its_end(tmp_path: Path):
    target = tmp_path / "out"
    target.mkdir()
    shard = build_shard([[os.urandom(5 * RANGE_BYTES_MAX), os.urandom(MIB)]])
    path = str(tmp_path / "large")
    Path(path).write_bytes(shard.sealed())
    large = max(shard.entries, key=lambda entry: entry.length_bytes)
    after = next(e for e in shard.entries if e.offset > large.offset)
    with open(path, "r+b") as file:
        file.seek(large.offset + payload_offset(large.length_bytes) + 5)
        file.write(b"?" * 16)
    items = [
        Item(large.offset, large.length_bytes, large.key, (b"large",)),
        Item(after.offset, after.length_bytes, after.key, (b"after",)),
    ]
    fd = open_direct(path, os.O_RDONLY)
    answers = []
    found = read_bytes(
        lambda: answers.append(Extractor(no_step).run(fd, SHARD_ID, items, str(target)))
    )
    os.close(fd)
    files, size, failures = answers[0]
    assert (files, size, [failure.position for failure in failures]) == (1, after.length_bytes, [0])
    assert os.listdir(target) == ["after"]
    assert (target / "after").read_bytes() == shard.payload(after)
    # What was on its way when the first range turned out to be damaged.
    assert found <= BUFFERS * RANGE_BYTES_MAX + 2 * MIB


def test_ranges_that_overlap_are_joined_and_may_be_skipped(shard: Shard, path: str):
    content = bytes(shard.sealed())
    ranges = [Range(start, start + 3 * SECTOR_BYTES) for start in range(0, 40 * 8192, 8192)]
    fd = open_direct(path, os.O_RDONLY)
    reads = Reads(ReadAhead(no_step), fd, ranges)
    for number in range(20):
        assert reads.next() == content[slice(*ranges[number])]
    reads.skip(7)
    for number in range(27, 39):
        assert reads.next() == content[slice(*ranges[number])]
    reads.close()
    os.close(fd)


def test_a_range_that_cannot_be_read_does_not_stop_the_next(path: str, tmp_path: Path):
    """The descriptor is of a folder for one read, and of the file again."""
    fd = open_direct(path, os.O_RDONLY)
    good, bad = os.dup(fd), os.open(tmp_path, os.O_RDONLY)
    ranges = [Range(n * SECTOR_BYTES, (n + 1) * SECTOR_BYTES) for n in range(4)]
    ahead = ReadAhead(no_step)
    os.dup2(bad, fd)
    reads = Reads(ahead, fd, ranges)
    with pytest.raises(OSError, match="directory"):
        reads.next()
    reads.close()
    os.dup2(good, fd)
    reads = Reads(ahead, fd, ranges)
    assert len(reads.next()) == len(reads.next()) == SECTOR_BYTES
    reads.close()
    for one in (fd, good, bad):
        os.close(one)


def test_the_pass_still_finds_what_is_damaged(shard: Shard, path: str):
    places = [5000, 3 * MIB, 12 * MIB, len(shard.data) - 100]
    for place in places:
        with open(path, "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
    fd = open_direct(path, os.O_RDONLY)
    assert len(verify_shard(fd, SHARD_ID).problems) >= len(places) - 1
    source = CopySource(fd, SHARD_ID, no_step)
    view = memoryview(mmap.mmap(-1, 64 * MIB))
    with pytest.raises(CorruptError):
        while source.next(view)[1] > 0:
            pass
    source.close()
