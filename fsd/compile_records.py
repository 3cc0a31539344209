"""The records behind a manifest: it owns where the wanted contents lie and which paths they become.

Columns instead of an object for each record: with those, an export of five million files took
five gigabytes. A record is known by its position here; records are sorted by key, which is the
order that the index is read in fastest.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fsd.errors import ManifestError
from fsd.index import IndexReader, Location
from fsd.index_rows import LOCATION_FIELDS, unpack_lengths, unpack_location
from fsd.manifest import ManifestEntry, make_entry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Int64s = npt.NDArray[np.int64]

PROBLEMS_MAX = 20
LOOKED_UP_AT_ONCE = 4096
SORTED_BY_HEAD_MIN = 100_000
_HEADS_PER_KEY = 4
_PLACE_BYTES = 16


class Places(NamedTuple):
    """Arrays (N,) of all records: shard number, offset of the record, payload length, paths."""

    shard_number: Int64s
    offset: Int64s
    length_bytes: Int64s
    paths: Int64s


class Records:
    """All records that a list of entries wants; the list stays the caller's and is not changed."""

    def __init__(self, entries: Sequence[ManifestEntry]) -> None:
        self._entries = entries
        self._places = bytearray()
        self._first = array("Q")
        self._more: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._first)

    def add(self, place: bytes, number: int) -> None:
        """Append a record: its packed location, and the entry that has its content."""
        self._first.append(number)
        self._places += place

    def add_all(self, places: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Append records, each of which one entry has."""
        self._first.extend(numbers)
        self._places += b"".join(places)

    def add_path(self, number: int) -> None:
        """Give the last record one more entry."""
        self._more.setdefault(len(self._first) - 1, []).append(number)

    def key(self, position: int) -> bytes:
        """Return the key of a record."""
        key = self._entries[self._first[position]].key
        assert key is not None
        return key

    def location(self, position: int) -> Location:
        """Return where a record lies."""
        start = position * _PLACE_BYTES
        return unpack_location(bytes(self._places[start : start + _PLACE_BYTES]))

    def paths(self, position: int) -> Iterator[str]:
        """Yield the paths of a record, in the order of the entries."""
        for number in (self._first[position], *self._more.get(position, ())):
            yield self._entries[number].path

    def lengths(self) -> array[int]:
        """Return the payload length of every record."""
        return array("Q", unpack_lengths(self._places))

    def places(self) -> Places:
        """Return what a plan is made from."""
        # Importing numpy takes half of the process's start: only who plans waits for it.
        import numpy as np

        fields: Any = np.frombuffer(self._places, np.dtype(list(LOCATION_FIELDS)))
        paths = np.ones(len(self), np.int64)
        for position, more in self._more.items():
            paths[position] += len(more)
        return Places(
            fields["number"].astype(np.int64),
            fields["offset_low"] | fields["offset_high"].astype(np.int64) << 32,
            fields["length_low"] | fields["length_high"].astype(np.int64) << 32,
            paths,
        )


def look_up(reader: IndexReader, entries: list[ManifestEntry], step: Callable[[], None]) -> Records:
    """Find the records of all entries with a key, and fill in the sizes that entries lack.

    Raises ManifestError for keys that the store has not, and sizes that are not the object's.
    """
    records, wrong = Records(entries), array("Q")
    keys = [entry.key or b"" for entry in entries]
    wanted = _by_key(keys)
    record_of, key_last = array("q", [-1]) * len(entries), b""
    for start in range(0, len(wanted), LOOKED_UP_AT_ONCE):
        step()
        numbers = wanted[start : start + LOOKED_UP_AT_ONCE]
        sought = [keys[number] for number in numbers]
        found, first = reader.places(sought), len(records)
        if len(found) == len(sought) and sought[0] != key_last and len(set(sought)) == len(sought):
            # All there, and each once, as nearly always: as they come.
            records.add_all([place for _, place in found], numbers)
            for record, number in enumerate(numbers, first):
                record_of[number] = record
        else:
            _take_each(records, zip(numbers, sought, strict=True), dict(found), record_of, wrong)
        key_last = sought[-1]
    # In the entries' own order again: jumping among millions of them costs more than the look-up.
    wrong.extend(_fill_in(entries, record_of, records.lengths()))
    if wrong:
        reasons = [_reason(reader, entries[number]) for number in sorted(wrong)[:PROBLEMS_MAX]]
        raise ManifestError(reasons, len(wrong))
    return records


def _by_key(keys: Sequence[bytes]) -> Sequence[int]:
    """Return the numbers of those that are no empty bytes, sorted by key, equal ones by number."""
    wanted = [number for number, key in enumerate(keys) if key]
    if len(wanted) >= SORTED_BY_HEAD_MIN:
        # Importing numpy takes as long as sorting a hundred thousand keys without it.
        import numpy as np

        heads = np.frombuffer(b"".join(keys), ">u8")[::_HEADS_PER_KEY].astype(np.uint64)
        order = np.argsort(heads, kind="stable")
        alike = np.flatnonzero(heads[order[1:]] == heads[order[:-1]]).tolist()
        by_head = np.array(wanted, np.int64)[order].tolist()
        if all(keys[by_head[at]] == keys[by_head[at + 1]] for at in alike):
            return by_head
    wanted.sort(key=keys.__getitem__)
    return wanted


def _take_each(
    records: Records,
    sought: Iterable[tuple[int, bytes]],
    found: dict[bytes, bytes],
    record_of: array[int],
    wrong: array[int],
) -> None:
    """Take entries (number, key) that may be unknown, or of one content; sorted by key."""
    for number, key in sought:
        place = found.get(key)
        if place is None:
            wrong.append(number)
            continue
        if len(records) and records.key(len(records) - 1) == key:
            records.add_path(number)
        else:
            records.add(place, number)
        record_of[number] = len(records) - 1


def _fill_in(
    entries: list[ManifestEntry], record_of: Sequence[int], lengths: Sequence[int]
) -> Iterator[int]:
    """Give the entries their sizes; yields the numbers of those that say another one."""
    for number, (entry, record) in enumerate(zip(entries, record_of, strict=True)):
        if record < 0:
            continue
        path, key, _, size_bytes, node_id = entry
        if size_bytes is None:
            fields = (path, key, None, lengths[record], node_id)
            entries[number] = make_entry(ManifestEntry, fields)
        elif size_bytes != lengths[record]:
            yield number


def _reason(reader: IndexReader, entry: ManifestEntry) -> str:
    key = entry.key or b""
    location = reader.locate(key)
    if location is None:
        return f"{entry.path!r}: the store has no object {key.hex()}"
    length = location.length_bytes
    return f"{entry.path!r}: size_bytes says {entry.size_bytes}, the object has {length}"
