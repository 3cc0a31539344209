"""Where the replicas of a new shard go: capped sampling over unequal disks.

Owns the arithmetic of capacity (what unequal disks hold at r copies) and the random choice of
disks. It never looks at a disk: callers pass free bytes, already less the min-free reserve.

With f_i the free bytes of disk i, U = max u such that sum(min(f_i, u)) >= r*u is what the disks
can hold at r copies, and disk i takes a replica with probability r*min(f_i, U)/sum(min(f, U)).
Those probabilities drain the disks in step, so that repeated placement reaches U; a disk that
must take part in every placement gets probability 1. All of it is integer arithmetic and exact.
"""

import itertools
import random
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from fsd.format.errors import NotEnoughDisksError

# Disks as they are sold (decimal terabytes), for `next_disk_advice`.
NEW_DISK = "a disk to be bought"
TYPICAL_DISK_SIZES_BYTES = tuple(terabytes * 10**12 for terabytes in (2, 4, 8, 12, 16, 20))


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Room on one disk.

    `free_bytes` is free space less the min-free reserve (below zero counts as zero).
    Two disks of one `failure_domain` (partitions of a device, disks behind one bridge) die
    together. A disk that is not `eligible` (readonly, missing, draining) takes no replica.
    """

    disk_id: str
    free_bytes: int
    failure_domain: str
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class UsableAfterLoss:
    """The worst single loss: what stays usable, the disks of the domain that was lost.

    `unplaced_bytes` of the copies that it takes away have no place on the others.
    """

    usable_bytes: int
    disk_ids: tuple[str, ...]
    unplaced_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """Shards that these disks, and no others, have sound copies of; so many copies are wanted."""

    size_bytes: int
    copies: int
    disk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usable:
    """What fits beside all that is wanted already, and what of that has no place."""

    usable_bytes: int
    unplaced_bytes: int


def usable_bytes(free: Sequence[int], copies: int) -> int:
    """Logical bytes that disks with `free` bytes can hold at `copies` copies, no two on one disk.

    0 when fewer disks than copies have room. Reason for the closed form: the condition says
    k*u + (sum of all but the k largest) >= copies*u for every k < copies, and the tightest wins.
    """
    _check_copies(copies)
    rooms = sorted((max(room, 0) for room in free), reverse=True)
    if len(rooms) < copies:
        return 0
    return min(sum(rooms[k:]) // (copies - k) for k in range(copies))


def usable_besides(
    spaces: Sequence[DiskSpace],
    copies: int,
    held: Sequence[Held],
    *,
    allow_same_domain: bool = False,
    lost: Collection[str] = (),
) -> Usable:
    """What still fits once every copy that `held` lacks is made, without the `lost` domains.

    Exact for pieces of any size. A flow from what is wanted to the disks exists when no cut is too
    small: whatever set of disks is left out, the others have room for what has no place in it. A
    set of more disks than copies leaves a place to everything, so the small ones are enough.
    """
    _check_copies(copies)
    domains = {space.disk_id: _domain(space, allow_same_domain) for space in spaces}
    groups = _domains(spaces, allow_same_domain)
    rooms = {_domain(group[0], allow_same_domain): _room(group) for group in groups}
    rooms = {domain: room for domain, room in rooms.items() if domain not in lost}
    needs: list[tuple[int, int, set[str]]] = []
    for one in held:
        left = [domains[disk] for disk in one.disk_ids if domains.get(disk, disk) not in lost]
        # Of what nobody has any more no copy is made.
        if left and len(left) < one.copies:
            needs.append((one.size_bytes, one.copies - len(left), set(left)))
    usable, unplaced = sum(rooms.values()), 0
    for count in range(max([copies, *(one.copies for one in held)])):
        for left_out in itertools.combinations(rooms, count):
            room = sum(rooms.values()) - sum(rooms[domain] for domain in left_out)
            for size, missing, holders in needs:
                room -= size * max(0, missing - len(set(left_out) - holders))
            unplaced = max(unplaced, -room)
            if count < copies:
                usable = min(usable, room // (copies - count))
    return Usable(max(0, usable), unplaced)


def usable_after_loss(
    spaces: Sequence[DiskSpace],
    copies: int,
    *,
    allow_same_domain: bool = False,
    held: Sequence[Held] = (),
) -> UsableAfterLoss:
    """What stays usable after the loss of any one disk, and the loss that hurts most.

    A failure domain is lost as a whole, unless `allow_same_domain` makes each disk its own. With
    `held` its copies are made again first: that is what fits when the store is whole again. Of
    equal losses the first in the order of `spaces` is named; with no disk to lose nothing is.
    """
    holding = {disk for one in held for disk in one.disk_ids}
    groups: dict[str, list[str]] = {}
    for space in spaces:
        if (space.eligible and space.free_bytes > 0) or space.disk_id in holding:
            groups.setdefault(_domain(space, allow_same_domain), []).append(space.disk_id)
    now = usable_besides(spaces, copies, held, allow_same_domain=allow_same_domain)
    worst = UsableAfterLoss(now.usable_bytes, ())
    for domain, disk_ids in groups.items():
        left = usable_besides(
            spaces, copies, held, allow_same_domain=allow_same_domain, lost=(domain,)
        )
        rank = (-left.unplaced_bytes, left.usable_bytes)
        if not worst.disk_ids or rank < (-worst.unplaced_bytes, worst.usable_bytes):
            worst = UsableAfterLoss(left.usable_bytes, tuple(disk_ids), left.unplaced_bytes)
    return worst


def next_disk_advice(
    spaces: Sequence[DiskSpace],
    copies: int,
    *,
    allow_same_domain: bool = False,
    held: Sequence[Held] = (),
) -> list[tuple[int, int]]:
    """Which disk to buy next: (size_bytes, usable_gain_bytes) for typical sizes, ascending.

    The new disk is a failure domain of its own and counts in full (no reserve, no filesystem).
    Copies that are missing now take their share of it first.
    """

    def usable(*more: DiskSpace) -> int:
        every = [*spaces, *more]
        return usable_besides(every, copies, held, allow_same_domain=allow_same_domain).usable_bytes

    before = usable()
    return [
        (size, usable(DiskSpace(NEW_DISK, size, NEW_DISK)) - before)
        for size in TYPICAL_DISK_SIZES_BYTES
    ]


def choose_disks(
    spaces: Sequence[DiskSpace],
    copies: int,
    size_bytes: int,
    rng: random.Random,
    *,
    exclude: Collection[str] = (),
    allow_same_domain: bool = False,
) -> tuple[str, ...]:
    """Draw `copies` distinct disks that each have room for `size_bytes`, in no given order.

    Domains are drawn first, each with exactly the probability of the module's formula, then one
    disk in each domain in proportion to its free bytes. Disks named in `exclude` (they hold a
    copy already) are left out together with their failure domains, so pass them in `spaces` even
    when they are not eligible; with `allow_same_domain` only the disks themselves are left out.
    Raises NotEnoughDisksError when fewer than `copies` domains fit.
    """
    _check_copies(copies)
    fitting = fitting_disks(
        spaces, size_bytes, exclude=exclude, allow_same_domain=allow_same_domain
    )
    groups = _domains(fitting, allow_same_domain)
    if len(groups) < copies:
        raise NotEnoughDisksError(
            f"{copies} copies of {size_bytes} bytes need {copies} independent disks with room, "
            f"{len(groups)} of {len(spaces)} disks qualify; add a disk or free space"
        )
    rng.shuffle(groups)  # a fixed order would make neighbours exclude each other
    return tuple(_pick_one(groups[i], rng) for i in _pick_groups(groups, copies, rng))


def expected_shares(
    spaces: Sequence[DiskSpace], copies: int, size_bytes: int, *, allow_same_domain: bool = False
) -> dict[str, float]:
    """How many of the `copies` each disk gets on average of `choose_disks`: at most one."""
    fitting = fitting_disks(spaces, size_bytes, allow_same_domain=allow_same_domain)
    groups = _domains(fitting, allow_same_domain)
    cap = usable_bytes([_room(group) for group in groups], copies)
    total = sum(min(_room(group), cap) for group in groups)
    return {
        space.disk_id: copies * min(_room(group), cap) / total * space.free_bytes / _room(group)
        for group in groups
        for space in group
    }


def fitting_disks(
    spaces: Sequence[DiskSpace],
    size_bytes: int,
    *,
    exclude: Collection[str] = (),
    allow_same_domain: bool = False,
) -> list[DiskSpace]:
    """Return the disks that `choose_disks` draws from for one copy."""
    barred = {_domain(space, allow_same_domain) for space in spaces if space.disk_id in exclude}
    return [
        space
        for space in spaces
        if space.eligible
        and space.free_bytes >= max(size_bytes, 1)
        and _domain(space, allow_same_domain) not in barred
    ]


def _pick_groups(
    groups: Sequence[Sequence[DiskSpace]], copies: int, rng: random.Random
) -> list[int]:
    """Systematic (Madow) sampling: `copies` distinct indices, ascending.

    Group i is an interval of copies*min(f_i, U) on a line of length copies*total. Points stand
    `total` apart from a random start; as no interval is longer than `total`, which is what U
    guarantees, no group is hit twice, and each is hit with exactly its share of the line.
    """
    rooms = [_room(group) for group in groups]
    cap = usable_bytes(rooms, copies)
    weights = [min(room, cap) for room in rooms]
    total = sum(weights)
    point = rng.randrange(total)
    picked: list[int] = []
    interval_end = 0
    for index, weight in enumerate(weights):
        interval_end += copies * weight
        if point < interval_end:
            picked.append(index)
            point += total
    return picked


def _pick_one(group: Sequence[DiskSpace], rng: random.Random) -> str:
    """One disk id, in proportion to free bytes (all of them positive)."""
    point = rng.randrange(_room(group))
    for space in group:
        point -= space.free_bytes
        if point < 0:
            return space.disk_id
    raise AssertionError("the point lies within the sum of free bytes")


def _domains(spaces: Sequence[DiskSpace], allow_same_domain: bool) -> list[list[DiskSpace]]:
    """Eligible disks with room, grouped by failure domain, in order of first appearance."""
    groups: dict[str, list[DiskSpace]] = {}
    for space in spaces:
        if space.eligible and space.free_bytes > 0:
            groups.setdefault(_domain(space, allow_same_domain), []).append(space)
    return list(groups.values())


def _domain(space: DiskSpace, allow_same_domain: bool) -> str:
    return space.disk_id if allow_same_domain else space.failure_domain


def _room(group: Sequence[DiskSpace]) -> int:
    return sum(space.free_bytes for space in group)


def _check_copies(copies: int) -> None:
    if copies < 1:
        raise ValueError(f"copies is {copies}, at least 1 is needed")


# ---- Draws that keep the disks level -------------------------------------------------------------
# Draws of disks that follow each other: it owns what each disk has had of them, and draws nothing.
#
# Single draws (see `placement`) give each disk its share of thousands of shards, and of a dozen one
# disk twice as much as another: a put then waits for that one, and so does reading it. Of a few
# draws the one is taken whose disks have least to write just now, whatever makes the others slow:
# so all are busy until the end. Of equal ones, that whose disks are furthest behind what they
# should have had by now. No draw is taken for that which costs usable capacity, while there is one
# that does not.

DRAWS = 4
"""Of two the disks of a put of a dozen shards end a fifth sooner already; of four, a quarter. Which
disks come together stays as random as with one: a disk that dies is rebuilt from all the others."""


class FairDraws:
    """One series of draws. Safe to use from several threads; forgotten with the engine."""

    def __init__(self) -> None:
        # Guards `_behind_bytes`. Innermost.
        self._lock = threading.Lock()
        self._behind_bytes: dict[str, float] = {}

    def choose(
        self,
        spaces: Sequence[DiskSpace],
        copies: int,
        size_bytes: int,
        rng: random.Random,
        *,
        allow_same_domain: bool = False,
        waiting_bytes: Mapping[str, int] | None = None,
    ) -> tuple[str, ...]:
        """Choose like `choose_disks`, which see; `waiting_bytes` is what each disk has to write."""
        draws = [
            choose_disks(spaces, copies, size_bytes, rng, allow_same_domain=allow_same_domain)
            for _ in range(DRAWS)
        ]
        waiting = waiting_bytes or {}
        if waiting:
            same = allow_same_domain
            draws = _that_cost_nothing(draws, spaces, copies, size_bytes, allow_same_domain=same)
        shares = expected_shares(spaces, copies, size_bytes, allow_same_domain=allow_same_domain)
        with self._lock:
            behind = self._behind_bytes
            for disk_id, share in shares.items():
                behind[disk_id] = behind.get(disk_id, 0.0) + share * size_bytes
            chosen = min(
                draws,
                key=lambda draw: (
                    max(waiting.get(disk_id, 0) for disk_id in draw),
                    -sum(behind[disk_id] for disk_id in draw),
                ),
            )
            for disk_id in chosen:
                behind[disk_id] -= size_bytes
        return chosen


def _that_cost_nothing(
    draws: Sequence[tuple[str, ...]],
    spaces: Sequence[DiskSpace],
    copies: int,
    size_bytes: int,
    *,
    allow_same_domain: bool,
) -> Sequence[tuple[str, ...]]:
    """Return the draws after which as much is usable as could be; all of them when none is."""

    def usable(draw: tuple[str, ...] = ()) -> int:
        left = [
            replace(space, free_bytes=space.free_bytes - size_bytes * (space.disk_id in draw))
            for space in spaces
        ]
        found = usable_besides(left, copies, (), allow_same_domain=allow_same_domain)
        return found.usable_bytes

    enough = usable() - size_bytes
    # Integer division: one byte less is none.
    return [draw for draw in draws if usable(draw) >= enough - 1] or draws
