"""Which shards are worth a compaction: it owns counting garbage; it changes nothing.

Those with much garbage are, and many small ones: each verification and each end of the engine seals
what is open, however little is in it.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from fsd.format.catalog import CatalogShard
from fsd.ingest.open_shard import SHARD_RECORDS_MAX
from fsd.store.index import ShardRow
from fsd.store.store import Store

SMALL_SHARE = 8
"""A shard with less than an eighth of what one takes, in bytes and in records, is small."""
SMALL_SHARDS_MIN = 8
"""Of one class: so many are written together, so each content is written again a few times only,
however often that comes."""
MERGED_SHARDS_MAX = 4
"""Whole shards that one compaction makes of small ones."""


@dataclass(frozen=True, slots=True)
class Victim:
    """One shard with garbage; sizes are payload bytes of one copy."""

    shard_id: str
    number: int
    class_name: str
    length_bytes: int
    live_bytes: int
    garbage_bytes: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """The dead and doubled bytes of all shards, the shards that have enough of them, and `small`.

    Each group of the small ones is to be written together, as one shard.
    """

    total_bytes: int
    victims: tuple[Victim, ...]
    small: tuple[tuple[Victim, ...], ...] = ()


def vacated_shards(store: Store) -> list[CatalogShard]:
    """Return the vacated shards, whose files are still there."""
    with store.lock:
        return [shard for shard in store.shards.state.shards.values() if shard.vacated]


def choose_victims(
    rows: Iterable[ShardRow],
    spares: Iterable[tuple[int, int, int]],
    dead_share: float,
    damaged: frozenset[str] = frozenset(),
    merged: Container[int] = (),
) -> Garbage:
    """Return the shards of which at least `dead_share` of the payload is garbage; pure.

    Of the `damaged` ones (by id) any garbage is enough.

    Each spare is (shard it lies in, bytes, shard of the place of its key). A spare whose key lies
    in another victim, or in a small shard that is to be `merged` (by number), is no garbage: a
    compaction that was cut off has written it there to go on with. Those with the least to copy
    come first.
    """
    known = [row for row in rows if row.sealed and not row.vacated and row.object_count]
    shares = {row.number: 0.0 if row.shard_id in damaged else dead_share for row in known}
    listed = list(spares)
    garbage = Counter[int]()
    lying: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in known:
        garbage[row.number] += row.dead_bytes
    for number, size, place in listed:
        garbage[number] += size
        lying[number].append((size, place))
    first = {
        row.number for row in known if _is_victim(row, garbage[row.number], shares[row.number])
    }
    for row in known:
        for size, place in lying[row.number]:
            if (place in first or place in merged) and place != row.number:
                garbage[row.number] -= size
    victims = [
        Victim(
            row.shard_id,
            row.number,
            row.class_name,
            row.length_bytes,
            max(0, row.payload_bytes - garbage[row.number]),
            garbage[row.number],
        )
        for row in known
        if row.number in first and _is_victim(row, garbage[row.number], shares[row.number])
    ]
    total = sum(max(0, garbage[row.number]) for row in known)
    return Garbage(total, tuple(sorted(victims, key=lambda one: (one.live_bytes, one.shard_id))))


def choose_small(
    rows: Iterable[ShardRow], besides: Container[int], size_bytes: int
) -> list[list[Victim]]:
    """Return the small shards that are to be written together, each group as one shard; pure.

    None of those (by number) `besides`.
    """
    groups: list[list[Victim]] = []
    small = [row for row in rows if row.number not in besides and _is_small(row, size_bytes)]
    for class_name in sorted({row.class_name for row in small}):
        same = [_small_victim(row) for row in small if row.class_name == class_name]
        if len(same) >= SMALL_SHARDS_MIN:
            same.sort(key=lambda one: (one.live_bytes, one.shard_id))
            groups += [some for some in group_rounds(same, size_bytes) if len(some) > 1]
    return groups[:MERGED_SHARDS_MAX]


def _is_small(row: ShardRow, size_bytes: int) -> bool:
    fits = row.payload_bytes * SMALL_SHARE < size_bytes
    few = 0 < row.object_count * SMALL_SHARE < SHARD_RECORDS_MAX
    return row.sealed and not row.vacated and not row.large and fits and few


def _small_victim(row: ShardRow) -> Victim:
    size = (row.length_bytes, max(0, row.payload_bytes - row.dead_bytes), row.dead_bytes)
    return Victim(row.shard_id, row.number, row.class_name, *size)


def _is_victim(row: ShardRow, garbage_bytes: int, dead_share: float) -> bool:
    if row.large:
        # Its one object is wanted or not.
        return garbage_bytes >= row.payload_bytes > 0
    return garbage_bytes > 0 and row.payload_bytes * dead_share <= garbage_bytes


def group_rounds(victims: Sequence[Victim], size_bytes: int) -> list[list[Victim]]:
    """Group victims, each group of one class, so that what lives in it fills about one shard."""
    rounds: list[list[Victim]] = []
    for class_name in sorted({victim.class_name for victim in victims}):
        group: list[Victim] = []
        for victim in victims:
            if victim.class_name != class_name:
                continue
            if group and sum(one.live_bytes for one in group) + victim.live_bytes > size_bytes:
                rounds.append(group)
                group = []
            group.append(victim)
        rounds.append(group)
    return rounds


def find_garbage(store: Store, dead_share: float, damaged: frozenset[str] = frozenset()) -> Garbage:
    """Return the garbage of the store as its index knows it."""
    with store.index.read() as reader:
        rows = list(reader.shards())
        spares = [
            (location.shard_number, location.length_bytes, place.shard_number if place else 0)
            for key, location in reader.all_spares()
            for place in (reader.locate(key),)
        ]
    taken = {one.number for one in choose_victims(rows, spares, dead_share, damaged).victims}
    # What a merge that was cut off has written is no small shard of the next: it is its copy.
    taken |= {number for number, _, _ in spares}
    small = choose_small(rows, taken, store.config.store.shard_size_bytes)
    merged = {victim.number for some in small for victim in some}
    found = choose_victims(rows, spares, dead_share, damaged, merged)
    return replace(found, small=tuple(map(tuple, small)))
