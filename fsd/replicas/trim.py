"""Surplus and found replicas: it owns which copy is one too many, and which file counts again.

More sound copies than wanted are left when a disk comes back after its shards were copied
elsewhere, or a move was cut off. A found file is a replica that the catalog does not name (any
more), of a live shard: it counts again once every byte of it is verified.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.format.catalog import CatalogShard
from fsd.replicas.replicate import BACKGROUND, Replicator
from fsd.store.store import Store

TRIMS_PER_ROUND_MAX = 16


@dataclass(frozen=True, slots=True)
class Holder:
    """One replica that can be read: is it sound, and how good is its disk to keep it."""

    disk_id: str
    failure_domain: str
    sound: bool = True
    draining: bool = False
    errors: int = 0
    fill: float = 0.0


def choose_surplus(holders: Sequence[Holder], wanted: int) -> str | None:
    """Return the disk whose replica may go, or None when none is one too many; pure.

    Without it there are `wanted` sound replicas on disks that stay, in as many failure domains as
    now (or as wanted). Damaged ones go first, then those on draining disks, on the disks with the
    most errors, on the fullest.
    """
    order = sorted(holders, key=lambda one: (one.sound, not one.draining, -one.errors, -one.fill))
    apart = min(wanted, len({one.failure_domain for one in holders if _stays(one)}))
    for candidate in order:
        left = [one for one in holders if _stays(one) and one is not candidate]
        if len(left) >= wanted and len({one.failure_domain for one in left}) >= apart:
            return candidate.disk_id
    return None


def _stays(holder: Holder) -> bool:
    return holder.sound and not holder.draining


def trim(store: Store, replicator: Replicator) -> int:
    """Give surplus replicas up, a few at a time; returns how many."""
    with store.lock:
        shards = [shard for shard in store.shards.state.shards.values() if shard.sealed]
    trimmed = 0
    for shard in shards:
        wanted = store.config.copies(shard.class_name)
        if len(shard.disks) <= wanted or trimmed >= TRIMS_PER_ROUND_MAX:
            continue
        chosen = choose_surplus(_holders(store, shard), wanted)
        if chosen is not None:
            # A disk in trouble; the next round looks again.
            with contextlib.suppress(DrystoneError):
                trimmed += replicator.give_up(shard.shard_id, store.disks.disks[chosen])
    return trimmed


def _holders(store: Store, shard: CatalogShard) -> list[Holder]:
    sound = store.sound_replicas(shard.shard_id)
    return [
        Holder(
            disk.disk_id,
            disk.failure_domain,
            disk in sound,
            disk.draining,
            disk.counters.errors,
            1 - disk.free_bytes / max(1, disk.size_bytes),
        )
        for disk in store.disks.readable(list(shard.disks))
    ]


def adopt_found(store: Store, replicator: Replicator) -> int:
    """Verify the files that inventories found, and let sound ones count again; returns how many.

    What is damaged, or belongs to no live shard any more, is set aside as other unknown files are.
    Those of open shards are left to who recovers these (see `waiting_shards`).
    """
    adopted = 0
    for disk in store.disks.online():
        for shard_id in sorted(disk.found):
            with store.lock:
                shard = store.shards.state.shards.get(shard_id)
            if shard is not None and not shard.sealed:
                continue
            with contextlib.suppress(DrystoneError):  # The disk's state says what happened.
                adopted += _adopt_one(store, replicator, disk, shard_id)
            disk.found.discard(shard_id)
    # The index may have been made without them, while no disk gave their shards.
    store.behind |= adopted > 0
    return adopted


def _adopt_one(store: Store, replicator: Replicator, disk: Disk, shard_id: str) -> bool:
    with replicator.claim(shard_id) as shard:
        if shard is not None and disk.disk_id in shard.disks:
            return False  # It was copied here meanwhile.
        result = disk.call("verify", shard_id, priority=BACKGROUND) if shard else None
        if shard is None or result is None or result.problems:
            disk.call("quarantine_shard", shard_id)
            return False
        replicator.adopt(shard, disk)
        return True
