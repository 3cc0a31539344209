"""The frozen layout of shards: golden bytes, sizes, and that nothing damaged is ever read."""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from shard_fixture import CREATED_NS, SHARD_ID, STORE_ID, build_shard, golden, key_of

from fsd.format import record
from fsd.format.errors import CorruptError
from fsd.format.record import (
    BLOCK_BYTES,
    Entry,
    Footer,
    GroupHeader,
    RecordHeader,
    ShardHeader,
    Trailer,
)

KEY = bytes(range(32))
DIGEST = bytes(range(100, 116))
SHARD = ShardHeader(SHARD_ID, STORE_ID, CREATED_NS, "generated", True)
GROUP = GroupHeader(SHARD_ID, 3, 7, 12288, 41)
RECORD = RecordHeader(SHARD_ID, 41, 70_000, KEY, record.RECORD_BATCH_PART)
TRAILER = Trailer(SHARD_ID, 3, 7, 12288, DIGEST)
ENTRIES = [Entry(KEY[::-1], 4160, 70_000, 1), Entry(KEY, 80_000, 0, 0)]

# Written once, from the first version. A change here is a store that old software cannot read.
GOLDEN_SHARD = (
    "445259534852443100112233445566778899aabbccddeefff0e1d2c3b4a59687"
    "78695a4b3c2d1e0f00002a36fe9c97170100020100000100d071b650f9c67068"
)
GOLDEN_GROUP = (
    "445259475255503100112233445566778899aabbccddeeff0300000007000000"
    "003000000000000029000000000000000000000000000000b5bb54ce3cfa3008"
)
GOLDEN_RECORD = (
    "445245430101000000112233445566778899aabbccddeeff2900000000000000"
    "7011010000000000000102030405060708090a0b0c0d0e0f1011121314151617"
    "18191a1b1c1d1e1f3bf798f7e51e7001"
)
GOLDEN_TRAILER = (
    "44525954524c523100112233445566778899aabbccddeeff0300000007000000"
    "00300000000000006465666768696a6b6c6d6e6f7071727301de6ee30f65bc70"
)
GOLDEN_ENTRY = (
    "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100"
    "40100000000000007011010000000001"
)
GOLDEN_FOOTER = (
    "445259464f4f543100112233445566778899aabbccddeeff0200000000000000"
    "0070020000000000701101000000000002000000000000003aae100f41649297"
    "4ae554c0fe54caca06a10d108c251324f053bd2af2607ff10000000000000000"
    "b7b7cd425633b25c"
)


def footer_bytes() -> bytes:
    return record.pack_footer(SHARD_ID, ENTRIES, 159_744, [DIGEST, DIGEST[::-1]])


Codec = tuple[bytes, Callable[..., Any], Any]
CODECS: dict[str, Codec] = {
    "shard header": (record.pack_shard_header(SHARD)[:64], record.unpack_shard_header, SHARD),
    "group header": (record.pack_group_header(GROUP), record.unpack_group_header, GROUP),
    "record header": (record.pack_record_header(RECORD), record.unpack_record_header, RECORD),
    "trailer": (record.pack_trailer(TRAILER), record.unpack_trailer, TRAILER),
    "footer trailer": (
        footer_bytes()[-104:],
        record.unpack_footer_trailer,
        Footer(
            SHARD_ID,
            2,
            159_744,
            70_000,
            2,
            xxhash.xxh3_128_digest(DIGEST + DIGEST[::-1]),
            xxhash.xxh3_128_digest(footer_bytes()[:96]),
        ),
    ),
}


def test_golden_bytes():
    packed = {name: codec[0].hex() for name, codec in CODECS.items()}
    assert packed == {
        "shard header": GOLDEN_SHARD,
        "group header": GOLDEN_GROUP,
        "record header": GOLDEN_RECORD,
        "trailer": GOLDEN_TRAILER,
        "footer trailer": GOLDEN_FOOTER,
    }
    assert record.pack_entry(ENTRIES[0]).hex() == GOLDEN_ENTRY


def test_a_whole_sealed_shard_is_golden():
    shard = build_shard([[b"", b"hello"], [bytes(70_000)]])
    assert bytes(shard.sealed()) == golden("sealed_shard.txt")


def test_the_checksum_is_the_published_xxh3():
    # Any implementation of XXH3-64 with seed 0, stored little-endian, reads our headers.
    packed = record.pack_group_header(GROUP)
    assert packed[56:] == struct.pack("<Q", xxhash.xxh3_64(packed[:56]).intdigest())
    assert record.block_checksums(b"abc") == bytes.fromhex("78af5f94892f3950")[::-1]


@pytest.mark.parametrize(
    ("name", "size"),
    [("group header", 64), ("record header", 80), ("trailer", 64), ("footer trailer", 104)],
)
def test_sizes(name: str, size: int):
    assert len(CODECS[name][0]) == size


def test_the_shard_header_is_one_sector():
    packed = record.pack_shard_header(SHARD)
    assert len(packed) == record.SECTOR_BYTES
    assert not any(packed[64:])


@pytest.mark.parametrize("name", CODECS)
def test_round_trip(name: str):
    packed, unpack, value = CODECS[name]
    assert unpack(packed) == value


@pytest.mark.parametrize("name", CODECS)
def test_every_flipped_bit_is_refused(name: str):
    packed, unpack, _ = CODECS[name]
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError):
            unpack(bytes(damaged))


@pytest.mark.parametrize("name", CODECS)
def test_every_truncation_is_refused(name: str):
    packed, unpack, _ = CODECS[name]
    for length in range(len(packed)):
        with pytest.raises(CorruptError):
            unpack(packed[:length])


@pytest.mark.parametrize("name", ["group header", "record header", "trailer"])
def test_reading_at_an_offset(name: str):
    packed, unpack, value = CODECS[name]
    assert unpack(memoryview(b"\xff" * 13 + packed), 13) == value
    with pytest.raises(CorruptError):
        unpack(packed, -len(packed))


def test_other_versions_and_classes_are_refused():
    body = struct.pack(
        "<8s16s16sQHBBI", b"DRYSHRD1", SHARD_ID, STORE_ID, CREATED_NS, 2, 1, 0, BLOCK_BYTES
    )
    for offset, value in ((48, 2), (50, 9), (52, 1)):
        damaged = bytearray(record.pack_shard_header(SHARD)[:56])
        damaged[offset] = value
        checksum = xxhash.xxh3_64_intdigest(bytes(damaged)).to_bytes(8, "little")
        with pytest.raises(CorruptError, match="not known to this program"):
            record.unpack_shard_header(bytes(damaged) + checksum)
    assert len(body) == 56


def test_a_record_of_another_version_is_refused():
    damaged = bytearray(record.pack_record_header(RECORD)[:72])
    damaged[4] = 2
    checksum = xxhash.xxh3_64_intdigest(bytes(damaged)).to_bytes(8, "little")
    with pytest.raises(CorruptError, match="not known to this program"):
        record.unpack_record_header(bytes(damaged) + checksum)


def test_the_footer_lists_entries_by_key():
    data = footer_bytes()
    assert len(data) == record.footer_bytes(2) == 4096
    footer = record.unpack_footer_trailer(data)
    assert list(record.unpack_entries(data, footer)) == [ENTRIES[1], ENTRIES[0]]
    assert not any(data[96:-104])


def test_equal_groups_seal_to_equal_bytes():
    again = record.pack_footer(SHARD_ID, reversed(ENTRIES), 159_744, [DIGEST, DIGEST[::-1]])
    assert again == footer_bytes()


def test_a_key_that_is_twice_in_a_shard_is_sorted_by_offset():
    entries = [Entry(KEY, 900, 5, 0), Entry(KEY, 100, 5, 0)]
    data = record.pack_footer(SHARD_ID, entries, 8192, [])
    found = list(record.unpack_entries(data, record.unpack_footer_trailer(data)))
    assert [entry.offset for entry in found] == [100, 900]


def test_every_flipped_bit_of_the_entries_is_refused():
    data = footer_bytes()
    footer = record.unpack_footer_trailer(data)
    for bit in range(8 * 96):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError):
            list(record.unpack_entries(damaged, footer))


def test_a_cut_table_is_refused():
    footer = record.unpack_footer_trailer(footer_bytes())
    with pytest.raises(CorruptError):
        list(record.unpack_entries(footer_bytes()[:95], footer))


def test_a_footer_that_fills_its_sector_exactly():
    count = (4096 * 3 - 104) // 48
    sizes = {n: record.footer_bytes(n) for n in (0, count, count + 1)}
    assert sizes == {0: 4096, count: 4096 * 3, count + 1: 4096 * 4}
    for number in sizes:
        entries = [Entry(key_of(b"%d" % n), n, n, 0) for n in range(number)]
        data = record.pack_footer(SHARD_ID, entries, 4096, [])
        assert len(data) == sizes[number]
        assert record.unpack_footer_trailer(data).entry_count == number


@given(
    st.builds(
        Entry,
        st.binary(min_size=32, max_size=32),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**56 - 1),
        st.integers(0, 255),
    )
)
def test_entries_round_trip(entry: Entry):
    packed = record.pack_entry(entry)
    assert len(packed) == record.ENTRY_BYTES
    assert list(record.iterate_entries(packed)) == [entry]


@given(st.integers(0, 3 * BLOCK_BYTES))
def test_the_size_of_a_record(length: int):
    blocks = -(-length // 65536)
    size = 80 + 8 * blocks + length
    assert record.block_count(length) == blocks
    assert record.payload_offset(length) == 80 + 8 * blocks
    assert size <= record.record_bytes(length) < size + 8
    assert record.record_bytes(length) % 8 == 0


@pytest.mark.parametrize("length", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_block_checksums_cover_every_block(length: int):
    payload = hashlib.shake_128(b"x").digest(length)
    table = record.block_checksums(payload)
    starts = range(0, length, 65536)
    expected = [xxhash.xxh3_64_intdigest(payload[at : at + 65536]) for at in starts]
    assert table == struct.pack(f"<{len(expected)}Q", *expected)
    assert record.bad_block(memoryview(payload), table) == -1
    for number in range(len(expected)):
        damaged = bytearray(payload)
        damaged[min(length - 1, number * 65536 + 65535)] ^= 1
        assert record.bad_block(memoryview(damaged), table) == number
        wrong = bytearray(table)
        wrong[8 * number] ^= 1
        assert record.bad_block(memoryview(payload), wrong) == number


def test_a_piece_of_a_payload_is_checked_by_its_own_blocks():
    payload = hashlib.shake_128(b"x").digest(200_000)
    table = record.block_checksums(payload)
    assert record.bad_block(memoryview(payload)[131072:], table, 2) == -1
    assert record.bad_block(memoryview(payload)[131072:], table, 1) == 1
