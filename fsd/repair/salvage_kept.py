"""What of a damaged shard the store has already: it owns finding it, and never writes.

A salvage that fails half way (the disks are full, one of them goes away) leaves sealed shards with
a part of the records. The next try relies on these, and writes only what is not in them: else each
of a thousand tries would write it again.

What is relied on may be given up by somebody else who relies on the damaged shard. So both judge
with `Store.letting_go` held, until the catalog says what goes.
"""

from collections.abc import Iterable, Sequence

from fsd.format.catalog import CatalogShard
from fsd.format.errors import DiskError
from fsd.format.record import RECORD_OBJECT, Entry, iterate_entries
from fsd.store.index import Location
from fsd.store.joined_parts import joined
from fsd.store.purge_place import live_shard
from fsd.store.store import Store
from fsd.store.survey import footer_of

Kept = dict[Entry, Location]
"""Records of the damaged shard, and where else the same content lies as the same kind of record."""


def find_kept(store: Store, shard: CatalogShard, number: int, entries: Sequence[Entry]) -> Kept:
    """Return which records lie in other shards, with as many copies as are acknowledged.

    The index only says where to look: the footers of those shards bear it out.
    """
    sought: dict[int, list[tuple[Entry, Location]]] = {}
    with store.index.read() as reader:
        for entry in entries:
            for place in (reader.locate(entry.key), *reader.spares(entry.key)):
                if place is not None and place.shard_number != number:
                    sought.setdefault(place.shard_number, []).append((entry, place))
    kept: Kept = {}
    for some in sought.values():
        kept.update(_borne_out(store, shard, some))
    return kept


def check_kept(store: Store, shard: CatalogShard, kept: Kept) -> None:
    """Raise DiskError when something is not kept any more; `letting_go` is held."""
    if _not_kept(store, shard, kept.values()):
        raise DiskError(
            f"what a salvage of shard {shard.shard_id} relied on has changed; it is tried again"
        )


def _borne_out(
    store: Store, shard: CatalogShard, some: Sequence[tuple[Entry, Location]]
) -> Iterable[tuple[Entry, Location]]:
    """Return those of the records whose places, all in one other shard, are what it holds."""
    gone = _not_kept(store, shard, (place for _, place in some))
    living = [(entry, place) for entry, place in some if place not in gone]
    other = live_shard(store, living[0][1]) if living else None
    scan = None if other is None else footer_of(store, other)
    if other is None or scan is None:
        return []
    wanted = {entry._replace(offset=place.offset) for entry, place in living}
    found = wanted.intersection(iterate_entries(scan.entries))
    there = set(joined(store, other, found, in_doubt=RECORD_OBJECT))
    return [one for one in living if one[0]._replace(offset=one[1].offset) in there]


def _not_kept(store: Store, shard: CatalogShard, places: Iterable[Location]) -> set[Location]:
    """Return the places that are dead, or in shards with too few sound copies or of less class."""
    enough: dict[str, bool] = {}
    gone: set[Location] = set()
    for place in places:
        other = live_shard(store, place)
        if other is None:
            gone.add(place)
            continue
        if other.shard_id not in enough:
            right = other.sealed and not (shard.class_name == "raw" != other.class_name)
            copies = store.sound_copies(other.shard_id)
            enough[other.shard_id] = right and copies >= store.ack_copies(other.class_name)
        if not enough[other.shard_id]:
            gone.add(place)
    return gone
