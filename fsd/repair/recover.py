"""Recovery: it owns bringing shards to a sealed, indexed state after a stop or a crash.

A shard that the catalog knows as open gets the union of the committed groups over its replicas:
each replica is healed with the groups it lacks, then all are sealed; it is never appended to
again. Nothing that was acknowledged can be missing, since its group was durable and read back on
every acknowledging disk before. One roll-forward then serves a crash, a lost SSD, an index from
yesterday and `drystone reindex`: every sealed shard that the index has not seen is put into it.
"""

from collections.abc import Callable, Iterator

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.disk_io.reading.scan import Group, ScanResult
from fsd.disks.disks import Disk
from fsd.format.batch_part import PartHead, parse_head
from fsd.format.catalog import CatalogShard
from fsd.format.errors import DiskError, NotEnoughDisksError
from fsd.format.record import (
    ENTRY_BYTES,
    RECORD_BATCH_PART,
    SHARD_HEADER_BYTES,
    Entry,
    ShardHeader,
    iterate_entries,
    pack_footer_of,
    pack_shard_header,
    payload_bytes,
)
from fsd.ingest.open_shard import OpenShard, append_everywhere, write_footer
from fsd.ingest.shard_writer import seal_in_catalog
from fsd.process.slots import Slot
from fsd.repair.ended_shards import adopt_footer, is_true, seal_as_told, told_more
from fsd.repair.salvage import is_worth_reconstructing, salvage
from fsd.store.index import Location, ShardRow
from fsd.store.job import Job
from fsd.store.joined_parts import join, joins
from fsd.store.purge_place import forget_shards, places_of, take_in, unplace
from fsd.store.read import read_record
from fsd.store.store import Store
from fsd.store.survey import Replica, Survey, footer_of, lacks_groups, survey, union

PLACED_AT_ONCE_MAX = 16_384
"""Records of one index transaction; they come sorted by key, so a page is written once."""


def _try(store: Store, shard: CatalogShard, act: Callable[[Store, CatalogShard], bool]) -> bool:
    """Act on one shard; one disk's trouble must not stop a start. It is tried again later."""
    try:
        return act(store, shard)
    except (DiskError, NotEnoughDisksError) as error:
        told = about("shard.waits", shard=shard.shard_id)
        store.disks.log.warning("shard %s waits: %s", shard.shard_id, error, extra=told)
        return False


def recover_shard(store: Store, shard: CatalogShard) -> bool:
    """Heal and seal a shard that is open in the catalog; False while it has to wait for a disk.

    Shards none of whose disks is here stay open until one returns. Raises DiskError or
    NotEnoughDisksError when that has to be tried again.
    """
    found = survey(store, shard)
    if _end(store, shard, found):
        return True
    if found.failures:
        # Its disk is here, or was a moment ago: that is no reason to wait for one.
        raise DiskError(f"it could not be read: {found.failures[0]}")
    return False


def _end(store: Store, shard: CatalogShard, found: Survey) -> bool:
    replicas = found.replicas
    if not replicas:
        return _forget_unwritten(store, shard, found)
    sealed = [replica for replica in replicas if replica.sealed]
    if sealed:
        adopt_footer(store, shard, _number(store, shard), sealed, replicas)
        return True
    groups = union(replica.scan.groups for replica in replicas)
    if found.count < len(shard.disks) and lacks_groups(store, shard, replicas, groups):
        return False
    told, row = told_more(replicas, groups), _row(store, shard)
    end = max((group.offset + group.length_bytes for group in groups), default=0)
    # What the index knows was durable once: no footer is written over it, whatever hides it now.
    is_cut = row is not None and row.length_bytes > end
    if told is None and groups and not is_cut and all(group.intact for group in groups):
        return _heal_and_seal(store, shard, replicas, groups)
    if told is None and not groups and (row is None or not row.object_count):
        # Torn before its first group was whole: nobody was told of anything in it.
        seal_in_catalog(store, _open_shard(store, shard, replicas, []), 0)
        return True
    if found.count < len(shard.disks):
        return False  # A disk that is away may have it whole.
    return _seal_damaged(store, shard, found, groups, told)


def _seal_damaged(
    store: Store,
    shard: CatalogShard,
    found: Survey,
    groups: list[Group],
    told: ScanResult | None,
) -> bool:
    """Bring a shard to an end that no replica has whole, with all its disks here."""
    replicas, number = found.replicas, _number(store, shard)
    if told is not None and is_true(store, shard, told, groups):
        seal_as_told(store, shard, number, told, replicas)
        return True
    scans = [replica.scan.groups for replica in replicas]
    if told is None and shard.large and is_worth_reconstructing(store, shard, number, scans):
        # Its footers are damaged or were never written; the header says what they have to say.
        if any(replica.disk.state != "online" for replica in replicas):
            return False  # Left out of the seal, its blocks would be wanted.
        for replica in replicas:
            store.mark_suspect(shard.shard_id, replica.disk)
        return _heal_and_seal(store, shard, replicas, groups)
    _drop_absent(store, shard, found)
    salvage(store, shard, number, scans, b"" if told is None else told.entries)
    return True


def _heal_and_seal(
    store: Store, shard: CatalogShard, replicas: list[Replica], groups: list[Group]
) -> bool:
    """Give each replica the groups that it lacks and a footer; False when no disk takes them."""
    target = _open_shard(store, shard, replicas, groups)
    for replica in replicas:
        _heal(store, target, replica, groups, replicas)
    footer = pack_footer_of(
        bytes.fromhex(shard.shard_id), target.entries, target.length_bytes, target.digests
    )
    write_footer(store, target, footer)
    if not target.disks:
        return False
    # The index may lack what it holds (a crash before the commit, an index from yesterday).
    seal_in_catalog(store, target, target.length_bytes + len(footer), indexed=False)
    return True


def _forget_unwritten(store: Store, shard: CatalogShard, found: Survey) -> bool:
    """Abandon a shard whose files were never made; True when it was one.

    A crash between the catalog's entry and the first group leaves it so. What the index knows
    objects of was written, and is not forgotten when its files or all of its disks are gone.
    """
    row = _row(store, shard)
    if len(found.absent) < len(shard.disks) or (row is not None and row.object_count):
        return False
    if not shard.disks and (row is None or not row.length_bytes):
        # All were declared gone, and this index has not seen what was in it: one may come back.
        return False
    seal_in_catalog(store, _open_shard(store, shard, [], []), 0)
    return True


def _row(store: Store, shard: CatalogShard) -> ShardRow | None:
    """Return what the index knows of an open shard; without a length it has not seen its groups."""
    with store.index.read() as reader:
        number = reader.shard_number(shard.shard_id)
        return None if number is None else reader.shard(number)


def _drop_absent(store: Store, shard: CatalogShard, found: Survey) -> None:
    """Count the files that were never made no more: nothing is waited for, then."""
    entries = [
        ("replica_drop", {"shard": shard.shard_id, "disk": disk.disk_id}) for disk in found.absent
    ]
    if entries:
        store.catalog.append(*entries)


def _open_shard(
    store: Store, shard: CatalogShard, replicas: list[Replica], groups: list[Group]
) -> OpenShard:
    entries = b"".join(group.headers for group in groups)
    end = max((group.offset + group.length_bytes for group in groups), default=SHARD_HEADER_BYTES)
    return OpenShard(
        shard.shard_id,
        _number(store, shard),
        shard.class_name,
        [replica.disk for replica in replicas if replica.disk.state == "online"],
        end,
        shard.large,
        end,
        len(entries) // ENTRY_BYTES,
        bytearray(entries),
        payload_bytes(entries),
        [group.digest for group in groups],
    )


def _number(store: Store, shard: CatalogShard) -> int:
    number = store.shards.numbers.get(shard.shard_id)
    if number is None:
        with store.index.write() as writer:
            number = writer.next_shard_number()
            writer.put_shard(ShardRow(number, shard.shard_id, shard.class_name, shard.disks))
        store.shards.name(shard.shard_id, number)
    return number


def _heal(
    store: Store,
    target: OpenShard,
    replica: Replica,
    groups: list[Group],
    replicas: list[Replica],
) -> None:
    """Write the groups a replica lacks, from a replica that has them; a failing disk drops out."""
    if replica.disk not in target.disks:
        return
    own = {group.offset: group for group in replica.scan.groups}
    if replica.scan.header is None:
        _heal_header(store, target, replica)
    for group in groups:
        mine = own.get(group.offset)
        if not group.intact or (mine is not None and mine.intact):
            continue
        if not _copy_group(store, target, replica.disk, group, replicas):
            store.mark_lost(target.shard_id, replica.disk)
            target.disks = [disk for disk in target.disks if disk is not replica.disk]
            return


def _heal_header(store: Store, target: OpenShard, replica: Replica) -> None:
    header = ShardHeader(
        bytes.fromhex(target.shard_id),
        bytes.fromhex(store.config.store.store_id),
        0,
        target.class_name,
        target.large,
    )
    slot = store.pool.acquire()
    try:
        slot.view[:SHARD_HEADER_BYTES] = pack_shard_header(header)
        one = OpenShard(target.shard_id, target.number, target.class_name, [replica.disk], 0)
        append_everywhere(store, one, 0, slot, SHARD_HEADER_BYTES)
    finally:
        store.pool.release(slot)


def _copy_group(
    store: Store, target: OpenShard, disk: Disk, group: Group, replicas: list[Replica]
) -> bool:
    sources = [
        replica.disk
        for replica in replicas
        if replica.disk is not disk
        and any(mine.offset == group.offset and mine.intact for mine in replica.scan.groups)
    ]
    slot = store.pool.acquire()
    try:
        for source in sources:
            if _copy_range(store, target, source, disk, group, slot):
                return True
    finally:
        store.pool.release(slot)
    return False


def _copy_range(
    store: Store, target: OpenShard, source: Disk, disk: Disk, group: Group, slot: Slot
) -> bool:
    one = OpenShard(target.shard_id, target.number, target.class_name, [disk], 0)
    for start in range(0, group.length_bytes, slot.size_bytes):
        size = min(slot.size_bytes, group.length_bytes - start)
        offset = group.offset + start
        try:
            future = source.request(
                "read_window", target.shard_id, offset, slot.number, 0, size, slots=(slot,)
            )
            if future.result() != size:
                return False
        except DrystoneError as error:
            store.disks.note_error(source, error)
            return False
        if not append_everywhere(store, one, offset, slot, size):
            return False
    return True


def roll_forward(store: Store, job: Job | None = None) -> int:
    """Put every sealed shard that the index has not seen into it; returns how many there were.

    CancelledError between two shards when the job is cancelled: the next round does the rest.
    """
    # Rows first: a shard is in the catalog before it has a row, so a new one is not taken for dead.
    with store.index.read() as reader:
        rows = {row.shard_id: row for row in reader.shards()}
    with store.lock:
        shards = list(store.shards.state.shards.values())
    live = {shard.shard_id for shard in shards}
    for shard_id in live & rows.keys():
        store.shards.name(shard_id, rows[shard_id].number)
    projected = 0
    if job is not None:
        job.expect(len(shards))
    for shard in shards:
        if job is not None:
            job.check()
        row = rows.get(shard.shard_id)
        if shard.key_marks and row is not None and row.dead_mark != shard.mark:
            _forget_keys(store, row, shard)
        if shard.sealed and (row is None or not row.sealed or row.dead_mark != shard.mark):
            projected += _try(store, shard, project_shard)
        elif row is not None and row.disks != shard.disks:
            row.disks = list(shard.disks)
            with store.index.write() as writer:
                writer.put_shard(row)
        if job is not None:
            job.advance(1, 0)
    _forget(store, [row for shard_id, row in rows.items() if shard_id not in live])
    with store.lock:
        salvaged = any(shard.shard_id not in store.shards.state.shards for shard in shards)
    # What was salvaged lies in fresh shards, which this round did not know of.
    return projected + (roll_forward(store, job) if salvaged else 0)


def _forget_keys(store: Store, row: ShardRow, shard: CatalogShard) -> None:
    """Let an index that is older than a purge forget what that took of a shard on no disk."""
    with store.index.write() as writer:
        for key in frozenset[bytes]().union(*shard.key_marks.values()):
            for known in places_of(writer, key):
                if known.shard_number == row.number:
                    unplace(store, writer, key, known)


def _forget(store: Store, rows: list[ShardRow]) -> None:
    """Delete the rows of shards that are no more."""
    # Nothing is found in a shard that the index knew as vacated; else it is older than the drop.
    older = {row.number for row in rows if row.object_count and not row.vacated}
    if older:
        forget_shards(store, older)
    with store.index.write() as writer:
        for row in rows:
            writer.delete_shard(row)


def project_shard(store: Store, shard: CatalogShard) -> bool:
    """Put one sealed shard into the index from any replica's footer; False when none is here.

    Dead records are taken out of it. Doing it again changes nothing.
    """
    number = _number(store, shard)
    with store.lock:
        mark, dead = shard.mark, shard.dead_records()
    scan = footer_of(store, shard)
    if scan is None:
        # Every footer that is here is damaged: the groups still say all that is in the shard.
        replicas = survey(store, shard).replicas
        scans = [replica.scan.groups for replica in replicas]
        if not any(scans) or shard.large or len(replicas) < len(shard.disks):
            return False
        salvage(store, shard, number, scans)
        return True
    # Read through again and again, and never a list: there may be a million.
    packed = scan.entries
    gone = (entry for entry in iterate_entries(packed) if dead.has(entry.offset, entry.key))
    dead_bytes = sum(entry.length_bytes for entry in gone) if dead else 0
    # After a crash most of an open shard is in the index, group by group.
    with store.index.read() as reader:
        first = reader.placed_bytes(number, mark)
    parts = [e for e in _behind(packed, first) if e.flags == RECORD_BATCH_PART]
    parts = [entry for entry in parts if not dead.has(entry.offset, entry.key)]
    heads = [(entry.key, head) for entry in parts if (head := _part_head(store, number, entry))]
    *pieces, last = _pieces(packed)
    # LMDB keeps every page that a transaction writes in memory until its end: half a gigabyte for
    # a shard of 600,000 tiny objects. A crash between two pieces leaves some of them in the index,
    # and a row that says that the shard is not taken in yet: all of it is done again.
    for piece in pieces:
        with store.index.write() as writer:
            take_in(store, writer, shard, number, _behind(piece, first), dead)
    with store.index.write() as writer:
        take_in(store, writer, shard, number, _behind(last, first), dead)
        for key, head in heads:
            if joins(store, shard, head.batch):
                join(store, writer, key, head)
        writer.put_shard(
            ShardRow(
                number,
                shard.shard_id,
                shard.class_name,
                list(shard.disks),
                # While a part cannot be read, the next roll-forward looks again.
                sealed=len(heads) == len(parts),
                large=shard.large,
                length_bytes=shard.length_bytes,
                object_count=len(packed) // ENTRY_BYTES,
                payload_bytes=payload_bytes(packed),
                sealed_ns=shard.sealed_ns,
                dead_bytes=dead_bytes,
                dead_mark=mark,
            )
        )
    return True


def _behind(packed: bytes | memoryview, first: int) -> Iterator[Entry]:
    return (entry for entry in iterate_entries(packed) if entry.offset >= first)


def _pieces(packed: bytes) -> list[memoryview]:
    """Cut packed entries into what goes into one index transaction; at least one piece."""
    view, size = memoryview(packed), PLACED_AT_ONCE_MAX * ENTRY_BYTES
    return [view[start : start + size] for start in range(0, len(packed), size)] or [view]


def _part_head(store: Store, number: int, entry: Entry) -> PartHead | None:
    """Read a part's head; None when no replica gives it now: that must not stop a start."""
    location = Location(number, entry.offset, entry.length_bytes)
    try:
        return parse_head(read_record(store, location, entry.key))
    except DrystoneError:
        return None
