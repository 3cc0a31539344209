"""The index: packed locations, rows there and back, snapshots, generations."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsd.format.errors import CorruptError, NotFoundError
from fsd.format.index_rows import view_name
from fsd.store.generation import current_generation, generation_path, set_current_generation
from fsd.store.index import (
    BatchRow,
    DiskRow,
    Index,
    Location,
    ShardRow,
    ViewRow,
    pack_location,
    unpack_location,
)


def key(number: int) -> bytes:
    return number.to_bytes(2, "big").ljust(32, b"k")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(str(tmp_path), 1)
    yield index
    index.close()


@pytest.mark.parametrize(
    ("location", "packed"),
    [
        (Location(0, 0, 0), "00" * 16),
        (Location(1, 2, 3), "01000000020000000000030000000000"),
        (Location(0x01020304, 0x0A0B0C0D0E0F, 0x1A1B1C1D1E1F), "040302010f0e0d0c0b0a1f1e1d1c1b1a"),
        (Location(2**32 - 1, 2**48 - 1, 2**48 - 1), "ff" * 16),
    ],
)
def test_golden_locations(location: Location, packed: str):
    assert pack_location(location).hex() == packed
    assert unpack_location(bytes.fromhex(packed)) == location


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_locations_round_trip(number: int, offset: int, length: int):
    location = Location(number, offset, length)
    assert unpack_location(pack_location(location)) == location


@pytest.mark.parametrize(
    "wrong", [Location(2**32, 0, 0), Location(0, 2**48, 0), Location(0, 0, -1)]
)
def test_what_does_not_fit_is_an_error(wrong: Location):
    with pytest.raises(Exception, match=r"argument out of range|format requires"):
        pack_location(wrong)


def test_objects(index: Index):
    with index.write() as writer:
        for number in (3, 1, 2):
            writer.put_object(key(number), Location(1, number, number))
        writer.put_object(key(2), Location(9, 9, 9))
    assert index.locate(key(2)) == Location(9, 9, 9)
    assert index.locate(bytes(32)) is None
    with index.read() as reader:
        assert reader.object_count() == 3
        assert [found for found, _ in reader.keys(b"")] == [key(1), key(2), key(3)]
        assert [found for found, _ in reader.keys(after=key(1))] == [key(2), key(3)]
        assert list(reader.keys(prefix=b"\0\2")) == [(key(2), Location(9, 9, 9))]
        assert list(reader.keys(prefix=b"\0\2", after=key(2))) == []
        assert list(reader.keys(prefix=b"\0\2", after=key(1))) == [(key(2), Location(9, 9, 9))]
        assert list(reader.keys(after=key(3))) == []
        assert list(reader.keys(prefix=b"x")) == []


def test_shards(index: Index):
    row = ShardRow(0, "ab" * 16, "raw", ["d1", "d2"], True, True, 5, 6, 7, 8)
    with index.write() as writer:
        numbers = [writer.next_shard_number() for _ in range(3)]
        row.number = numbers[1]
        writer.put_shard(row)
        writer.put_shard(ShardRow(300, "cd" * 16, "generated", []))
    assert numbers == [1, 2, 3]
    with index.read() as reader:
        assert reader.shard(2) == row
        assert reader.shard_number("ab" * 16) == 2
        assert reader.shard_number("00" * 16) is None
        assert [found.number for found in reader.shards()] == [2, 300]
        with pytest.raises(NotFoundError, match="shard number 7"):
            reader.shard(7)
    with index.write() as writer:
        writer.delete_shard(row)
        assert writer.next_shard_number() == 4
    with index.read() as reader:
        assert reader.shard_number("ab" * 16) is None
        assert [found.number for found in reader.shards()] == [300]


def test_batches_and_their_parts(index: Index):
    row = BatchRow("b ä", "raw", 5)
    other = BatchRow("b ä2", "raw", 6)
    with index.write() as writer:
        # In any order, and more than one byte of numbers.
        for number in (0, 300, 2, 255, 256):
            assert writer.add_batch_part(row, number, key(number))
        assert not writer.add_batch_part(row, 2, key(2))
        # Of another history with the same number: both are kept, and both only once.
        assert writer.add_batch_part(row, 2, key(9))
        assert not writer.add_batch_part(row, 2, key(9))
        writer.add_batch_part(other, 0, key(1000))
        writer.put_batch(row)
        writer.put_batch(other)
    with index.read() as reader:
        assert reader.batch("b ä") == row
        assert reader.batch("b") is None
        assert row.part_count == 302
        assert reader.batch_parts("b ä") == [key(n) for n in (0, 2, 255, 256, 300, 9)]
        assert reader.batch_parts("b ä2") == [key(1000)]
        assert reader.batch_parts("b") == []
        assert list(reader.batches()) == [row, other]


def test_views(index: Index):
    rows = [
        ViewRow("exports", "e1", "l1", "ab", 5, "t", {"a": [1, "ä\udcff"]}),
        ViewRow("exports", "e1", "l2", "cd", 6),
        ViewRow("stage", "s", "", "ef", 7),
    ]
    assert [row.name for row in rows] == ["exports/e1/l1", "exports/e1/l2", "stage/s"]
    assert view_name("stage", "s", "") == "stage/s"
    with index.write() as writer:
        for row in rows:
            writer.put_view(row)
    with index.read() as reader:
        assert reader.view("exports/e1/l1") == rows[0]
        assert reader.view("exports/e1") is None
        assert list(reader.views()) == rows
        assert list(reader.views("exports")) == rows[:2]
        assert list(reader.views("browse")) == []
    with index.write() as writer:
        writer.delete_view("exports/e1/l1")
    with index.read() as reader:
        assert list(reader.views()) == rows[1:]


def test_the_longest_names_fit(index: Index):
    name = "ä" * 100
    with index.write() as writer:
        writer.put_view(ViewRow("exports", name, name, "ab", 5))
        row = BatchRow(name, "raw", 5)
        writer.add_batch_part(row, 2**32 - 2, key(1))
        writer.put_batch(row)
    with index.read() as reader:
        assert reader.view(f"exports/{name}/{name}") is not None
        assert reader.batch_parts(name) == [key(1)]


def test_disks_and_meta(index: Index):
    row = DiskRow("d1", "hdd ä", "/mnt/\udcff", "online")
    with index.write() as writer:
        writer.put_disk(row)
        writer.put_meta("n", {"x": None})
    with index.read() as reader:
        assert reader.disks() == [row]
        assert reader.meta("n") == {"x": None}
        assert reader.meta("m") is None


def test_a_transaction_is_whole_or_nothing(index: Index):
    with pytest.raises(RuntimeError), index.write() as writer:
        writer.put_object(key(1), Location(1, 1, 1))
        raise RuntimeError
    assert index.locate(key(1)) is None


def test_a_reader_sees_one_moment(index: Index):
    with index.read() as reader:
        thread = threading.Thread(target=write_one, args=(index, key(1)))
        thread.start()
        thread.join()
        assert reader.locate(key(1)) is None
    assert index.locate(key(1)) == Location(1, 1, 1)


def write_one(index: Index, name: bytes) -> None:
    with index.write() as writer:
        writer.put_object(name, Location(1, 1, 1))


def test_writers_wait_for_each_other(index: Index):
    def add() -> None:
        for _ in range(20):
            with index.write() as writer:
                number = int(writer.meta("count") or 0)
                writer.put_meta("count", number + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with index.read() as reader:
        assert reader.meta("count") == 80


def test_it_is_there_after_a_restart(tmp_path: Path):
    index = Index(str(tmp_path), 1)
    write_one(index, key(1))
    index.close()
    for readonly in (True, False):
        again = Index(str(tmp_path), 1, readonly=readonly)
        assert again.locate(key(1)) == Location(1, 1, 1)
        again.close()


def test_a_read_only_index_refuses_writes(tmp_path: Path):
    index = Index(str(tmp_path), 1)
    write_one(index, key(1))
    index.close()
    reader = Index(str(tmp_path), 1, readonly=True)
    with pytest.raises(CorruptError, match="Permission denied"):
        write_one(reader, key(2))
    assert reader.locate(key(1)) is not None
    reader.close()


def test_generations(tmp_path: Path):
    root = str(tmp_path)
    assert current_generation(root) is None
    for number in (1, 12):
        index = Index(root, number)
        write_one(index, key(number))
        assert os.path.isdir(os.path.join(generation_path(root, number), "trees"))
        assert index.tree_path("t") == os.path.join(root, str(number), "trees", "t")
        assert index.size_bytes() > 0
        set_current_generation(root, number)
        assert current_generation(root) == number
        index.close()
    assert sorted(os.listdir(root)) == ["1", "12", "CURRENT"]
    assert (tmp_path / "CURRENT").read_text() == "12\n"
    first = Index(root, 1, readonly=True)
    assert first.locate(key(12)) is None
    first.close()


@pytest.mark.parametrize("text", ["", "x", "1 2"])
def test_a_damaged_current_names_none(tmp_path: Path, text: str):
    (tmp_path / "CURRENT").write_text(text)
    assert current_generation(str(tmp_path)) is None


@pytest.mark.parametrize("damage", ["garbage", "missing"])
def test_a_damaged_generation_is_refused(tmp_path: Path, damage: str):
    index = Index(str(tmp_path), 1)
    write_one(index, key(1))
    index.close()
    data = tmp_path / "1" / "data.mdb"
    if damage == "garbage":
        data.write_bytes(b"garbage " * 4096)
    else:
        data.unlink()
    with pytest.raises(CorruptError):
        Index(str(tmp_path), 1, readonly=True)
