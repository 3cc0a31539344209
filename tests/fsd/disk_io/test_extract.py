"""Extraction: windows, equal bytes, and that nothing unverified or partial is ever left behind."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_disk_fixture import bad_disk
from hypothesis import given
from hypothesis import strategies as st
from shard_fixture import SHARD_ID, Shard, build_shard
from shard_fixture import write_file as write

from base.errors import DrystoneError
from fsd.disk_io.extract.extract import FAILURES_STREAMED_MAX, Failure, check_record
from fsd.disk_io.extract.extract_requests import Extractor
from fsd.disk_io.extract.extract_windows import HOLE_BYTES_MAX, Item, plan_windows
from fsd.disk_io.shard_file import WINDOW_BYTES, no_step, open_direct
from fsd.format import record
from fsd.format.errors import CorruptError, QuotaError
from fsd.format.record import Entry

MIB = 1 << 20


def contents(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module")
def shard() -> Shard:
    sizes = [[0, 10, 3000], [70_000, 1], [5000] * 40, [200_000]]
    return build_shard([[contents(n, seed=n + i) for i, n in enumerate(row)] for row in sizes])


@pytest.fixture(scope="module")
def big_shard() -> Shard:
    """Small records on both sides of one of three windows, then more than two windows of others."""
    rows = [[b"before", contents(20 * MIB + 5), b"after"], [contents(MIB, n) for n in range(20)]]
    return build_shard(rows)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(no_step)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def items_of(entries: list[Entry]) -> list[Item]:
    return [Item(e.offset, e.length_bytes, e.key, (b"f%d" % n,)) for n, e in enumerate(entries)]


def run(
    extractor: Extractor, path: Path, data: bytes | bytearray, items: list[Item], target: Path
) -> tuple[int, int, list[Failure]]:
    fd = write(path, data)
    try:
        return extractor.run(fd, SHARD_ID, items, str(target))
    finally:
        os.close(fd)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def expected(shard: Shard, items: list[Item]) -> dict[str, bytes]:
    by_offset = {entry.offset: entry for entry in shard.entries}
    return {
        os.fsdecode(path): shard.payload(by_offset[item.offset])
        for item in items
        for path in item.paths
    }


# Windows


def plan(*records: tuple[int, int], window_bytes: int = WINDOW_BYTES) -> list[tuple[int, ...]]:
    items = [Item(offset, length, bytes(32), ()) for offset, length in records]
    return [tuple(window) for window in plan_windows(items, window_bytes)]


def test_neighbours_share_a_window():
    assert plan((4160, 100), (4352, 5000)) == [(4096, 12288, 0, 2)]


def test_a_hole_is_read_through_up_to_its_limit():
    first = (4096, 4096 - 88)
    near, far = 8192 + HOLE_BYTES_MAX, 8192 + HOLE_BYTES_MAX + 4096
    assert plan(first, (near, 10)) == [(4096, near + 4096, 0, 2)]
    assert plan(first, (far, 10)) == [(4096, 8192, 0, 1), (far, far + 4096, 1, 2)]


def test_the_limit_of_holes_is_the_disks_own(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    items = items_of(shard.entries)[::5]
    windows = [len(plan_windows(items, hole_bytes_max=limit)) for limit in (0, 30_000, MIB)]
    assert windows[0] > windows[1] > windows[2] == 1
    fd = write(tmp_path / "shard", shard.data)
    try:
        files, _, failures = extractor.run(fd, SHARD_ID, items, str(target), 0)
    finally:
        os.close(fd)
    assert (files, failures) == (len(items), [])
    assert files_in(target) == expected(shard, items)


def test_a_window_has_a_limit():
    assert plan((0, 4000), (4096, 4000), (8192, 4000), window_bytes=8192) == [
        (0, 8192, 0, 2),
        (8192, 12288, 2, 3),
    ]


def test_a_record_larger_than_a_window_stands_alone():
    assert plan((0, 10), (4096, 9000), (16384, 10), window_bytes=8192) == [
        (0, 4096, 0, 1),
        (4096, 16384, 1, 2),
        (16384, 20480, 2, 3),
    ]
    assert plan() == []


@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 12_000_000)), max_size=12))
def test_windows_cover_every_record_once(gaps: list[tuple[int, int]]):
    records: list[tuple[int, int]] = []
    position = 4160
    for gap, length in gaps:
        records.append((position + gap // 8 * 8, length))
        position = records[-1][0] + record.record_bytes(length)
    windows = plan(*records)
    assert [n for w in windows for n in range(w[2], w[3])] == list(range(len(records)))
    for start, end, first, last in windows:
        assert start % 4096 == end % 4096 == 0
        assert end - start <= WINDOW_BYTES or last == first + 1
        for offset, length in records[first:last]:
            assert start <= offset
            assert offset + record.record_bytes(length) <= end


# Bytes


def test_all_files_are_equal(shard: Shard, extractor: Extractor, tmp_path: Path, target: Path):
    items = items_of(shard.entries)
    size = sum(entry.length_bytes for entry in shard.entries)
    answer = run(extractor, tmp_path / "s", shard.data, items, target)
    assert answer == (len(items), size, [])
    assert files_in(target) == expected(shard, items)
    assert os.stat(target / "f0").st_mode & 0o777 == 0o644


def test_large_and_small_ones(big_shard: Shard, extractor: Extractor, tmp_path: Path, target: Path):
    items = items_of(big_shard.entries)
    assert run(extractor, tmp_path / "s", big_shard.data, items, target)[2] == []
    assert files_in(target) == expected(big_shard, items)


def test_every_third_one(shard: Shard, extractor: Extractor, tmp_path: Path, target: Path):
    items = items_of(shard.entries[::3])
    assert run(extractor, tmp_path / "s", shard.data, items, target)[2] == []
    assert files_in(target) == expected(shard, items)


def test_one_content_at_many_paths(
    big_shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    os.mkdir(target / "sub")
    small, large = items_of(big_shard.entries[:2])
    names = (b"one", b"sub/two", "drei-ä".encode(), b"not utf-8 \xff")
    items = [small._replace(paths=names), large._replace(paths=(b"x", b"sub/y"))]
    files, size, failures = run(extractor, tmp_path / "s", big_shard.data, items, target)
    assert (files, size, failures) == (6, 4 * 6 + 2 * (20 * MIB + 5), [])
    for name in names:
        assert (target / os.fsdecode(name)).read_bytes() == b"before"
    assert (target / "x").read_bytes() == (target / "sub/y").read_bytes()
    assert len((target / "x").read_bytes()) == 20 * MIB + 5


def test_what_lay_there_from_an_earlier_try_is_replaced(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    (target / "f1").write_bytes(b"older and longer than ten bytes")
    items = items_of(shard.entries)
    run(extractor, tmp_path / "s", shard.data, items, target)
    assert files_in(target) == expected(shard, items)


# Damage


@pytest.mark.parametrize("number", [0, 2, 3, 10, 45])
@pytest.mark.parametrize("part", ["header", "payload"])
def test_a_damaged_record_is_reported_and_the_others_written(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path, number: int, part: str
):
    items, entry = items_of(shard.entries), shard.entries[number]
    damaged = bytearray(shard.data)
    payload = record.payload_offset(entry.length_bytes) + entry.length_bytes // 2
    damaged[entry.offset + (40 if part == "header" or not entry.length_bytes else payload)] ^= 1
    files, _, failures = run(extractor, tmp_path / "s", damaged, items, target)
    assert [failure.position for failure in failures] == [number]
    assert files == len(items) - 1
    rest = expected(shard, items)
    del rest[f"f{number}"]
    assert files_in(target) == rest


@pytest.mark.parametrize("place", [50, 100, 1000, 19 * MIB])
def test_no_part_of_a_damaged_large_record_is_left(
    big_shard: Shard, extractor: Extractor, tmp_path: Path, target: Path, place: int
):
    damaged = bytearray(big_shard.data)
    damaged[big_shard.entries[1].offset + place] ^= 1
    items = items_of(big_shard.entries)
    _, _, failures = run(extractor, tmp_path / "s", damaged, items, target)
    assert [failure.position for failure in failures] == [1]
    assert sorted(files_in(target)) == sorted({f"f{n}" for n in range(23)} - {"f1"})


def test_a_short_file(big_shard: Shard, extractor: Extractor, tmp_path: Path, target: Path):
    items = items_of(big_shard.entries)
    cut = big_shard.entries[1].offset + 9 * MIB
    _, _, failures = run(extractor, tmp_path / "s", big_shard.data[:cut], items, target)
    assert [failure.position for failure in failures] == list(range(1, 23))
    assert files_in(target) == {"f0": b"before"}
    for reason in (failures[0].reason, failures[-1].reason):
        assert "shorter" in reason or "cut off" in reason


def test_another_record_where_the_index_points(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    good = items_of(shard.entries[:3])
    bad = [
        good[0]._replace(key=bytes(32)),
        good[1]._replace(length_bytes=11),
        good[2]._replace(offset=good[2].offset + 8),
    ]
    _, _, failures = run(extractor, tmp_path / "s", shard.data, bad, target)
    assert [failure.position for failure in failures] == [0, 1, 2]
    assert files_in(target) == {}


def test_a_record_of_another_shard(shard: Shard):
    item = items_of(shard.entries)[1]
    view = memoryview(shard.data)
    assert check_record(view, item.offset, SHARD_ID, item) == shard.payload(shard.entries[1])
    with pytest.raises(CorruptError, match="another record"):
        check_record(view, item.offset, bytes(16), item)


def bad_items(
    extractor: Extractor, tmp_path: Path, target: Path, shard: Shard, bad: list[tuple[int, int]]
) -> list[int]:
    os.close(write(tmp_path / "s", shard.data))
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), bad) as path:
        fd = open_direct(path, os.O_RDONLY)
        _, _, failures = extractor.run(fd, SHARD_ID, items_of(shard.entries), str(target))
        os.close(fd)
    return [failure.position for failure in failures]


def test_a_bad_sector_costs_the_records_in_it_only(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    start = shard.entries[20].offset // 4096 * 4096
    hit = [
        number
        for number, e in enumerate(shard.entries)
        if e.offset < start + 4096 and start < e.offset + record.record_bytes(e.length_bytes)
    ]
    assert 0 < len(hit) <= 3
    assert bad_items(extractor, tmp_path, target, shard, [(start, start + 4096)]) == hit
    items = items_of(shard.entries)
    rest = [item for number, item in enumerate(items) if number not in hit]
    assert files_in(target) == expected(shard, rest)


def test_a_bad_sector_deep_in_a_large_record_leaves_no_part(
    big_shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    start = (big_shard.entries[1].offset + 18 * MIB) // 4096 * 4096
    assert bad_items(extractor, tmp_path, target, big_shard, [(start, start + 4096)]) == [1]
    assert sorted(files_in(target)) == sorted({f"f{n}" for n in range(23)} - {"f1"})


def test_a_disk_that_fails_everywhere_is_not_asked_for_every_record(
    extractor: Extractor, tmp_path: Path, target: Path
):
    shard = build_shard([[b"%d" % n for n in range(FAILURES_STREAMED_MAX + 20)]])
    os.close(write(tmp_path / "s", shard.data))
    items = items_of(shard.entries)
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), [(0, 1 << 30)]) as path:
        fd = open_direct(path, os.O_RDONLY)
        _, _, failures = extractor.run(fd, SHARD_ID, items, str(target))
        os.close(fd)
    assert len(failures) == len(items)
    assert sum("too many places" in failure.reason for failure in failures) == 20


# The SSD


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 256 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=20", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("rows", [[[bytes(200_000), contents(200_000)]], [[contents(12 * MIB)]]])
def test_a_full_ssd_is_no_fault_of_the_disk(
    extractor: Extractor, tmp_path: Path, tiny: Path, rows: list[list[bytes]]
):
    shard = build_shard(rows)
    items = items_of(shard.entries)
    with pytest.raises(QuotaError, match="the SSD is full"):
        run(extractor, tmp_path / "s", shard.data, items, tiny)
    # What did not fit whole is not there at all.
    assert files_in(tiny) == expected(shard, items[:-1])


def test_no_inode_left_is_full_too(extractor: Extractor, tmp_path: Path, tiny: Path):
    shard = build_shard([[b"%d" % n for n in range(30)]])
    with pytest.raises(QuotaError):
        run(extractor, tmp_path / "s", shard.data, items_of(shard.entries), tiny)


def test_a_target_that_is_not_there_is_no_fault_of_the_disk(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    items = items_of(shard.entries)
    for wrong in (target / "missing", tmp_path / "s"):
        with pytest.raises(DrystoneError, match="the SSD cannot be written"):
            run(extractor, tmp_path / "s", shard.data, items, wrong)
    items = [items[0]._replace(paths=(b"no/such/folder",))]
    with pytest.raises(DrystoneError, match="the SSD cannot be written"):
        run(extractor, tmp_path / "s", shard.data, items, target)


def test_links_are_not_written_through(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    (tmp_path / "outside").write_bytes(b"precious")
    (target / "f1").symlink_to(tmp_path / "outside")
    with pytest.raises(DrystoneError):
        run(extractor, tmp_path / "s", shard.data, items_of(shard.entries), target)
    assert (tmp_path / "outside").read_bytes() == b"precious"


def test_it_can_be_used_again_after_an_error(
    shard: Shard, extractor: Extractor, tmp_path: Path, target: Path
):
    items = items_of(shard.entries)
    with pytest.raises(DrystoneError):
        run(extractor, tmp_path / "s", shard.data, items, target / "missing")
    assert run(extractor, tmp_path / "s", shard.data, items, target)[2] == []
    assert files_in(target) == expected(shard, items)
