"""Whether everything is known that a purge must know: it owns those checks, and doubtful purges.

A purge that was begun and never committed is in doubt: the disk that knows may be away. What it
marks is hidden meanwhile, and counts for nobody. When all disks are here and none of them says
that it was committed, it was not, and everything is shown again.
"""

from shlex import quote

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.format.catalog import CatalogShard
from fsd.format.errors import PurgeRefusedError
from fsd.store.store import Store


def check_disks(store: Store) -> None:
    """Raise PurgeRefusedError unless the catalogs of all disks are read, and say the same."""
    with store.lock:
        names = dict(store.shards.state.disks)
    for disk_id, name in names.items():
        disk = store.disks.disks.get(disk_id)
        if disk is None or not disk.readable:
            reason = "is not in drystone.toml" if disk is None else f"is {disk.state}"
            more = f" ({disk.reason})" if disk is not None and disk.reason else ""
            raise PurgeRefusedError(
                f"disk {name} {reason}{more}: its catalog may hold references that no other disk "
                f"has; bring it back, or declare it gone first (drystone rebuild --disk "
                f"{quote(name)})"
            )
        try:
            log = disk.call("read_catalog", True)
        except DrystoneError as error:
            raise PurgeRefusedError(
                f"the catalog of disk {name} cannot be read: {error}"
            ) from error
        if not store.catalog.knows(log):
            raise PurgeRefusedError(
                f"the catalog of disk {name} has entries that this engine has not read; "
                "restart it with `drystone down` and `drystone up`"
            )


def check_index(store: Store) -> None:
    """Raise PurgeRefusedError unless the index knows every record of every shard.

    A shard all of whose disks were declared gone keeps nobody: whoever did that gave up what only
    they referred to, as in their catalogs. Marks hold for it all the same, should one come back.
    """
    with store.lock:
        shards = list(store.shards.state.shards.values())
        writing = set(store.shards.writing)
    with store.index.read() as reader:
        rows = {row.shard_id: row for row in reader.shards()}
    for shard in shards:
        row = rows.get(shard.shard_id)
        if shard.shard_id in writing:
            continue  # Group by group the index knows it.
        if not shard.disks and not is_found(store, shard.shard_id):
            continue
        if not shard.sealed:
            raise PurgeRefusedError(
                f"shard {shard.shard_id} was left open and cannot be sealed now; "
                + _way_out(store, shard)
            )
        if row is None or not row.sealed or row.dead_mark != shard.mark:
            raise PurgeRefusedError(
                f"the index does not know all of shard {shard.shard_id}, which may hold references;"
                " see `drystone health`"
            )


def is_found(store: Store, shard_id: str) -> bool:
    """Return whether a disk that came back has a file of it, which is to count again."""
    disks = store.disks.disks.values()
    return any(disk.readable and shard_id in disk.found for disk in disks)


def _way_out(store: Store, shard: CatalogShard) -> str:
    all_here = len(store.disks.readable(shard.disks)) == len(shard.disks) > 0
    if all_here and not store.replicas(shard.shard_id):
        return (
            "its files are on none of its disks any more: bring them back, or give up what was in "
            "it (drystone reindex)"
        )
    return "see `drystone health`"


def check_settled(store: Store) -> None:
    """Raise PurgeRefusedError while a purge is in doubt."""
    with store.lock:
        in_doubt = bool(store.shards.state.purges)
    if in_doubt:
        raise PurgeRefusedError(
            "a purge that was cut off is in doubt still, and could not be given up: nobody knows "
            "what its batches refer to; see `drystone health`, then ask again"
        )


def settle_purges(store: Store) -> bool:
    """Give doubtful purges up when it is certain that they were not committed; True when any were.

    Only while no purge runs, or by the one that runs before it begins, with `maintenance` held.
    """
    with store.lock:
        doubtful = list(store.shards.state.purges)
    if not doubtful:
        return False
    try:
        check_disks(store)
        store.catalog.append(*[("purge_void", {"purge": purge}) for purge in doubtful])
    except DrystoneError as error:
        what = f"a purge that was cut off stays in doubt: {error}"
        if not any(one.endswith(what) for one in store.disks.last_errors):  # Asked for again.
            store.disks.log.warning("%s", what, extra=about("purge.in_doubt"))
        return False
    return True
