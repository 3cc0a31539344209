"""What is due to be scrubbed: it owns the order in which the debt is paid, as pure functions.

A replica that was never scrubbed is due ten minutes after its shard was sealed (by then the disk's
own cache has forgotten it, so that the medium is read), and comes before all others. A replica that
was is due again after 80-100 % of the interval: a share drawn from its name, so that what was
written together is not due together.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import xxhash

from fsd.format.catalog import CatalogShard
from fsd.scrub.scrub_log import Replica, name_of

NEW_AFTER_S = 600.0
JITTER_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Debt:
    """One replica; `verified_s` 0 means never, then its age counts from the sealing."""

    shard_id: str
    disk_id: str
    length_bytes: int
    sealed_s: float
    verified_s: int
    due_s: float

    @property
    def replica(self) -> Replica:
        """Return what it is known by in the log."""
        return self.shard_id, self.disk_id

    @property
    def proven_s(self) -> float:
        """Return when its bytes were last known to be right."""
        return self.verified_s or self.sealed_s


def due_at(replica: Replica, sealed_s: float, verified_s: int, interval_s: float) -> float:
    """Return when a replica is due, in seconds since the epoch; never after the interval."""
    if not verified_s:
        return sealed_s + min(NEW_AFTER_S, interval_s / 10)
    name = f"{replica[0]}{replica[1]}{verified_s}".encode()
    share = xxhash.xxh3_64_intdigest(name) / (1 << 64)
    return verified_s + interval_s * (1 - JITTER_SHARE * share)


def make_debts(
    shards: Iterable[CatalogShard],
    times: Mapping[str, int],
    excluded: frozenset[Replica],
    interval_s: float,
    latest_s: float = math.inf,
) -> list[Debt]:
    """Return every replica of a sealed shard but the excluded, in the order of payment.

    `times` are those of replicas by name (see `scrub_log`). A time after `latest_s` is of a clock
    that was ahead, and proves nothing.
    """
    debts: list[Debt] = []
    for shard in shards:
        if not shard.sealed:
            continue
        sealed_s = min(shard.sealed_ns / 1e9, latest_s)
        for disk_id in shard.disks:
            replica = (shard.shard_id, disk_id)
            if replica in excluded:
                continue
            verified_s = times.get(name_of(replica), 0)
            verified_s = verified_s if verified_s <= latest_s else 0
            due_s = due_at(replica, sealed_s, verified_s, interval_s)
            debts.append(
                Debt(*replica, shard.length_bytes, sealed_s, verified_s, due_s),
            )
    return sorted(debts, key=order)


def order(debt: Debt) -> tuple[bool, float, str, str]:
    """Sort key: never scrubbed ones first, of those the newest; then the longest not seen."""
    if not debt.verified_s:
        return False, -debt.sealed_s, debt.shard_id, debt.disk_id
    return True, float(debt.verified_s), debt.shard_id, debt.disk_id
