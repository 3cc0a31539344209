"""Where else a record lives, soundly: it owns that judgement, and never writes.

A salvage, a compaction and a drop give up records because others have the same content. The index
only says where to look: the footers of those shards bear it out. What a shard is worth then:

    safe      sealed, of no less class, with the copies of an acknowledgement
    waiting   such a one, of which too little can be read, or told, just now
    none      of less class, or without a sound copy left, on no disk

A batch part lives on only as a batch part, since nothing else tells a reindex what it is.

What is relied on may be given up by somebody else who relies on what is given up here. So all judge
again (`are_safe`, which reads nothing) with `Store.letting_go` held, until the catalog says what
goes.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from fsd.disk_io.queue_rule import Kind
from fsd.format.catalog import CatalogShard
from fsd.format.errors import NoReplicaError
from fsd.format.record import RECORD_BATCH_PART, RECORD_OBJECT, Entry, iterate_entries
from fsd.store.index import Location
from fsd.store.joined_parts import joined
from fsd.store.purge_place import live_shard, places_of
from fsd.store.read import read_piece
from fsd.store.store import Store
from fsd.store.survey import footer_of

Pairs = list[tuple[Entry, Location]]
"""Records, and where the index says that one other shard has the same content."""


class Worth(IntEnum):
    """What another shard is worth to those who rely on it."""

    NONE = 0
    WAITING = 1
    SAFE = 2


class Home(NamedTuple):
    """Where a record lives besides, in a shard of this id and, at that moment, this mark."""

    place: Location
    shard_id: str
    mark: str


Homes = dict[Entry, Home]


@dataclass(slots=True)
class Found:
    """Records that live elsewhere; what is in neither has no home."""

    safe: Homes = field(default_factory=dict[Entry, Home])
    waiting: Homes = field(default_factory=dict[Entry, Home])


def other_places(store: Store, shard: CatalogShard, entry: Entry) -> list[Location]:
    """Return where the index has a record's content besides in its shard, sorted."""
    number = store.shards.numbers.get(shard.shard_id)
    with store.index.read() as reader:
        found = places_of(reader, entry.key)
    return sorted(one for one in found if one.shard_number != number)


def read_elsewhere(store: Store, places: list[Location], entry: Entry, piece: int) -> bytes | None:
    """Return a verified piece (1 MiB, by number) of a record from one of these places, or None."""
    for location in places:
        try:
            return read_piece(store, location, entry.key, piece)
        except NoReplicaError:
            continue
    return None


def find_homes(
    store: Store, class_name: str, entries: Iterable[Entry], besides: Container[int]
) -> Found:
    """Look for records of a class in shards other than those (by number) `besides`."""
    sought: dict[str, tuple[CatalogShard, Pairs]] = {}
    with store.index.read() as reader:
        for entry in entries:
            for place in places_of(reader, entry.key):
                # Vacated ones, of which every record is dead, are none of these.
                other = None if place.shard_number in besides else live_shard(store, place)
                if other is not None:
                    sought.setdefault(other.shard_id, (other, []))[1].append((entry, place))
    found = Found()
    for other, pairs in sought.values():
        known = worth_of(store, class_name, other)
        if known == Worth.NONE:
            continue
        mark = other.mark
        right = _borne_out(store, other, pairs)
        if right is None:  # Nobody can tell now.
            known, right = Worth.WAITING, pairs
        homes = found.safe if known == Worth.SAFE else found.waiting
        homes.update((entry, Home(place, other.shard_id, mark)) for entry, place in right)
    return found


def are_safe(store: Store, class_name: str, homes: Iterable[Home]) -> bool:
    """Return whether all that was found safe is so now; `letting_go` is held."""
    worths: dict[str, Worth] = {}
    for home in homes:
        other = live_shard(store, home.place)
        if other is None:
            return False
        if other.shard_id not in worths:
            worths[other.shard_id] = worth_of(store, class_name, other)
        if worths[other.shard_id] != Worth.SAFE:
            return False
    return True


def worth_of(store: Store, class_name: str, other: CatalogShard) -> Worth:
    """Return what a shard is worth to records of a class; reads nothing."""
    if other.vacated or (class_name == "raw" != other.class_name):
        return Worth.NONE
    copies = store.sound_copies(other.shard_id)
    if other.sealed and copies >= store.ack_copies(other.class_name):
        return Worth.SAFE
    here = store.disks.readable(list(other.disks))
    # All of its disks were declared gone, or what is on them is lost or damaged: no time helps.
    return Worth.WAITING if copies or len(here) < len(other.disks) else Worth.NONE


def _borne_out(store: Store, other: CatalogShard, pairs: Pairs) -> Pairs | None:
    """Return which of the records the other shard has by its footer; None when it says nothing."""
    scan = footer_of(store, other, int(Kind.BACKGROUND)) if other.sealed else None
    if scan is None:
        return None
    wanted = {(entry.key, place.offset, place.length_bytes) for entry, place in pairs}
    found = (one for one in iterate_entries(scan.entries) if one[:3] in wanted)
    there = {one[:3]: one.flags for one in joined(store, other, found, in_doubt=RECORD_OBJECT)}
    right: Pairs = []
    for entry, place in pairs:
        flags = there.get((entry.key, place.offset, place.length_bytes))
        if flags is not None and (entry.flags != RECORD_BATCH_PART or flags == entry.flags):
            right.append((entry, place))
    return right
