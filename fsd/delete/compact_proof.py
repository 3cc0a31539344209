"""Where the records of a vacated shard live: it owns the proof that nothing is lost with its files.

All that a compaction gave up was safe elsewhere, or purged, at that moment. It may not be so any
more: the disks of the other shards were declared gone; or two runs of the engine saw different
disks, and what one of them relied on the other one has given up. So it is asked again before
anything is deleted, of the footers, record by record:

    safe      in a sealed shard of no less class, with the copies of an acknowledgement; a batch
              part as a batch part, since nothing else tells a reindex what it is
    waiting   in such a shard, of which too little can be read, or told, just now
    homeless  in none; or only in such that have no sound copy left, on no disk

It only looks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from fsd.format.catalog import CatalogShard
from fsd.format.errors import FsdError
from fsd.format.record import RECORD_BATCH_PART, RECORD_OBJECT, Entry, iterate_entries
from fsd.replicas.replicate import BACKGROUND
from fsd.store.index import Location
from fsd.store.joined_parts import joined
from fsd.store.purge_place import PIECE_RECORDS, live_shard, places_of
from fsd.store.store import Store
from fsd.store.survey import footer_of

Pairs = list[tuple[Entry, Location]]
"""Records of one shard, and where the index says that another shard has the same content."""


class Worth(IntEnum):
    """What another shard is worth to those who rely on it."""

    NONE = 0
    WAITING = 1
    SAFE = 2


@dataclass(slots=True)
class Proof:
    """What was found of the records that no purge has marked; keys are examples, empty for none.

    `homes` are the shards that are relied on (by id) and their marks of that moment.
    """

    shard_id: str
    class_name: str
    mark: str
    homeless: int = 0
    homeless_key: str = ""
    waiting_key: str = ""
    homes: dict[str, str] = field(default_factory=dict[str, str])


def prove(store: Store, shard: CatalogShard, number: int) -> Proof:
    """Look for every record of a vacated shard, which the index has followed, in other shards.

    FsdError when nobody can tell now what is in the shard.
    """
    scan = footer_of(store, shard, BACKGROUND)
    if scan is None:
        raise FsdError(f"the footer of shard {shard.shard_id} cannot be read; it is kept")
    with store.lock:
        proof = Proof(shard.shard_id, shard.class_name, shard.mark)
        purged = shard.purged_records()
    living = (entry for entry in iterate_entries(scan.entries) if entry.offset not in purged)
    left = joined(store, shard, living, in_doubt=RECORD_BATCH_PART)
    while piece := list(islice(left, PIECE_RECORDS)):
        _prove(store, number, piece, proof)
    return proof


def weakest(store: Store, proof: Proof) -> Worth:
    """Return what a proof is worth by now, without reading anything; NONE asks for another."""
    with store.lock:
        shards = store.shards.state.shards
        shard, known = shards.get(proof.shard_id), [shards.get(one) for one in proof.homes]
    if proof.homeless or shard is None or shard.mark != proof.mark:
        return Worth.NONE
    worths = [Worth.WAITING if proof.waiting_key else Worth.SAFE]
    for other in known:
        if other is None or other.mark != proof.homes[other.shard_id]:
            return Worth.NONE
        worths.append(_worth(store, proof.class_name, other))
    return min(worths)


def batch_parts(store: Store, shard: CatalogShard) -> set[int] | None:
    """Return the offsets of a shard's batch parts that count; None when no footer says them now."""
    scan = footer_of(store, shard, BACKGROUND) if shard.sealed else None
    if scan is None:
        return None
    entries = joined(store, shard, iterate_entries(scan.entries), in_doubt=RECORD_OBJECT)
    return {one.offset for one in entries if one.flags == RECORD_BATCH_PART}


def _prove(store: Store, number: int, piece: list[Entry], proof: Proof) -> None:
    found: dict[Worth, dict[Entry, str]] = {Worth.SAFE: {}, Worth.WAITING: {}}
    marks: dict[str, str] = {}
    for other, pairs in _elsewhere(store, number, piece):
        worth = _worth(store, proof.class_name, other)
        if worth == Worth.NONE:
            continue
        marks[other.shard_id] = other.mark
        right = _borne_out(store, other, pairs)
        if right is None:  # Nobody can tell now.
            worth, right = Worth.WAITING, (entry for entry, _ in pairs)
        found[worth].update((entry, other.shard_id) for entry in right)
    safe, waiting = found[Worth.SAFE], found[Worth.WAITING]
    for entry in piece:
        home = safe.get(entry) or waiting.get(entry)
        if home is None:
            proof.homeless += 1
            proof.homeless_key = entry.key.hex()
            continue
        proof.homes[home] = marks[home]
        if entry not in safe:
            proof.waiting_key = entry.key.hex()


def _elsewhere(
    store: Store, number: int, piece: list[Entry]
) -> Iterator[tuple[CatalogShard, Pairs]]:
    """Yield the other living shards that have some of the records by the index, and which."""
    sought: dict[str, tuple[CatalogShard, Pairs]] = {}
    with store.index.read() as reader:
        for entry in piece:
            for place in places_of(reader, entry.key):
                # Vacated ones, of which every record is dead, are none of these.
                other = None if place.shard_number == number else live_shard(store, place)
                if other is not None:
                    sought.setdefault(other.shard_id, (other, []))[1].append((entry, place))
    yield from sought.values()


def _worth(store: Store, class_name: str, other: CatalogShard) -> Worth:
    if other.vacated or (class_name == "raw" != other.class_name):
        return Worth.NONE
    copies = store.sound_copies(other.shard_id)
    if other.sealed and copies >= store.ack_copies(other.class_name):
        return Worth.SAFE
    here = store.disks.readable(list(other.disks))
    # All of its disks were declared gone, or what is on them is lost or damaged: no time helps.
    return Worth.WAITING if copies or len(here) < len(other.disks) else Worth.NONE


def _borne_out(store: Store, other: CatalogShard, pairs: Pairs) -> Iterable[Entry] | None:
    """Return which of the records the other shard has by its footer; None when it says nothing."""
    scan = footer_of(store, other, BACKGROUND) if other.sealed else None
    if scan is None:
        return None
    wanted = {(entry.key, place.offset, place.length_bytes) for entry, place in pairs}
    found = (one for one in iterate_entries(scan.entries) if one[:3] in wanted)
    there = {one[:3]: one.flags for one in joined(store, other, found, in_doubt=RECORD_OBJECT)}
    right: list[Entry] = []
    for entry, place in pairs:
        flags = there.get((entry.key, place.offset, place.length_bytes))
        if flags is not None and (entry.flags != RECORD_BATCH_PART or flags == entry.flags):
            right.append(entry)
    return right
