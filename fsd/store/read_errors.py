"""What a failed read means: it owns the consequences for the disk and for the replica."""

import errno

from fsd.disk_io.extract.extract import Failure
from fsd.disks.disks import Disk
from fsd.format.errors import CorruptError
from fsd.store.store import Store


def note_failures(store: Store, disk: Disk, shard_id: str, failures: list[Failure]) -> None:
    """Draw the consequences of items a disk could not give: count, and re-copy the replica."""
    note_read_error(
        store, disk, shard_id, CorruptError(failures[0].reason, f"{disk.name} {shard_id}")
    )


def note_read_error(store: Store, disk: Disk, shard_id: str, error: BaseException) -> None:
    """Draw the consequences of a failed read for the disk and for the replica."""
    number = getattr(error, "errno", None)
    with store.lock:
        shard = store.shards.state.shards.get(shard_id)
        moved = shard is None or disk.disk_id not in shard.disks
    if moved and number == errno.ENOENT:
        return  # The replica was given up meanwhile; nothing is wrong.
    store.disks.note_error(disk, error)
    if number == errno.ENOENT:
        store.mark_lost(shard_id, disk)
    elif isinstance(error, CorruptError) or number == errno.EIO:
        store.mark_suspect(shard_id, disk)
