"""Looking up a manifest's records: sizes, repeated content, refusals, the planner's columns."""

import hashlib
import random

import pytest

from fsd.compile.compile_process import record_sizes
from fsd.compile.compile_records import LOOKED_UP_AT_ONCE, PROBLEMS_MAX, Records, look_up
from fsd.format.errors import ManifestError
from fsd.format.manifest import manifest_keys
from fsd.format.manifest.manifest import ManifestEntry
from fsd.format.manifest.manifest_columns import Columns
from fsd.format.manifest.manifest_keys import by_key
from fsd.format.record import record_bytes
from fsd.store.index import Index, Location

SIZES = (0, 1, 65535, 65536, 65537, 1 << 33)


def key_of(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "little")).digest()


def place_of(number: int) -> Location:
    # Offsets and lengths beyond 32 bits: both are packed in two pieces.
    return Location(number % 7 + 1, number * (1 << 25) + 8, SIZES[number % len(SIZES)])


@pytest.fixture(params=["by key", "by the head of the key"])
def index(tmp_path, request, monkeypatch):
    if request.param != "by key":
        monkeypatch.setattr(manifest_keys, "SORTED_BY_NUMPY_MIN", 0)
    made = Index(str(tmp_path), 1)
    with made.write() as writer:
        for number in range(LOOKED_UP_AT_ONCE + 500):
            writer.put_object(key_of(number), place_of(number))
    yield made
    made.close()


def entry(number: int, path: str = "", size_bytes: int | None = None) -> ManifestEntry:
    return ManifestEntry(path or f"{number}.jpg", key_of(number), None, size_bytes, number)


def found_in(index: Index, entries: list[ManifestEntry]) -> tuple[Records, Columns]:
    columns = Columns(entries)
    with index.read() as reader:
        return look_up(reader, columns, by_key(columns), lambda: None), columns


def paths_by_key(records: Records) -> dict[bytes, list[str]]:
    items = records.items(range(len(records)))
    return {key: [path.decode() for path in paths] for _, _, key, paths in items}


def test_every_record_is_found_with_its_size_and_all_its_paths(index):
    numbers = [*range(LOOKED_UP_AT_ONCE + 500), 3, 3, LOOKED_UP_AT_ONCE]
    entries = [entry(number, f"{place}.jpg") for place, number in enumerate(numbers)]
    entries.insert(2, ManifestEntry("a.txt", text="words", size_bytes=5))
    random.Random(4).shuffle(entries)
    given, steps, columns = list(entries), [], Columns(entries)
    with index.read() as reader:
        records = look_up(reader, columns, by_key(columns), lambda: steps.append(1))
    entries = list(columns.entries())
    assert len(steps) == 2
    assert [e.size_bytes for e in entries] == [
        5 if e.key is None else place_of(e.node_id).length_bytes for e in given
    ]
    assert [e._replace(size_bytes=None) for e in entries] == [
        e._replace(size_bytes=None) for e in given
    ]
    found = paths_by_key(records)
    assert len(found) == len(records) == LOOKED_UP_AT_ONCE + 500
    for number in (0, 3, LOOKED_UP_AT_ONCE):
        # In the order of the entries, wherever the look-ups were cut.
        assert found[key_of(number)] == [e.path for e in given if e.node_id == number]


def test_the_columns_say_what_the_records_say(index):
    numbers = range(7, LOOKED_UP_AT_ONCE, 91)
    entries = [entry(number) for number in numbers] + [entry(7, "again"), entry(7, "and again")]
    records, _ = found_in(index, entries)
    columns = (records.offsets(), records.lengths(), records.path_counts())
    shards, items = records.shard_numbers(), records.items(range(len(records)))
    assert max(offset for offset, *_ in items) > 1 << 32 < max(length for _, length, *_ in items)
    for position, (offset, length, key, paths) in enumerate(items):
        row = [int(column[position]) for column in columns]
        assert row == [offset, length, len(paths)]
        assert Location(int(shards[position]), offset, length) == index.locate(key)
        assert records.key(position) == key
    assert [int(size) for size in record_sizes(columns[1])] == [
        record_bytes(int(length)) for length in columns[1]
    ]


def test_unknown_keys_and_wrong_sizes_are_refused_together_in_order(index):
    entries = [entry(10**6 + n, f"unknown-{n}") for n in range(PROBLEMS_MAX)]
    entries.insert(1, entry(2, "wrong", size_bytes=12345))
    entries.append(entry(3, size_bytes=place_of(3).length_bytes))
    with pytest.raises(ManifestError) as refused:
        found_in(index, entries)
    assert refused.value.problem_count == PROBLEMS_MAX + 1
    assert (
        refused.value.problems[0] == f"'unknown-0': the store has no object {entries[0].key.hex()}"
    )
    assert refused.value.problems[1] == "'wrong': size_bytes says 12345, the object has 65535"
    assert len(refused.value.problems) == PROBLEMS_MAX


def test_texts_alone_need_no_record(index):
    entries = [ManifestEntry("a", text="x", size_bytes=1)]
    records, _ = found_in(index, entries)
    assert len(records) == 0
    assert len(records.offsets()) == len(records.path_counts()) == 0


def test_keys_that_begin_alike_are_sorted_and_found(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_keys, "SORTED_BY_NUMPY_MIN", 0)
    keys = [bytes(8) + key_of(number)[8:] for number in range(40)]
    made = Index(str(tmp_path), 1)
    with made.write() as writer:
        for number, key in enumerate(keys):
            writer.put_object(key, place_of(number))
    entries = [ManifestEntry(f"{n}.jpg", keys[n % 40], None, None, n % 40) for n in range(90)]
    records, columns = found_in(made, entries)
    made.close()
    found, entries = paths_by_key(records), list(columns.entries())
    assert len(records) == 40 and list(found) == sorted(keys)
    for number, key in enumerate(keys):
        assert found[key] == [e.path for e in entries if e.node_id == number]
    assert all(e.size_bytes == place_of(int(str(e.node_id))).length_bytes for e in entries)
