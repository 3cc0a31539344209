"""What a scan finds in whole, torn, damaged and partly unreadable shards."""

import os
import random
from pathlib import Path

import pytest
from bad_disk_fixture import bad_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import CREATED_NS, SHARD_ID, STORE_ID, Shard, build_group, build_shard
from shard_fixture import write_file as write

from fsd.disk_io.reading.scan import Group, ScanResult, holds_more, scan_shard
from fsd.disk_io.shard_file import BAD_READS_MAX, WindowReader, open_direct
from fsd.format import record
from fsd.format.errors import CorruptError
from fsd.format.record import Entry, ShardHeader, iterate_entries

HEADER = ShardHeader(SHARD_ID, STORE_ID, CREATED_NS, "raw", False)


def contents(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module")
def shard() -> Shard:
    sizes = [[0, 10, 3000], [70_000, 1], [5000, 5000, 5000], [200_000]]
    return build_shard([[contents(n, seed=n + i) for i, n in enumerate(row)] for row in sizes])


def scan(path: Path, data: bytes | bytearray) -> ScanResult:
    fd = write(path, data)
    try:
        return scan_shard(fd, SHARD_ID)
    finally:
        os.close(fd)


def entries_of(*groups: Group) -> list[Entry]:
    return [entry for group in groups for entry in iterate_entries(group.entries)]


def flip(data: bytes | bytearray, bit: int) -> bytearray:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return damaged


def test_an_open_shard(shard: Shard, tmp_path: Path):
    found = scan(tmp_path / "s", shard.data)
    assert found.header == HEADER
    assert found.file_bytes == len(shard.data)
    assert found.footer is None
    assert found.entries == b""
    assert [(group.offset, group.length_bytes) for group in found.groups] == shard.groups
    assert [group.number for group in found.groups] == [0, 1, 2, 3]
    assert [group.record_count for group in found.groups] == [3, 2, 3, 1]
    assert [group.intact for group in found.groups] == [True] * 4
    assert entries_of(*found.groups) == shard.entries


def test_a_sealed_shard(shard: Shard, tmp_path: Path):
    found = scan(tmp_path / "s", shard.sealed())
    assert found.header == HEADER
    assert found.groups == []
    assert found.footer == record.unpack_footer_trailer(shard.footer)
    assert list(iterate_entries(found.entries)) == sorted(shard.entries)


def test_a_shard_that_was_only_begun(tmp_path: Path):
    found = scan(tmp_path / "s", build_shard([]).data)
    assert (found.header, found.groups) == (HEADER, [])
    assert scan(tmp_path / "s", b"") == ScanResult(None, 0)
    assert scan(tmp_path / "s", bytes(20_000)) == ScanResult(None, 20_000)


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(1, 200_704), zeros=st.booleans())
def test_a_torn_last_group_is_not_there(shard: Shard, tmp_path_factory, cut: int, zeros: bool):
    assert shard.groups[3][1] == 200_704
    data = shard.data[:-cut] + bytes(cut if zeros else 0)
    found = scan(tmp_path_factory.getbasetemp() / "torn", data)
    groups = found.groups
    if cut < record.TRAILER_BYTES:
        # Even the last byte of the trailer is needed, unless it was zero.
        torn = data != shard.data
        assert len(groups) == 3 + (not torn)
    else:
        assert [(group.offset, group.length_bytes) for group in groups] == shard.groups[:3]
    assert all(group.intact for group in groups)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("bit", [0, 100, 300, 511])
def test_a_damaged_group_header_hides_nothing(shard: Shard, tmp_path: Path, number: int, bit: int):
    offset, _ = shard.groups[number]
    found = scan(tmp_path / "s", flip(shard.data, 8 * offset + bit))
    assert [(group.offset, group.length_bytes) for group in found.groups] == shard.groups
    assert [group.intact for group in found.groups] == [n != number for n in range(4)]
    assert entries_of(*found.groups) == shard.entries


def test_the_last_group_without_its_header_is_torn(shard: Shard, tmp_path: Path):
    # A power cut may leave any sectors of it; nothing behind it says that it was committed.
    found = scan(tmp_path / "s", flip(shard.data, 8 * shard.groups[3][0]))
    assert [(group.offset, group.length_bytes) for group in found.groups] == shard.groups[:3]


def test_a_stale_trailer_does_not_reach_into_the_groups_before(shard: Shard, tmp_path: Path):
    stale = record.pack_trailer(record.Trailer(SHARD_ID, 9, 1, 40_960, bytes(16)))
    begun = len(shard.data) - shard.groups[3][1]
    data = shard.data[:begun] + bytes(4096 - 64) + stale + shard.data[begun:]
    found = scan(tmp_path / "s", data)
    assert [group.offset for group in found.groups] == [
        *(offset for offset, _ in shard.groups[:3]),
        begun + 4096,
    ]


def test_a_header_and_a_trailer_of_two_groups_are_none(tmp_path: Path):
    shard = build_shard([[b"a"], [b"b"]])
    for header in ((5, 1, 4096), (0, 2, 4096)):
        data = bytearray(shard.data)
        data[8192:8256] = record.pack_group_header(record.GroupHeader(SHARD_ID, *header, 1))
        found = scan(tmp_path / "s", data)
        assert [group.offset for group in found.groups] == [4096]


def test_a_footer_that_is_not_at_its_place_is_none(shard: Shard, tmp_path: Path):
    found = scan(tmp_path / "s", shard.data + bytes(4096) + shard.footer)
    assert found.footer is None
    assert entries_of(*found.groups) == shard.entries


def test_foreign_records_inside_of_a_damaged_one(tmp_path: Path):
    inner, entries, _ = build_group([b"1", b"2", b"3"], shard_id=bytes(16))
    shard = build_shard([[inner, b"after", b"last"], [b"next"]])
    assert len(entries) == 3 * 48
    found = scan(tmp_path / "s", flip(shard.data, 8 * (shard.entries[0].offset + 50)))
    assert entries_of(*found.groups) == shard.entries[1:]


def test_two_damaged_headers_in_a_row(shard: Shard, tmp_path: Path):
    data = shard.data
    for number in (1, 2):
        data = flip(data, 8 * shard.groups[number][0])
    found = scan(tmp_path / "s", data)
    assert [group.intact for group in found.groups] == [True, False, False, True]
    assert entries_of(*found.groups) == shard.entries


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_trailer_hides_its_group_only(shard: Shard, tmp_path: Path, number: int):
    # It cannot be told from a torn one.
    offset, length = shard.groups[number]
    found = scan(tmp_path / "s", flip(shard.data, 8 * (offset + length - 64)))
    kept = [place for place in shard.groups if place != (offset, length)]
    assert [(group.offset, group.length_bytes) for group in found.groups] == kept


def test_a_group_of_zeros_in_the_middle(shard: Shard, tmp_path: Path):
    data = bytearray(shard.data)
    offset, length = shard.groups[1]
    data[offset : offset + length] = bytes(length)
    found = scan(tmp_path / "s", data)
    assert [group.number for group in found.groups] == [0, 2, 3]
    assert all(group.intact for group in found.groups)


def test_a_damaged_shard_header_hides_nothing_else(shard: Shard, tmp_path: Path):
    for data in (shard.data, shard.sealed()):
        whole, found = scan(tmp_path / "s", data), scan(tmp_path / "s", flip(data, 100))
        assert found.header is None
        assert (found.groups, found.footer, found.entries) == (
            whole.groups,
            whole.footer,
            whole.entries,
        )


@pytest.mark.fault
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flipped_bit_costs_its_record_at_most(shard: Shard, tmp_path_factory, data):
    number = data.draw(st.integers(0, 3), "group")
    offset, length = shard.groups[number]
    # The header of the last group is needed: nothing else says that the group was committed.
    first = offset + (64 if number == 3 else 0)
    bit = data.draw(st.integers(8 * first, 8 * (offset + length - 64) - 1), "bit")
    found = scan(tmp_path_factory.getbasetemp() / "flip", flip(shard.data, bit))
    assert [group.intact for group in found.groups] == [n != number for n in range(4)]
    hit = [
        entry
        for entry in shard.entries
        if entry.offset <= bit // 8 < entry.offset + 80 + 8 * record.block_count(entry.length_bytes)
        or 0
        <= bit // 8 - entry.offset - record.payload_offset(entry.length_bytes)
        < entry.length_bytes
    ]
    assert len(hit) <= 1
    assert entries_of(*found.groups) == [entry for entry in shard.entries if entry not in hit]


@pytest.mark.parametrize("damage", ["footer trailer", "table"])
def test_a_damaged_footer_falls_back_on_the_groups(shard: Shard, tmp_path: Path, damage: str):
    data = shard.sealed()
    at = len(data) - 50 if damage == "footer trailer" else len(shard.data) + 5
    found = scan(tmp_path / "s", flip(data, 8 * at))
    assert found.footer is None
    assert entries_of(*found.groups) == shard.entries


def test_a_cut_footer_falls_back_on_the_groups(shard: Shard, tmp_path: Path):
    for cut in (1, 104, 4095):
        found = scan(tmp_path / "s", shard.sealed()[:-cut])
        assert found.footer is None
        assert entries_of(*found.groups) == shard.entries


def test_bytes_behind_a_footer_hide_it_but_not_the_groups(shard: Shard, tmp_path: Path):
    found = scan(tmp_path / "s", shard.sealed() + bytes(8192))
    assert found.footer is None
    assert entries_of(*found.groups) == shard.entries


def test_a_shard_within_a_shard_is_content(tmp_path: Path):
    # Somebody stores a disk of another store: its groups and records are not ours.
    inner, _, _ = build_group([b"stolen"], shard_id=bytes(16))
    padding = bytes(4096 - 64 - 80 - 8)
    shard = build_shard([[padding + inner * 3], [b"after"]])
    for data in (shard.data, flip(shard.data, 8 * 4096)):
        found = scan(tmp_path / "s", data)
        assert entries_of(*found.groups) == shard.entries


def test_another_shards_file(shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", shard.sealed())
    found = scan_shard(fd, bytes(16))
    os.close(fd)
    assert found == ScanResult(None, len(shard.sealed()))


def bad_sector(place: int) -> tuple[int, int]:
    start = place // 4096 * 4096
    return start, start + 4096


def test_bad_sectors_hide_what_lies_in_them_only(shard: Shard, tmp_path: Path):
    lost = [shard.entries[2], shard.entries[5]]
    # The start of a file, of a group, and the middle of records: 10 GB disks have them all.
    bad = [bad_sector(0), bad_sector(shard.groups[1][0])]
    bad += [bad_sector(entry.offset + entry.length_bytes) for entry in lost]
    os.close(write(tmp_path / "s", shard.data))
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), bad) as path:
        fd = open_direct(path, os.O_RDONLY)
        found = scan_shard(fd, SHARD_ID)
        os.close(fd)
    assert found.header is None
    assert [(group.offset, group.length_bytes) for group in found.groups][-1] == shard.groups[-1]
    kept = [entry for entry in shard.entries if not touched(entry, bad)]
    assert len(kept) >= 3
    assert [entry for entry in entries_of(*found.groups) if entry in kept] == kept


def touched(entry: Entry, bad: list[tuple[int, int]]) -> bool:
    end = entry.offset + record.record_bytes(entry.length_bytes)
    return any(entry.offset < stop and start < end for start, stop in bad)


def test_a_disk_that_fails_everywhere_is_given_up(tmp_path: Path):
    os.close(write(tmp_path / "s", bytes(4096 * (BAD_READS_MAX + 10))))
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), [(0, 1 << 40)]) as path:
        fd = open_direct(path, os.O_RDONLY)
        with pytest.raises(OSError, match="Input/output error"):
            scan_shard(fd, SHARD_ID)
        os.close(fd)


def test_a_window_reads_what_lies_beside_a_bad_sector(tmp_path: Path):
    data = contents(40_960)
    os.close(write(tmp_path / "s", data))
    with bad_disk(str(tmp_path / "mnt"), str(tmp_path / "s"), [(8192, 12288)]) as path:
        reader = WindowReader(open_direct(path, os.O_RDONLY))
        assert reader.read(100, 200, 40_960) == data[100:300]
        with pytest.raises(CorruptError, match="cannot read"):
            reader.read(8191, 2, 40_960)
        assert reader.read(12_288, 5000, 40_960) == data[12_288:17_288]
        os.close(reader.fd)


def test_a_window_ends_with_the_file(tmp_path: Path):
    reader = WindowReader(write(tmp_path / "s", contents(5000)))
    assert reader.read(4990, 10) == contents(5000)[4990:]
    for offset, length in ((4990, 11), (5000, 1), (9000, 1)):
        with pytest.raises(CorruptError, match="shorter"):
            reader.read(offset, length)
    os.close(reader.fd)


def test_a_window_grows_for_what_it_is_asked(tmp_path: Path):
    data = contents(100_000)
    reader = WindowReader(write(tmp_path / "s", data), window_bytes=8192)
    assert reader.read(1, 99_999) == data[1:]
    assert reader.read(0, 10, 50_000) == data[:10]
    os.close(reader.fd)


def test_whether_more_than_is_known_may_be_there(shard: Shard, tmp_path: Path):
    """Only the end of the file, the footer of what is known, and a torn group say no."""

    def more(data: bytes | bytearray, offset: int) -> bool:
        fd = write(tmp_path / "s", data)
        try:
            return holds_more(fd, SHARD_ID, offset)
        finally:
            os.close(fd)

    ends = [offset + length for offset, length in shard.groups]
    whole, last = ends[-1], ends[-2]
    assert not more(shard.data, whole) and not more(shard.data[:last], whole)
    assert not more(shard.sealed(), whole)
    assert not more(shard.data[:-1], last)
    assert more(shard.data, last) and more(shard.sealed(), last) and more(shard.data, ends[0])
    assert more(shard.data + b"\x5a" * 4096, whole)
    assert more(shard.data[: last + 4096] + b"\0" * 4096, last) is False
    damaged = flip(shard.data, (last + 9) * 8)
    assert more(damaged, last)
    assert more(flip(shard.sealed(), (len(shard.sealed()) - 30) * 8), whole)
