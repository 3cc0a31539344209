"""Copying sealed shards: the copy equals the source, and no damaged source is copied to the end."""

import os
import random
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import SHARD_ID, Shard, build_shard
from shard_fixture import write_file as write

from fsd.disk_io.copy.copy_source import CopySource
from fsd.disk_io.shard_file import no_step
from fsd.format import record
from fsd.format.errors import CorruptError

SLOTS = (4096, 8192, 65536, 1 << 20)


def contents(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module")
def shard() -> Shard:
    sizes = [[0, 10, 3000], [70_000, 1], [200_000]]
    return build_shard([[contents(n, seed=n + i) for i, n in enumerate(row)] for row in sizes])


@pytest.fixture(scope="module")
def long_footer() -> Shard:
    """A shard of 1,000 tiny objects: its footer has 12 sectors, more than the smallest slots."""
    return build_shard([[b"%d" % n for n in range(1000)]])


def copy(path: Path, data: bytes | bytearray, slot_bytes: int = 65536) -> bytes:
    fd = write(path, data)
    copied = bytearray()
    slot = memoryview(bytearray(slot_bytes))
    try:
        source = CopySource(fd, SHARD_ID, no_step)
    except BaseException:
        os.close(fd)
        raise
    try:
        while True:
            offset, length = source.next(slot)
            assert offset == len(copied)
            if length == 0:
                assert source.length_bytes == offset
                return bytes(copied)
            copied += slot[:length]
    finally:
        source.close()


@pytest.mark.parametrize("slot_bytes", SLOTS)
def test_the_copy_equals_the_source(
    shard: Shard, long_footer: Shard, tmp_path: Path, slot_bytes: int
):
    for one in (shard, long_footer, build_shard([[]])):
        assert copy(tmp_path / "s", one.sealed(), slot_bytes) == one.sealed()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_that_counts_is_refused(
    shard: Shard, long_footer: Shard, tmp_path_factory, data
):
    one = data.draw(st.sampled_from([shard, long_footer]), "shard")
    region = data.draw(st.sampled_from(one.counted()), "region")
    byte = data.draw(st.integers(region.start, region.stop - 1), "byte")
    slot_bytes = data.draw(st.sampled_from(SLOTS), "slot")
    damaged = one.sealed()
    damaged[byte] ^= 1 << data.draw(st.integers(0, 7), "bit")
    with pytest.raises(CorruptError):
        copy(tmp_path_factory.getbasetemp() / "copy-flips", damaged, slot_bytes)


@pytest.mark.parametrize("slot_bytes", SLOTS)
def test_a_long_footer_is_verified_whatever_the_slot(
    long_footer: Shard, tmp_path: Path, slot_bytes: int
):
    assert len(long_footer.footer) == 49_152
    for entry in (0, 500, 999):
        damaged = long_footer.sealed()
        damaged[len(long_footer.data) + 48 * entry + 33] ^= 4
        with pytest.raises(CorruptError, match="entries"):
            copy(tmp_path / "s", damaged, slot_bytes)


@pytest.mark.parametrize("cut", [1, 104, 4096, 20_000])
def test_a_cut_file_is_refused(shard: Shard, tmp_path: Path, cut: int):
    with pytest.raises(CorruptError):
        copy(tmp_path / "s", shard.sealed()[:-cut])
    with pytest.raises(CorruptError):
        copy(tmp_path / "s", shard.sealed()[: cut - 1])


def test_a_footer_of_another_length_is_refused(shard: Shard, tmp_path: Path):
    # The trailer is whole, but it does not belong to a file of this length.
    data = shard.data + bytes(4096) + shard.footer
    with pytest.raises(CorruptError, match="another shard or place"):
        copy(tmp_path / "s", data)


def test_an_open_or_foreign_shard_is_refused(shard: Shard, tmp_path: Path):
    with pytest.raises(CorruptError):
        copy(tmp_path / "s", shard.data)
    fd = write(tmp_path / "s", shard.sealed())
    with pytest.raises(CorruptError, match="another shard"):
        CopySource(fd, bytes(16), no_step)
    os.close(fd)


def test_a_whole_group_of_another_shard_is_refused(tmp_path: Path):
    shard, other = build_shard([[b"a"], [b"b"]]), build_shard([[b"a"], [b"c"]])
    data = shard.sealed()
    data[8192:12288] = other.data[8192:12288]
    with pytest.raises(CorruptError, match="do not add up"):
        copy(tmp_path / "s", data)


def test_groups_that_changed_places_are_refused(tmp_path: Path):
    shard = build_shard([[b"a"], [b"b"]])
    data = shard.sealed()
    data[4096:8192], data[8192:12288] = data[8192:12288], data[4096:8192]
    with pytest.raises(CorruptError, match="do not add up"):
        copy(tmp_path / "s", data)


def test_a_group_that_leads_into_the_footer_is_refused(tmp_path: Path):
    shard = build_shard([[b"a"]])
    data = shard.sealed()
    data[4096:4160] = record.pack_group_header(record.GroupHeader(SHARD_ID, 0, 1, 8192, 0))
    with pytest.raises(CorruptError, match="group header"):
        copy(tmp_path / "s", data)


def test_a_file_that_changes_under_the_copy_is_refused(shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", shard.sealed())
    source = CopySource(fd, SHARD_ID, no_step)
    slot = memoryview(bytearray(65536))
    source.next(slot)
    with open(tmp_path / "s", "r+b") as file:
        file.seek(len(shard.sealed()) - 4096)
        # A footer that is whole, of other groups.
        file.write(build_shard([[b"x"]]).footer)
    with pytest.raises(CorruptError):
        while source.next(slot)[1]:
            pass
    source.close()


def test_the_footer_that_is_copied_is_the_one_that_was_checked(shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", shard.sealed())
    source = CopySource(fd, SHARD_ID, no_step)
    # The same entries and groups, but another sum of payloads.
    trailer = bytearray(shard.footer[-104:-8])
    trailer[40] ^= 1
    checksum = xxhash.xxh3_64_intdigest(bytes(trailer)).to_bytes(8, "little")
    with open(tmp_path / "s", "r+b") as file:
        file.seek(len(shard.sealed()) - 104)
        file.write(bytes(trailer) + checksum)
    slot = memoryview(bytearray(65536))
    with pytest.raises(CorruptError, match="not the same"):
        while source.next(slot)[1]:
            pass
    source.close()


def test_the_descriptor_is_closed_once(shard: Shard, tmp_path: Path):
    fd = write(tmp_path / "s", shard.sealed())
    CopySource(fd, SHARD_ID, no_step).close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
