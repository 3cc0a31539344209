"""Disks that the catalog calls gone: it owns that none of them stays in use.

No replica on such a disk counts. One that stayed in use would take copies that are acknowledged and
count nowhere, so it is let go of wherever the catalog may have come to say so: at a start, with the
entries that another disk brings, and after one that was refused though some disk took it.

Its files stay as they are. It does not come back by itself, though it may have taken what was
acknowledged since: a start, which is told the same, could not tell it from one that was away all
the time, and a person has said that it is gone. `disk add` takes it back, and whatever it holds
counts again once it is verified (see `disk_join`). That it is here is noticed and said (see
`DiskSet`).
"""

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.replicas.removal_check import check_no_loss
from fsd.store.job import Job
from fsd.store.store import Store


def mark_disks(store: Store) -> None:
    """Tell the disks what the catalog says of them."""
    with store.lock:
        state = store.shards.state
        for disk in store.disks.disks.values():
            disk.draining = disk.disk_id in state.draining
            disk.retired = disk.disk_id in state.retired


def follow_catalog(store: Store) -> None:
    """Tell the disks what the catalog says of them, and let go of those that it calls gone."""
    mark_disks(store)
    if not _in_use_though_gone(store):
        return
    # One at a time, so that nobody ends the process that is writing into the identity file.
    with store.letting_go:
        for disk in _in_use_though_gone(store):
            if disk.retired and disk.state == "online":
                try:
                    disk.call("retire")
                except (DrystoneError, OSError) as error:
                    store.disks.note_error(disk, error)
            with store.lock:  # It may be taken back just now.
                if disk.disk_id in store.shards.state.gone:
                    disk.seen_at = disk.path if disk.readable else ""
                    store.disks.declare_gone(disk)


def _in_use_though_gone(store: Store) -> list[Disk]:
    with store.lock:
        gone = set(store.shards.state.gone)
    disks = store.disks.disks.values()
    return [disk for disk in disks if disk.disk_id in gone and disk.state != "gone"]


def give_up_disk(store: Store, disk: Disk, job: Job) -> None:
    """Declare a disk gone; UsageError when it can be read and is the only one that gives a shard.

    Whoever wants that is refused before already, but may have waited for copies and trims since.
    CancelledError, with nothing changed, when its job is cancelled before that.
    """
    try:
        with job.holding(store.letting_go):
            check_no_loss(store, disk)
            store.catalog.append(("disk_gone", {"disk": disk.disk_id}))
    finally:
        follow_catalog(store)  # An entry that is refused may hold all the same.
