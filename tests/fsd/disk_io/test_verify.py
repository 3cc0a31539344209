"""Verifying sealed shards: whatever is flipped where it counts is found, and said where."""

import os
import random
from pathlib import Path

import pytest
from bad_disk_fixture import bad_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import SHARD_ID, Shard, build_shard
from shard_fixture import write_file as write

from fsd.disk_io.reading.scan import WHOLE_RECORD_BYTES_MAX
from fsd.disk_io.reading.verify import VerifyResult, verify_shard
from fsd.disk_io.shard_file import FreeStep, open_direct
from fsd.format import record

SIZES = [[0, 10, 3000, 1], [70_000, 1], [134_968], [5000, 5000, 66_000]]


def contents(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module")
def shard() -> Shard:
    return build_shard([[contents(n, seed=n + i) for i, n in enumerate(row)] for row in SIZES])


@pytest.fixture(scope="module")
def big_shard() -> Shard:
    """Records above the limit for reading in one piece, between small ones; 24 MiB."""
    large = WHOLE_RECORD_BYTES_MAX + 12_345
    rows = [[b"before", contents(large), b"after"], [contents(18 << 20)], [b"last"]]
    return build_shard(rows)


@pytest.fixture
def check(tmp_path: Path):
    def verify(data: bytes | bytearray) -> VerifyResult:
        fd = write(tmp_path / "s", data)
        try:
            return verify_shard(fd, SHARD_ID)
        finally:
            os.close(fd)

    return verify


def flip(data: bytes | bytearray, bit: int) -> bytearray:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return damaged


def verify_flipped(path: Path, data: bytearray, bit: int) -> VerifyResult:
    """Verify with one bit flipped in the file itself (and back)."""
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        file.write(bytes([data[bit // 8] ^ 1 << bit % 8]))
        file.flush()
        result = verify_shard(file.fileno(), SHARD_ID)
        file.seek(bit // 8)
        file.write(data[bit // 8 : bit // 8 + 1])
    return result


def test_a_sound_shard(shard: Shard, big_shard: Shard, check):
    for one in (shard, big_shard, build_shard([[]])):
        result = check(one.sealed())
        assert result == VerifyResult(len(one.entries), len(one.sealed()))


@pytest.mark.fault
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_that_counts_is_found(shard: Shard, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "verify-flips"
    sealed = shard.sealed()
    if not path.exists():
        path.write_bytes(sealed)
    region = data.draw(st.sampled_from(shard.counted()), "region")
    byte = data.draw(st.integers(region.start, region.stop - 1), "byte")
    bit = data.draw(st.integers(0, 7), "bit")
    assert verify_flipped(path, sealed, 8 * byte + bit).problems


def test_every_byte_of_padding_inside_a_group_counts(shard: Shard, tmp_path: Path):
    # Nobody reads it, but the group's digest covers it: a copy of this replica would be refused.
    sealed = shard.sealed()
    (tmp_path / "s").write_bytes(sealed)
    first = shard.entries[1]
    used = first.offset + 80 + 8 + 10
    places = [*range(used, shard.entries[2].offset)]
    offset, length = shard.groups[0]
    last = shard.entries[3].offset + record.record_bytes(1)
    places += [*range(last, offset + length - 64, 97)]
    assert len(places) > 6
    for place in places:
        problems = verify_flipped(tmp_path / "s", sealed, 8 * place).problems
        assert ["the group fails its digest" in problem.reason for problem in problems] == [True]


def test_padding_outside_of_groups_does_not_count(shard: Shard, tmp_path: Path):
    sealed = shard.sealed()
    (tmp_path / "s").write_bytes(sealed)
    table_end = len(shard.data) + 48 * len(shard.entries)
    for place in (64, 4095, table_end, len(sealed) - 105):
        assert verify_flipped(tmp_path / "s", sealed, 8 * place).problems == []


@pytest.mark.parametrize("number", range(10))
def test_a_damaged_record_is_named(shard: Shard, check, number: int):
    entry = shard.entries[number]
    at = entry.offset + (record.payload_offset(entry.length_bytes) if entry.length_bytes else 70)
    result = check(flip(shard.sealed(), 8 * at))
    assert [(problem.offset, problem.key) for problem in result.problems] == [
        (entry.offset, entry.key.hex())
    ]
    assert result.objects == len(shard.entries)


def test_all_damaged_records_are_named(shard: Shard, check):
    data = shard.sealed()
    hit = [shard.entries[number] for number in (1, 4, 6, 8)]
    for entry in hit:
        data = flip(data, 8 * (entry.offset + record.payload_offset(entry.length_bytes)))
    result = check(data)
    assert [problem.key for problem in result.problems] == [entry.key.hex() for entry in hit]


@pytest.mark.parametrize("place", [0, 80, 100, 5_000_000, -1])
@pytest.mark.parametrize("number", [1, 3])
def test_a_damaged_large_record_is_named(big_shard: Shard, check, number: int, place: int):
    entry = big_shard.entries[number]
    size = record.payload_offset(entry.length_bytes) + entry.length_bytes
    at = entry.offset + place % min(size, 5_100_000 if place == 5_000_000 else size)
    at = min(at, entry.offset + size - 1)
    result = check(flip(big_shard.sealed(), 8 * at))
    assert [problem.key for problem in result.problems] == [entry.key.hex()]


def test_padding_behind_a_large_record_counts(big_shard: Shard, check):
    offset, length = big_shard.groups[1]
    result = check(flip(big_shard.sealed(), 8 * (offset + length - 65)))
    assert [problem.reason for problem in result.problems] == [
        "the group fails its digest (group 1)"
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_group_header_is_one_problem(shard: Shard, check, number: int):
    offset, _ = shard.groups[number]
    result = check(flip(shard.sealed(), 8 * offset + 77))
    assert [(problem.offset, problem.key) for problem in result.problems] == [(offset, "")]


def test_damage_behind_a_damaged_group_header_is_found_too(shard: Shard, check):
    entry = shard.entries[5]
    data = flip(shard.sealed(), 8 * shard.groups[1][0])
    data = flip(data, 8 * (entry.offset + 88))
    assert [problem.key for problem in check(data).problems] == ["", entry.key.hex()]


def test_two_groups_that_changed_places(check):
    # Every checksum holds, but it is not what was sealed.
    shard, other = build_shard([[b"a"], [b"b"]]), build_shard([[b"a"], [b"c"]])
    data = shard.sealed()
    data[8192:12288] = other.data[8192:12288]
    result = check(data)
    assert [problem.key for problem in result.problems] == [shard.entries[1].key.hex()]
    # The entries of a footer do not name every group: an empty one only counts in the digest.
    empty, written = build_shard([[b"a"], []]), build_shard([[b"a"], [b"b"]])
    data = empty.sealed()
    data[8192:12288] = written.data[8192:12288]
    assert [problem.reason for problem in check(data).problems] == [
        "the groups are not those of the footer"
    ]


def test_a_trailer_with_another_number_is_a_problem(check):
    shard = build_shard([[b"a"]])
    data = shard.sealed()
    trailer = record.unpack_trailer(data, 8192 - 64)
    data[8192 - 64 : 8192] = record.pack_trailer(trailer._replace(group_number=1))
    assert "trailer is of another group" in check(data).problems[0].reason


@pytest.mark.parametrize("length", [10, WHOLE_RECORD_BYTES_MAX + 1])
def test_content_that_is_not_its_key_is_a_problem(check, length: int):
    # All checksums hold, as they would had the content changed before it was packed.
    shard = build_shard([[contents(length)]], key=bytes(32))
    (problem,) = check(shard.sealed()).problems
    assert (problem.key, problem.reason) == (
        bytes(32).hex(),
        "the content does not match its sha256",
    )


def test_a_group_that_leads_into_the_footer_is_refused(check):
    shard = build_shard([[b"a"]])
    group = record.pack_group_header(record.GroupHeader(SHARD_ID, 0, 1, 8192, 0))
    data = shard.sealed()
    data[4096:4160] = group
    assert check(data).problems[0].offset == 4096


@pytest.mark.parametrize("cut", [1, 104, 4096, 4096 * 3])
def test_a_cut_file_is_one_problem(shard: Shard, check, cut: int):
    (problem,) = check(shard.sealed()[:-cut]).problems
    assert "the footer is damaged" in problem.reason


@pytest.mark.parametrize("length", [0, 1, 4096, 8191])
def test_hardly_any_file(shard: Shard, check, length: int):
    assert check(shard.sealed()[:length]).problems


def test_an_open_shard_is_not_sealed(shard: Shard, check):
    (problem,) = check(shard.data).problems
    assert "the footer is damaged" in problem.reason


def test_another_shards_file(shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", shard.sealed())
    assert len(verify_shard(fd, bytes(16)).problems) == 2
    os.close(fd)


def test_bad_sectors_are_problems_of_their_records(shard: Shard, tmp_path: Path):
    hit = [shard.entries[4], shard.entries[6]]
    starts = [(entry.offset + 20_000) // 4096 * 4096 for entry in hit]
    # The last is padding of a group, and of nothing else.
    offset, length = shard.groups[2]
    padding = offset + length - 4096
    assert padding >= shard.entries[6].offset + record.record_bytes(134_968)
    os.close(write(tmp_path / "s", shard.sealed()))
    bad = [(start, start + 4096) for start in starts]
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), bad) as path:
        fd = open_direct(path, os.O_RDONLY)
        problems = verify_shard(fd, SHARD_ID).problems
        os.close(fd)
    assert [problem.key for problem in problems] == [entry.key.hex() for entry in hit]
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), [(padding, padding + 4096)]) as path:
        fd = open_direct(path, os.O_RDONLY)
        problems = verify_shard(fd, SHARD_ID).problems
        os.close(fd)
    assert [problem.key for problem in problems] == [""]


def test_steps_are_counted(big_shard: Shard, tmp_path: Path):
    steps: list[int] = []
    fd = write(tmp_path / "s", big_shard.sealed())

    class Counted(FreeStep):
        def __call__(self) -> None:
            steps.append(1)

    verify_shard(fd, SHARD_ID, Counted())
    os.close(fd)
    # The engine sees from the steps that a disk is alive: at least one per window.
    assert len(steps) >= len(big_shard.sealed()) // (8 << 20)


def test_a_shard_is_read_about_once(big_shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", big_shard.sealed())
    before = read_bytes()
    verify_shard(fd, SHARD_ID)
    os.close(fd)
    assert read_bytes() - before < 1.1 * len(big_shard.sealed())


def read_bytes() -> int:
    with open("/proc/self/io", encoding="ascii") as file:
        return int(file.readline().split()[1])
