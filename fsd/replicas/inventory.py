"""Inventory: it owns comparing a disk's files with the catalog when the disk is entered.

Nothing that holds data is deleted: files that the catalog does not know go to `quarantine`. Only
files of shards that were dropped on purpose are what a crash left of their deletion.
"""

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.format.record import SHARD_HEADER_BYTES
from fsd.store.store import Store


def take_inventory_or_lose(store: Store, disk: Disk) -> None:
    """Take a disk's inventory; a disk that cannot give it is missing, which stops no start."""
    try:
        take_inventory(store, disk, writable=disk.state != "readonly")
    except (DrystoneError, OSError) as error:
        store.disks.lose(disk, str(error))


def take_inventory(store: Store, disk: Disk, *, writable: bool) -> None:
    """Mark what is missing as lost and what has a wrong length as suspect; set aside the rest.

    Files that may be replicas of live shards are left to the reconciler, which verifies them. On a
    disk that cannot be written nothing is set aside, removed or verified; that waits until it can.
    """
    before = _lengths(store, disk)
    sizes, parts = disk.call("list_shards")
    if parts and writable:
        # A disk that was full, and has room again, may have copies running all the time.
        disk.call("remove_leftovers", parts)
    disk.left_bytes = _open_ones(store, sizes)
    _compare(store, disk, sizes, before)
    disk.found = _take_found(store, sizes)
    for shard_id, size in sizes.items() if writable else ():
        # A header alone (a crash between creating the file and the catalog) holds nothing. All that
        # was wanted of a dropped shard was verified elsewhere before it was dropped.
        if size <= SHARD_HEADER_BYTES or shard_id in store.shards.state.dropped:
            disk.call("remove_shard", shard_id)
        else:
            disk.call("quarantine_shard", shard_id)
    disk.quarantined_files, disk.quarantined_bytes = disk.call("measure_quarantine")


def _open_ones(store: Store, sizes: dict[str, int]) -> dict[str, int]:
    """Return the lengths of files of shards that are open for the catalog."""
    with store.lock:
        shards = store.shards.state.shards
        return {
            one: size for one, size in sizes.items() if one in shards and not shards[one].sealed
        }


def _take_found(store: Store, sizes: dict[str, int]) -> set[str]:
    """Take files of live shards out of `sizes`: once they are verified they may count again.

    Whole ones of sealed shards, and what lies in those that are still open: of a disk that was
    declared gone, and came back, it may be the only copy of what was acknowledged last.
    """
    with store.lock:
        shards = store.shards.state.shards
        found = {
            shard_id
            for shard_id, size in sizes.items()
            if (shard := shards.get(shard_id)) is not None
            and (size == shard.length_bytes if shard.sealed else size > SHARD_HEADER_BYTES)
        }
    for shard_id in found:
        del sizes[shard_id]
    return found


def _lengths(store: Store, disk: Disk) -> dict[str, int]:
    """Return the replicas that a disk has by the catalog, with their lengths (open ones have 0)."""
    with store.lock:
        shards = store.shards.state.shards.values()
        return {s.shard_id: s.length_bytes for s in shards if disk.disk_id in s.disks}


def _compare(store: Store, disk: Disk, sizes: dict[str, int], before: dict[str, int]) -> None:
    """Take the catalogued replicas out of `sizes`; what remains is known to nobody.

    Of a replica that was not the same `before` the files were listed nothing can be told: a copy
    may have ended meanwhile, or a seal.
    """
    with store.lock:
        shards = dict(store.shards.state.shards)
    for shard_id, shard in shards.items():
        if disk.disk_id not in shard.disks:
            continue
        size = sizes.pop(shard_id, None)
        if before.get(shard_id) != shard.length_bytes:
            continue
        with store.lock:
            store.shards.lost.discard((shard_id, disk.disk_id))
        if size is None:
            store.mark_lost(shard_id, disk)
        elif shard.sealed and size != shard.length_bytes:
            store.mark_suspect(shard_id, disk)
