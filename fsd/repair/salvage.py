"""Salvage: it owns moving what is sound out of a shard that no replica has whole.

A power cut on a disk that reorders writes can leave a group with its header and trailer but a
hole between them; bad sectors can hit one group on every disk. Such a shard can never be copied,
for copies are only made of what matches its digests. Its sound records are written again, through
the ordinary path, and the files are set aside in quarantine, not deleted.
"""

import contextlib
import hashlib
from collections.abc import Iterable

from base.errors import DrystoneError
from base.logging.ids import about
from base.text import count_text
from fsd.disk_io.reading.scan import Group
from fsd.format.catalog import CatalogShard
from fsd.format.errors import DiskError, NotFoundError
from fsd.format.group import GROUP_OVERHEAD_BYTES
from fsd.format.record import (
    RECORD_BATCH_PART,
    SECTOR_BYTES,
    Entry,
    align,
    iterate_entries,
    record_bytes,
)
from fsd.ingest.repacker import Repacker
from fsd.ingest.shard_writer import ShardWriter
from fsd.process.slots import Slot
from fsd.repair.elsewhere import Homes, are_safe, find_homes, other_places, read_elsewhere
from fsd.repair.reconstruct_record import Records, ReplicaReader
from fsd.store.index import Location
from fsd.store.joined_parts import flags_of
from fsd.store.purge_place import unplace
from fsd.store.ssd import ballast
from fsd.store.store import PART_BYTES_MAX, Store

LOST_LISTED_MAX = 20


def salvage(
    store: Store,
    shard: CatalogShard,
    number: int,
    scans: Iterable[list[Group]],
    told: bytes = b"",
) -> None:
    """Move every record that the replicas still give to fresh shards; lost keys are remembered.

    `scans` are the groups of every replica: each may be sound where the others are not, in the
    middle of a record as well. `told` are packed entries of a footer, which knows of records whose
    groups or headers nobody sees any more. What is left of a large object is set aside. Raises
    DiskError, changing nothing for good, when something is missing while a disk is away, QuotaError
    when the SSD is full.

    The fresh shards are durable, sealed and catalogued before the old one is given up: a crash
    between leaves content twice, which is harmless, and the salvage is done again. It relies then
    on what an earlier try wrote: else each of a thousand tries would write it again.
    """
    if len(store.replicas(shard.shard_id)) < len(shard.disks):
        # Before anything is written: this is tried again every few seconds.
        raise DiskError(f"a disk of shard {shard.shard_id} is away; its salvage waits for it")
    with store.lock:
        in_doubt = store.shards.state.purges.keys() & shard.purges()
    if in_doubt:
        # What it marks is neither to be written again nor to be left behind.
        raise DiskError(f"a purge in shard {shard.shard_id} is in doubt; its salvage waits")
    ballast.check_room(store.config.index_root, store.index.size_bytes())
    # A large object fits into no group, and all of it was looked for (`is_worth_reconstructing`).
    entries = [] if shard.large else _entries(scans, told)
    _check_sizes(store, shard, entries)
    kept = find_homes(store, shard.class_name, entries, {number}).safe
    pieces = _Pieces(store, shard)
    mover = Repacker(store, ShardWriter(store), shard.class_name, is_placed=True)
    lost: list[str] = []
    try:
        for entry in entries:
            if shard.dead_records().has(entry.offset, entry.key):
                continue  # Written again it would live: no mark reaches its new place.
            if entry in kept:
                continue
            payload = pieces.payload(entry)
            if payload is not None:
                flags = flags_of(store, shard, entry, payload)
                mover.add(entry._replace(flags=flags), payload)
            elif shard.sealed or _is_place(store, number, entry):
                lost.append(entry.key.hex())
        mover.finish()
        _leave_to_roll_forward(store, mover.sealed, kept)
    finally:
        mover.close()
        pieces.close()
    if lost and len(store.replicas(shard.shard_id)) < len(shard.disks):
        raise DiskError(f"a disk of shard {shard.shard_id} is away; its salvage is tried again")
    if lost:
        listed = ", ".join(lost[:LOST_LISTED_MAX])
        store.lost_keys.note(lost)
        store.disks.log.error(
            "lost %s of a damaged shard: %s",
            count_text(len(lost), "object"),
            listed,
            extra=about("object.lost", shard=shard.shard_id, objects=len(lost)),
        )
    _give_up(store, shard, number, kept)


def is_worth_reconstructing(
    store: Store, shard: CatalogShard, number: int, scans: Iterable[list[Group]]
) -> bool:
    """Return whether the shard of a large object is to be sealed though no replica is whole.

    It is when each block is sound somewhere; and when the object was acknowledged, for what is
    lost of it is then told as of every sealed shard. Else it was torn, and nobody knew of it. The
    object is read through for this.
    """
    entries = _entries(scans)
    if any(_is_place(store, number, entry) for entry in entries):
        return True
    pieces = _Pieces(store, shard)
    try:
        return bool(entries) and all(pieces.are_sound(entry) for entry in entries)
    finally:
        pieces.close()


def _check_sizes(store: Store, shard: CatalogShard, entries: list[Entry]) -> None:
    """Raise DiskError, and write nothing, when a record fits into no group any more.

    So it is once a person has made groups smaller. One shard must not keep the store from starting.
    """
    longest = max((record_bytes(entry.length_bytes) for entry in entries), default=0)
    sizes = store.config.store
    missing = longest + GROUP_OVERHEAD_BYTES - sizes.group_size_bytes - PART_BYTES_MAX
    if missing > 0:
        wanted = align(sizes.group_size_bytes + missing)
        raise DiskError(
            f"its salvage waits: shard {shard.shard_id} has records that are larger than a group "
            f"may be; set group_size_bytes = {wanted} in drystone.toml, or more, and start again"
        )


def _is_place(store: Store, number: int, entry: Entry) -> bool:
    """Return whether a record was acknowledged, and is what its key is read from.

    The index knew it before that. What is in a torn group, which nobody was told of, it never knew.
    """
    place = store.index.locate(entry.key)
    return place is not None and (place.shard_number, place.offset) == (number, entry.offset)


def _entries(scans: Iterable[list[Group]], told: bytes = b"") -> list[Entry]:
    """Return what any replica has a right header of, or is told, once, in the shard's order."""
    packed = [told, *(group.headers for groups in scans for group in groups)]
    found = {(entry.offset, entry.key): entry for some in packed for entry in iterate_entries(some)}
    return [found[place] for place in sorted(found)]


class _Pieces:
    """The payloads of a shard's records, each put together from what its replicas have of it."""

    def __init__(self, store: Store, shard: CatalogShard) -> None:
        self._slot: Slot = store.pool.acquire()
        self._pool = store.pool
        disks = store.replicas(shard.shard_id)
        room = self._slot.size_bytes // max(1, len(disks)) // SECTOR_BYTES * SECTOR_BYTES
        readers = [
            ReplicaReader(disk, shard.shard_id, self._slot, place * room, room)
            for place, disk in enumerate(disks)
        ]
        self._records = Records(
            readers,
            lambda entry, piece: read_elsewhere(
                store, other_places(store, shard, entry), entry, piece
            ),
        )

    def payload(self, entry: Entry) -> bytes | None:
        """Return the content of a record, or None when it is sound nowhere."""
        _, pieces = self._records.payload(entry)
        # Copied one by one: each is valid until the next is read.
        whole = b"".join(map(bytes, pieces))
        return whole if hashlib.sha256(whole).digest() == entry.key else None

    def are_sound(self, entry: Entry) -> bool:
        """Return whether a record of any size can be put together, which is not kept."""
        _, pieces = self._records.payload(entry)
        for _ in pieces:
            pass
        return entry not in self._records.lost

    def close(self) -> None:
        """Give the buffer back."""
        self._pool.release(self._slot)


def _leave_to_roll_forward(store: Store, fresh: Iterable[str], kept: Homes) -> None:
    """Let the roll-forward look at the fresh shards: batch parts are joined by it.

    It looks at those with `kept` batch parts too: an earlier try may have ended before this.
    """
    parts = (one for one in kept.items() if one[0].flags == RECORD_BATCH_PART)
    shard_ids = {*fresh, *(home.shard_id for _, home in parts)}
    numbers = [number for one in shard_ids if (number := store.shards.numbers.get(one)) is not None]
    with store.index.write() as writer:
        for number in numbers:
            with contextlib.suppress(NotFoundError):  # Dropped: nothing is given up then.
                row = writer.shard(number)
                row.sealed, row.placed_bytes = False, 0
                writer.put_shard(row)


def _give_up(store: Store, shard: CatalogShard, number: int, kept: Homes) -> None:
    with store.letting_go:
        if not are_safe(store, shard.class_name, kept.values()):
            raise DiskError(
                f"what a salvage of shard {shard.shard_id} relied on has changed; it is tried again"
            )
        # Barrier: nothing refers to the old shard any more once this entry is durable.
        store.catalog.append(("shard_abandon", {"shard": shard.shard_id}))
    with store.index.write() as writer:
        # The roll-forward, which places what was written anew, may have placed these before.
        for entry in kept:
            unplace(store, writer, entry.key, Location(number, entry.offset, entry.length_bytes))
        writer.delete_shard(writer.shard(number))
    for disk in store.disks.readable(shard.disks):
        try:
            disk.call("quarantine_shard", shard.shard_id)
        except DrystoneError as error:
            store.disks.note_error(disk, error, writing=True)
