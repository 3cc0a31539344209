"""Shards that ended before the catalog heard of it: it owns judging what their footers say.

A footer says all that is in a shard. One that is sound is never written over by another that knows
less: what it speaks of may be damaged on every disk, on each in another place, and with its entries
it can be put together again (see `reconstruct`). Such a shard is sealed as the footer says.

A power cut may keep a footer without the group that was written with it (see `survey`). So it is
believed when something else says that its last group was durable: what was before that always was.
"""

from collections.abc import Sequence

from fsd.disk_io.reading.scan import Group, ScanResult
from fsd.format.catalog import CatalogShard
from fsd.format.record import ENTRY_BYTES, iterate_entries, payload_bytes
from fsd.ingest.open_shard import OpenShard
from fsd.ingest.shard_writer import seal_in_catalog
from fsd.store.store import Store
from fsd.store.survey import Replica


def told_more(replicas: Sequence[Replica], groups: Sequence[Group]) -> ScanResult | None:
    """Return the replica with the sound footer that knows most; None when groups know all of it.

    `groups` are those of all replicas together; only what is in an intact one is known.
    """
    known = {e for group in groups if group.intact for e in iterate_entries(group.entries)}
    scans = [replica.scan for replica in replicas if replica.scan.footer is not None]
    more = [scan for scan in scans if not known.issuperset(iterate_entries(scan.entries))]
    return max(more, key=lambda scan: len(scan.entries), default=None)


def is_true(store: Store, shard: CatalogShard, told: ScanResult, groups: Sequence[Group]) -> bool:
    """Return whether all that a sound footer speaks of was durable once, on all disks.

    That of a large object is written when all its bytes were read back. Else the last group is
    whole somewhere, or the index knows it: it is told of a group after that.
    """
    assert told.footer is not None
    end = told.footer.data_end
    if shard.large or any(g.intact and g.offset + g.length_bytes == end for g in groups):
        return True
    with store.index.read() as reader:
        number = reader.shard_number(shard.shard_id)
        return number is not None and reader.shard(number).length_bytes >= end


def seal_as_told(
    store: Store, shard: CatalogShard, number: int, told: ScanResult, replicas: Sequence[Replica]
) -> None:
    """Seal a shard with a true footer that no replica bears out; nothing is written to the disks.

    Each replica counts, as a damaged one: together they may have all of it.
    """
    for replica in replicas:
        store.mark_suspect(shard.shard_id, replica.disk)
    _seal(store, shard, number, told, replicas)


def adopt_footer(
    store: Store,
    shard: CatalogShard,
    number: int,
    sealed: Sequence[Replica],
    replicas: Sequence[Replica],
) -> None:
    """Finish a seal that a crash interrupted: replicas without this footer are copied again.

    Any footer will do: each has all groups that were acknowledged, one may have another besides.
    """
    told = sealed[0].scan
    same = [replica for replica in sealed if replica.scan.footer == told.footer]
    for replica in replicas:
        if replica not in same:
            store.mark_lost(shard.shard_id, replica.disk)
    _seal(store, shard, number, told, same)


def _seal(
    store: Store, shard: CatalogShard, number: int, told: ScanResult, replicas: Sequence[Replica]
) -> None:
    assert told.footer is not None
    end = told.footer.data_end
    target = OpenShard(
        shard.shard_id,
        number,
        shard.class_name,
        [replica.disk for replica in replicas],
        end,
        shard.large,
        end,
        len(told.entries) // ENTRY_BYTES,
        bytearray(told.entries),
        payload_bytes(told.entries),
        [b"sealed"],
    )
    seal_in_catalog(store, target, told.file_bytes, indexed=False)
