"""What a shard is made of when no replica is whole: it owns finding its header, footer, entries.

One sound footer is enough. With all of them damaged the groups still say what is in the shard: the
records whose header is right on any replica, which have to add up to the groups. What their content
is they need not say: it may be damaged on each in another place.
"""

from fsd.disk_io.queue_rule import Kind
from fsd.disk_io.reading.scan import ScanResult
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError, DiskError
from fsd.format.record import (
    SHARD_HEADER_BYTES,
    Entry,
    ShardHeader,
    footer_bytes,
    iterate_entries,
    pack_footer,
    unpack_footer_trailer,
)
from fsd.format.rewrite import Outline
from fsd.store.store import Store


def find_outline(store: Store, shard: CatalogShard) -> Outline:
    """Return what the replicas say of a sealed shard; CorruptError when it does not fit together.

    DiskError when a disk fails.
    """
    scans = _scans(store, shard)
    outline = next(
        (
            Outline(_header(store, shard, scans), scan.footer, _sorted(scan.entries))
            for scan in scans
            if scan.footer is not None
        ),
        None,
    ) or _from_groups(store, shard, scans)
    footer = outline.footer
    if footer.data_end + footer_bytes(footer.entry_count) != shard.length_bytes:
        raise CorruptError(f"what is left of shard {shard.shard_id} has another length")
    return outline


def _scans(store: Store, shard: CatalogShard) -> list[ScanResult]:
    asked = [
        disk.request("scan", shard.shard_id, priority=int(Kind.BACKGROUND))
        for disk in store.replicas(shard.shard_id)
    ]
    found: list[ScanResult] = []
    for answer in asked:
        try:
            found.append(answer.result())
        except DiskError as error:
            # A disk that cannot read its file there: the others may.
            if error.errno is None:
                raise
    return found


def _header(store: Store, shard: CatalogShard, scans: list[ScanResult]) -> ShardHeader:
    for scan in scans:
        if scan.header is not None:
            return scan.header
    ids = bytes.fromhex(shard.shard_id), bytes.fromhex(store.config.store.store_id)
    return ShardHeader(*ids, 0, shard.class_name, shard.large)


def _from_groups(store: Store, shard: CatalogShard, scans: list[ScanResult]) -> Outline:
    groups = {group.offset: group for scan in scans for group in scan.groups}
    entries = sorted(
        {
            entry
            for scan in scans
            for group in scan.groups
            for entry in iterate_entries(group.headers)
        },
        key=lambda entry: entry.offset,
    )
    end = max(
        (group.offset + group.length_bytes for group in groups.values()),
        default=SHARD_HEADER_BYTES,
    )
    digests = [groups[offset].digest for offset in sorted(groups)]
    footer = pack_footer(bytes.fromhex(shard.shard_id), entries, end, digests)
    return Outline(_header(store, shard, scans), unpack_footer_trailer(footer), entries)


def _sorted(packed: bytes) -> list[Entry]:
    return sorted(iterate_entries(packed), key=lambda entry: entry.offset)
