"""Building commit groups: what they contain, what fits, and that a changed source is refused."""

import hashlib
import random

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import SHARD_ID, build_group, build_shard, golden, key_of, write_file

from fsd.disk_io.reading.scan import scan_shard
from fsd.format import record
from fsd.format.group import (
    GROUP_RECORDS_MAX,
    GroupWriter,
    LargeGroup,
    large_group_bytes,
    readdress,
)

OTHER_ID = bytes(16)


def contents(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


def test_golden_group():
    group, entries, digest = build_group([b"", b"hello"])
    assert group == golden("sealed_shard.txt")[4096:8192]
    assert digest == xxhash.xxh3_128_digest(group[:-64]) == record.unpack_trailer(group, 4032)[4]
    assert [entry.offset for entry in record.iterate_entries(entries)] == [64, 144]


def test_the_buffer_of_the_group_before_does_not_shine_through():
    # The fixture's buffer is full of 0xaa before.
    group, _, _ = build_group([b"hello"])
    assert group[64 + 80 + 8 + 5 : -64] == bytes(4096 - 64 - 64 - 80 - 8 - 5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 140_000), max_size=5), min_size=1, max_size=4))
def test_what_is_written_is_found(tmp_path_factory, sizes: list[list[int]]):
    groups = [[contents(size, seed=size) for size in group] for group in sizes]
    shard = build_shard(groups)
    fd = write_file(tmp_path_factory.mktemp("shard") / "file", shard.data)
    found = scan_shard(fd, SHARD_ID).groups
    assert [(group.offset, group.length_bytes) for group in found] == shard.groups
    assert [group.digest for group in found] == shard.digests
    assert all(group.intact for group in found)
    listed = [entry for group in found for entry in record.iterate_entries(group.entries)]
    assert listed == shard.entries
    payloads = [data for group in groups for data in group]
    assert [shard.payload(entry) for entry in listed] == payloads
    assert [entry.key for entry in listed] == [key_of(data) for data in payloads]


def test_sequences_go_on_over_groups():
    shard = build_shard([[b"a", b"b"], [b"c"]])
    headers = [record.unpack_record_header(shard.data, entry.offset) for entry in shard.entries]
    assert [header.sequence for header in headers] == [0, 1, 2]
    firsts = [record.unpack_group_header(shard.data, at).first_sequence for at, _ in shard.groups]
    assert firsts == [0, 2]


def writer_of(capacity: int, room: int) -> GroupWriter:
    return GroupWriter(memoryview(bytearray(room)), capacity, SHARD_ID, 0, 0)


def test_a_record_that_does_not_fit_is_refused_and_changes_nothing():
    data = contents(3000)
    # Header, one record and the trailer take exactly this.
    exact = 64 + record.record_bytes(3000) + 64
    writer = writer_of(exact, 8192)
    assert writer.add(key_of(data), data) == 64
    assert writer.add(key_of(b""), b"") == -1
    assert len(list(record.iterate_entries(writer.entries()))) == 1
    assert writer_of(exact - 1, 8192).add(key_of(data), data) == -1


def test_the_reserve_is_for_the_part():
    data = contents(3000)
    writer = writer_of(3400, 8192)
    assert writer.add(key_of(data), data) == 64
    assert writer.add(key_of(data), data) == -1
    writer.open_reserve()
    offset = writer.add(key_of(data), data, record.RECORD_BATCH_PART)
    assert offset == 64 + record.record_bytes(3000)
    assert writer.close()[0] == 8192
    flags = [entry.flags for entry in record.iterate_entries(writer.entries())]
    assert flags == [record.RECORD_OBJECT, record.RECORD_BATCH_PART]


def test_a_capacity_beyond_the_buffer_is_the_buffer():
    writer = writer_of(1 << 30, 4096)
    assert writer.add(key_of(bytes(4000)), bytes(4000)) == -1


def test_a_moved_group_equals_one_built_there():
    payloads = [b"", b"hello", contents(70_000)]
    group, entries, old = build_group(payloads)
    moved = memoryview(bytearray(group))
    digest = readdress(moved, entries, OTHER_ID, 5, 90)
    built, built_entries, built_digest = build_group(payloads, 5, 90, OTHER_ID)
    assert bytes(moved) == built
    assert (entries, digest) == (built_entries, built_digest)
    assert digest != old


def test_a_moved_part_stays_a_part():
    buffer = memoryview(bytearray(8192))
    writer = GroupWriter(buffer, 8192, SHARD_ID, 0, 0)
    writer.add(key_of(b"part"), b"part", record.RECORD_BATCH_PART)
    length, _ = writer.close()
    readdress(buffer[:length], writer.entries(), OTHER_ID, 1, 1)
    assert record.unpack_record_header(buffer, 64).flags == record.RECORD_BATCH_PART


def large_group(data: bytes, key: bytes, checksums: bytes, length: int) -> LargeGroup:
    position = 0

    def read_into(view: memoryview) -> int:
        nonlocal position
        # A short read now and then, as a pipe or a network filesystem gives.
        size = min(len(view), len(data) - position, 21_845)
        view[:size] = data[position : position + size]
        position += size
        return size

    return LargeGroup(read_into, key, length, checksums, SHARD_ID)


def stream(group: LargeGroup, sizes: list[int]) -> bytes:
    out = bytearray()
    for number in range(1_000_000):
        view = memoryview(bytearray(sizes[number % len(sizes)]))
        count = group.fill(view)
        out += view[:count]
        if count == 0:
            return bytes(out)
    raise AssertionError("the group never ends")


@pytest.mark.parametrize("length", [0, 1, 65535, 65536, 65537, 200_000, 1_000_003])
@pytest.mark.parametrize("views", [[4096], [8192, 4096, 65536], [999, 7, 70_001], [4 << 20]])
def test_a_large_group_is_the_group_of_one_object(length: int, views: list[int]):
    data = contents(length)
    group = large_group(data, key_of(data), record.block_checksums(data), length)
    streamed = stream(group, views)
    built, entries, digest = build_group([data])
    assert streamed == built
    assert len(streamed) == group.length_bytes == large_group_bytes(length)
    assert group.digest == digest
    assert record.pack_entry(group.entry) == entries


def changed_cases() -> dict[str, tuple[bytes, bytes, bytes, int]]:
    """Return (bytes as they are now, key, checksums, length of the first pass)."""
    data = contents(200_000)
    other = contents(200_000, seed=1)
    table, key = record.block_checksums(data), key_of(data)
    one_bit = bytearray(data)
    one_bit[131_072] ^= 1
    return {
        "other content": (other, key, table, len(data)),
        "one bit": (bytes(one_bit), key, table, len(data)),
        "shorter": (data[:-1], key, table, len(data)),
        "the table is of other content": (data, key, record.block_checksums(other), len(data)),
        "the table is too short": (data, key, table[:-8], len(data)),
        "the table is too long": (data, key, table + table[:8], len(data)),
    }


@pytest.mark.parametrize("case", changed_cases())
def test_a_changed_source_is_refused(case: str):
    data, key, checksums, length = changed_cases()[case]
    group = large_group(data, key, checksums, length)
    with pytest.raises(ValueError, match="the file"):
        stream(group, [65536])
    assert group.digest == b""


def test_what_was_appended_to_the_source_is_left_out():
    data = contents(200_000)
    group = large_group(data + b"more", key_of(data), record.block_checksums(data), len(data))
    assert stream(group, [65536]) == build_group([data])[0]


def test_keys_are_sha256():
    assert key_of(b"abc").hex().startswith("ba7816bf8f01cfea")
    assert key_of(b"") == hashlib.sha256().digest()


def test_a_group_takes_so_many_records_and_then_the_part():
    writer = GroupWriter(memoryview(bytearray(8 << 20)), 8 << 20, bytes(16), 0, 0)
    taken = sum(writer.add(key_of(b"%d" % n), b"x") >= 0 for n in range(GROUP_RECORDS_MAX + 3))
    assert taken == GROUP_RECORDS_MAX
    writer.open_reserve()
    assert writer.add(key_of(b"part"), b"part") > 0
    assert writer.add(key_of(b"more"), b"x") == -1
    assert len(writer.entries()) == (GROUP_RECORDS_MAX + 1) * record.ENTRY_BYTES
