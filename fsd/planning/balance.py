"""Which replicas to move so that unequal disks are equally full: pure arithmetic, no disk.

The fill of a disk is stored / (stored + free), and level is the fill of all of them together.
Replicas only go from disks above the level to disks below it, and none is moved past it. So no
replica moves twice, every move brings the disks nearer, and at most the bytes above the level are
moved: nobody can do with less, but for the tolerance. A move keeps the number of copies, and never
puts two replicas of a shard into one failure domain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Fill:
    """One disk that takes part: what its replicas take, and the room left for more."""

    disk_id: str
    stored_bytes: int
    free_bytes: int
    failure_domain: str

    @property
    def capacity_bytes(self) -> int:
        """Return what it could hold in all."""
        return self.stored_bytes + max(0, self.free_bytes)


@dataclass(frozen=True, slots=True)
class Placed:
    """One shard: its length and the failure domain of every disk that has a replica."""

    shard_id: str
    length_bytes: int
    domains: dict[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """One replica that goes from a fuller disk to an emptier one."""

    shard_id: str
    length_bytes: int
    source: str
    target: str


@dataclass(slots=True)
class _Work:
    """The disks while the plan grows: bytes above (or below zero) the level of each."""

    excess: dict[str, float]
    tolerance_bytes: dict[str, float]
    domains: dict[str, str]
    holders: dict[str, dict[str, str]]
    shards: dict[str, list[Placed]]
    moves: list[Move] = field(default_factory=list[Move])


def level_of(disks: Sequence[Fill]) -> float:
    """Return the fill of all disks together, 0 to 1."""
    capacity = sum(disk.capacity_bytes for disk in disks)
    return sum(disk.stored_bytes for disk in disks) / capacity if capacity else 0.0


def plan_moves(
    disks: Sequence[Fill], shards: Sequence[Placed], tolerance: float = TOLERANCE
) -> list[Move]:
    """Return the moves that bring every disk to within `tolerance` of the level, where it can.

    A shard longer than what is left to the level stays: disks of few, large shards remain uneven.
    """
    level = level_of(disks)
    ids = {disk.disk_id for disk in disks}
    work = _Work(
        excess={d.disk_id: d.stored_bytes - level * d.capacity_bytes for d in disks},
        tolerance_bytes={d.disk_id: tolerance * d.capacity_bytes for d in disks},
        domains={disk.disk_id: disk.failure_domain for disk in disks},
        holders={shard.shard_id: dict(shard.domains) for shard in shards},
        shards={disk_id: [] for disk_id in ids},
    )
    for shard in sorted(shards, key=lambda shard: (-shard.length_bytes, shard.shard_id)):
        for disk_id in shard.domains.keys() & ids:
            work.shards[disk_id].append(shard)
    while _move_one(work):
        pass
    return work.moves


def _move_one(work: _Work) -> bool:
    """Add the move between the two disks that are furthest from the level; False at the end."""
    relative = {
        disk_id: excess / max(1.0, work.tolerance_bytes[disk_id])
        for disk_id, excess in work.excess.items()
    }
    order = sorted(work.excess, key=lambda disk_id: (relative[disk_id], disk_id))
    for source in reversed(order):
        for target in order:
            if work.excess[source] <= 0 or work.excess[target] >= 0:
                break
            if relative[source] <= 1 and relative[target] >= -1:
                break  # Near enough, and so are all that follow.
            if _move_between(work, source, target):
                return True
    return False


def _move_between(work: _Work, source: str, target: str) -> bool:
    most = min(work.excess[source], -work.excess[target])
    for place, shard in enumerate(work.shards[source]):
        if 0 < shard.length_bytes <= most and _may_move(work, shard.shard_id, source, target):
            del work.shards[source][place]
            holders = work.holders[shard.shard_id]
            del holders[source]
            holders[target] = work.domains[target]
            work.excess[source] -= shard.length_bytes
            work.excess[target] += shard.length_bytes
            work.moves.append(Move(shard.shard_id, shard.length_bytes, source, target))
            return True
    return False


def _may_move(work: _Work, shard_id: str, source: str, target: str) -> bool:
    holders = work.holders[shard_id]
    others = {domain for disk_id, domain in holders.items() if disk_id != source}
    return target not in holders and work.domains[target] not in others
