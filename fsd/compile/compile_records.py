"""The records behind a manifest: it owns where the wanted contents lie and which paths they become.

Columns instead of an object for each record: with those, an export of five million files took
five gigabytes. A record is known by its position here; records are sorted by key, which is the
order that the index is read in fastest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fsd.format.errors import ManifestError
from fsd.format.index_rows import LOCATION_FIELDS, unpack_lengths, unpack_spans
from fsd.format.manifest.manifest_columns import UNKNOWN_SIZE, Columns
from fsd.format.manifest.manifest_keys import KeyOrder
from fsd.store.index import IndexReader

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Int64s = npt.NDArray[np.int64]
    UInt32s = npt.NDArray[np.uint32]

PROBLEMS_MAX = 20
LOOKED_UP_AT_ONCE = 4096
_PLACE_BYTES = 16
Item: TypeAlias = "tuple[int, int, bytes, tuple[bytes, ...]]"


class Records:
    """All records that the entries want, which stay the caller's and are not changed."""

    def __init__(self, entries: Columns) -> None:
        self._entries = entries
        self._places = bytearray()
        self._first = array("q")
        self._more: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._first)

    def add(self, place: bytes, number: int) -> None:
        """Append a record: its packed location, and the entry that has its content."""
        self._first.append(number)
        self._places += place

    def add_all(self, places: bytes, numbers: Sequence[int]) -> None:
        """Append records, packed one behind the other, each of which one entry has."""
        self._first.extend(numbers)
        self._places += places

    def add_path(self, number: int) -> None:
        """Give the last record one more entry."""
        self._more.setdefault(len(self._first) - 1, []).append(number)

    def key(self, position: int) -> bytes:
        """Return the key of a record."""
        return self._entries.key(self._first[position])

    def items(self, positions: Sequence[int]) -> list[Item]:
        """Return records as (offset, payload bytes, key, paths in the order of the entries)."""
        entries, places, size = self._entries, self._places, _PLACE_BYTES
        numbers = [self._first[position] for position in positions]
        packed = b"".join([places[at * size : (at + 1) * size] for at in positions])
        spans, keys = unpack_spans(packed), entries.keys_of(numbers)
        items: list[Item] = [
            (offset, length, key, (path,))
            for (offset, length), key, path in zip(
                spans, keys, entries.paths_of(numbers), strict=True
            )
        ]
        if self._more:
            for at, position in enumerate(positions):
                if more := self._more.get(position):
                    offset, length, key, paths = items[at]
                    items[at] = (offset, length, key, (*paths, *entries.paths_of(more)))
        return items

    def shard_numbers(self) -> UInt32s:
        """Return the shard number of each record (N,)."""
        return self._fields()["number"].copy()

    def offsets(self) -> Int64s:
        """Return the offset of each record (N,)."""
        return self._wide("offset_low", "offset_high")

    def lengths(self) -> Int64s:
        """Return the payload bytes of each record (N,)."""
        return self._wide("length_low", "length_high")

    def path_counts(self) -> UInt32s:
        """Return how many paths each record becomes (N,)."""
        import numpy as np

        counts = np.ones(len(self), np.uint32)
        for position, more in self._more.items():
            counts[position] += len(more)
        return counts

    def _wide(self, low: str, high: str) -> Int64s:
        import numpy as np

        fields = self._fields()
        values = fields[high].astype(np.int64)
        values <<= 32
        values |= fields[low]
        return values

    def _fields(self) -> Any:
        # Importing numpy takes half of the process's start: only who plans waits for it.
        import numpy as np

        return np.frombuffer(self._places, np.dtype(list(LOCATION_FIELDS)))


def look_up(
    reader: IndexReader, entries: Columns, keyed: KeyOrder, step: Callable[[], None]
) -> Records:
    """Find the records of all entries with a key, and fill in the sizes that entries lack.

    Raises ManifestError for keys that the store has not, and sizes that are not the object's.
    """
    records, wrong = Records(entries), array("q")
    order, repeats = keyed
    for start in range(0, len(order), LOOKED_UP_AT_ONCE):
        step()
        numbers = order[start : start + LOOKED_UP_AT_ONCE]
        sought = entries.keys_of(numbers)
        found = reader.places(sought)
        repeat = bisect_left(repeats, start)
        has_repeats = repeat < len(repeats) and repeats[repeat] < start + len(numbers)
        if len(found) == len(sought) and not has_repeats:
            # All there, and each once, as nearly always: as they come.
            places = b"".join([place for _, place in found])
            records.add_all(places, numbers)
            wrong.extend(_fill_in(entries.sizes, numbers, unpack_lengths(places)))
        else:
            pairs = zip(numbers, sought, strict=True)
            _take_each(records, entries.sizes, pairs, dict(found), wrong)
    if wrong:
        chosen = sorted(wrong)[:PROBLEMS_MAX]
        reasons = [_reason(reader, entries, number) for number in chosen]
        keys = [key for key in entries.keys_of(chosen) if reader.locate(key) is not None]
        raise ManifestError(reasons, len(wrong), [key.hex() for key in keys])
    return records


def _take_each(
    records: Records,
    sizes: array[int],
    sought: Iterable[tuple[int, bytes]],
    found: dict[bytes, bytes],
    wrong: array[int],
) -> None:
    """Take entries (number, key) that may be unknown, or of one content; sorted by key."""
    key_last = records.key(len(records) - 1) if len(records) else b""
    place: bytes | None = None
    length = 0
    for number, key in sought:
        if place is None or key != key_last:
            place = found.get(key)
            if place is None:
                wrong.append(number)
                continue
            (length,) = unpack_lengths(place)
            if key == key_last:
                records.add_path(number)  # a block of look-ups ended among its entries
            else:
                records.add(place, number)
                key_last = key
        else:
            records.add_path(number)
        if sizes[number] == UNKNOWN_SIZE:
            sizes[number] = length
        elif sizes[number] != length:
            wrong.append(number)


def _fill_in(sizes: array[int], numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[int]:
    """Give entries their sizes; yields the numbers of those that say another one."""
    for number, length in zip(numbers, lengths, strict=True):
        size = sizes[number]
        if size == UNKNOWN_SIZE:
            sizes[number] = length
        elif size != length:
            yield number


def _reason(reader: IndexReader, entries: Columns, number: int) -> str:
    entry = entries.entry(number, *entries.paths_of((number,)))
    key = entry.key or b""
    location = reader.locate(key)
    if location is None:
        return f"{entry.path!r}: the store has no object {key.hex()}"
    length = location.length_bytes
    return f"{entry.path!r}: size_bytes says {entry.size_bytes}, the object has {length}"
