"""Which disk each missing copy is read from and comes to, and in which order: pure arithmetic.

A copy has two legs: its source is busy for one pass over it, its target for two (written, and read
back). Disks are chosen so that the one that is busy longest is done soonest: legs without a choice
first, the longest next, then moves of one or two legs off the busiest disk; of few legs, where one
more or less counts, many plans are compared. A target keeps a twentieth of its size free as long
as another one has more, and what it has is never overdrawn.

`CopyQueue` hands the copies out: the poorest shards first, and of those one whose source gives, and
whose target takes, the fewest copies just now; of several, the one whose disks have the most to do
yet. So every disk reads and writes all the time, and none is left with its writes at the end. What
waits in it may be planned anew, when disks turn out to be slower, or faster, than they were known.
"""

import itertools
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fsd.replicas.copy_scheduler import Flow, Progress

KEPT_FREE_SHARE = 0.05
"""With less, filesystems lay large files in many pieces; more makes other disks end later."""
TARGET_PASSES = 2
IMPROVEMENTS_MAX = 2_000
LEGS_MAX = 32
"""Of a disk, looked at to improve a plan: at most the square of it of pairs."""
SEARCHED_LEGS_MAX = 64
SEARCHED_STATES_MAX = 256
GAIN_MIN = 1e-6


@dataclass(frozen=True, slots=True)
class Need:
    """One copy that is wanted; `sources` can give it, `targets` may take it.

    `copies` is how many sound ones there are.
    """

    shard_id: str
    length_bytes: int
    copies: int
    sources: Sequence[str]
    targets: Sequence[str]


class Room(NamedTuple):
    """What may still be placed on a disk, and its size."""

    free_bytes: int
    size_bytes: int

    @property
    def used_share(self) -> float:
        """Return how much of it is taken, 0 of a disk that was not measured yet."""
        return 1 - self.free_bytes / self.size_bytes if self.size_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A need with the disks that were chosen for it; empty where there is none to choose."""

    need: Need
    source: str
    target: str
    flow: Flow = field(default_factory=Flow, compare=False)
    """Of all copies of a queue between the two disks."""
    progress: Progress = field(default_factory=Progress, compare=False)


class Left(NamedTuple):
    """What copies that go on have yet to do at a disk, in bytes of passes over them."""

    source_bytes: int = 0
    target_bytes: int = 0


@dataclass(slots=True, eq=False)
class _Leg:
    """Reading or writing one copy; `disk` is empty until one is chosen. No two are the same."""

    size_bytes: int
    choices: Sequence[str]
    writes: bool
    disk: str = ""

    @property
    def written_bytes(self) -> int:
        return self.size_bytes if self.writes else 0


class _State(NamedTuple):
    """A partial plan: the greatest load of a disk, all of them, what fits yet, and the choices."""

    peak_s: float
    loads_s: tuple[float, ...]
    room_bytes: tuple[float, ...]
    disks: tuple[int, ...]

    def put(self, disk: int, cost_s: float, size_bytes: int) -> "_State":
        loads = (*self.loads_s[:disk], self.loads_s[disk] + cost_s, *self.loads_s[disk + 1 :])
        left = self.room_bytes[disk] - size_bytes
        room = (*self.room_bytes[:disk], left, *self.room_bytes[disk + 1 :])
        return _State(max(loads), loads, room, (*self.disks, disk))

    def has_room(self, coming: Mapping[tuple[int, ...], int]) -> bool:
        """Return whether no choice of disks has less room than what may go nowhere else."""
        room = [max(0.0, left) for left in self.room_bytes]
        return all(sum(room[disk] for disk in disks) >= size for disks, size in coming.items())


def plan_copies(
    needs: Sequence[Need],
    pass_s: Mapping[str, float],
    rooms: Mapping[str, Room],
    target_pass_s: Mapping[str, float] | None = None,
    before_s: Mapping[str, float] | None = None,
) -> list[Planned]:
    """Choose the disks of every copy; `pass_s` is the seconds per byte of one pass, by disk.

    Where copies come to lie it may be another one: `target_pass_s`. `before_s` is what each disk
    has to do before.
    """
    reads = [_Leg(need.length_bytes, need.sources, False) for need in needs]
    writes = [_Leg(need.length_bytes, need.targets, True) for need in needs]
    _Work(pass_s, target_pass_s or pass_s, rooms, before_s or {}).choose([*reads, *writes])
    return [
        Planned(need, read.disk, write.disk)
        for need, read, write in zip(needs, reads, writes, strict=True)
    ]


class _Work:
    """The plan while it is made: the seconds, the legs and the free bytes of each disk."""

    def __init__(
        self,
        pass_s: Mapping[str, float],
        target_pass_s: Mapping[str, float],
        rooms: Mapping[str, Room],
        before_s: Mapping[str, float],
    ) -> None:
        self._pass_s = pass_s
        self._target_pass_s = target_pass_s
        self._rooms = rooms
        self._free = {disk: room.free_bytes for disk, room in rooms.items()}
        self._loads = {disk: before_s.get(disk, 0.0) for disk in pass_s}
        self._legs: dict[str, list[_Leg]] = {disk: [] for disk in pass_s}

    def choose(self, legs: list[_Leg]) -> None:
        """Give each leg the disk that ends first with it, then improve the whole."""
        order = sorted(legs, key=lambda leg: (len(leg.choices) > 1, -leg.size_bytes))
        for leg in order:
            allowed = [disk for disk in leg.choices if self._fits(leg, disk)]
            if roomy := [disk for disk in allowed if self._stays_roomy(leg, disk)]:
                self._put(leg, min(roomy, key=lambda disk: self._loads[disk] + self._s(leg, disk)))
            elif allowed:
                self._put(leg, max(allowed, key=lambda disk: self._free[disk]))
        self._improve_all()
        free = [leg for leg in order if leg.disk and len(leg.choices) > 1]
        free.sort(key=lambda leg: -leg.size_bytes)
        if 0 < len(free) <= SEARCHED_LEGS_MAX:
            if not self._search(free):
                self._search([leg for leg in free if self._lies_well(leg)])
            # One in which all lie well counts also where it ends later.
            self._improve_all()

    def _improve_all(self) -> None:
        for _ in range(IMPROVEMENTS_MAX):
            if not self._improve():
                break

    def _lies_well(self, leg: _Leg) -> bool:
        """Return whether a leg's disk, if it is written there, has more room than is kept free."""
        return not leg.writes or self._roomy_bytes(leg.disk) >= 0

    def _search(self, legs: list[_Leg]) -> bool:
        """Return whether a plan was found in which all lie well; it counts if new or sooner done.

        Breadth first over the legs; of the partial plans the ones with the least peak stay.
        """
        names = list(self._loads)
        loads, room = dict(self._loads), {name: self._roomy_bytes(name) for name in names}
        for leg in legs:
            loads[leg.disk] -= self._s(leg, leg.disk)
            room[leg.disk] += leg.written_bytes
        states = [_State(0.0, tuple(loads.values()), tuple(room.values()), ())]
        # What is yet to be placed, by the disks it may go to, where those cannot take everything.
        coming = Counter[tuple[int, ...]]()
        for leg in legs:
            coming[tuple(map(names.index, leg.choices))] += leg.written_bytes
        scarce = {
            disks: size
            for disks, size in coming.items()
            if size and not states[0].has_room({disks: coming.total()})
        }
        for leg in legs:
            costs = [(names.index(disk), self._s(leg, disk)) for disk in leg.choices]
            if (disks := tuple(disk for disk, _ in costs)) in scarce:
                scarce[disks] -= leg.written_bytes
            grown: dict[tuple[tuple[float, ...], ...], _State] = {}
            for state in states:
                for disk, cost_s in costs:
                    after = state.put(disk, cost_s, leg.written_bytes)
                    if not leg.writes or (after.room_bytes[disk] >= 0 and after.has_room(scarce)):
                        grown[after.loads_s, after.room_bytes] = after
            states = sorted(grown.values())[:SEARCHED_STATES_MAX]
        if not states:
            return False
        sooner = states[0].peak_s < max(self._loads.values()) * (1 - GAIN_MIN)
        if sooner or not all(self._lies_well(leg) for leg in legs):
            for leg, disk in zip(legs, states[0].disks, strict=True):
                self._put(leg, names[disk])
        return True

    def _roomy_bytes(self, disk: str) -> float:
        """Return what a disk can take so that it stays roomy, negative when it is not."""
        room = self._rooms.get(disk, Room(0, 0))
        return self._free.get(disk, 0) - KEPT_FREE_SHARE * room.size_bytes

    def _s(self, leg: _Leg, disk: str) -> float:
        if leg.writes:
            return leg.size_bytes * TARGET_PASSES * self._target_pass_s[disk]
        return leg.size_bytes * self._pass_s[disk]

    def _fits(self, leg: _Leg, disk: str) -> bool:
        return not leg.writes or self._free[disk] >= leg.size_bytes

    def _stays_roomy(self, leg: _Leg, disk: str) -> bool:
        left = self._free[disk] - leg.written_bytes
        return not leg.writes or left >= KEPT_FREE_SHARE * self._rooms[disk].size_bytes

    def _stay_roomy(self, moves: list[tuple[_Leg, str]]) -> bool:
        """Return whether the disks that have more to take by all of the moves stay roomy."""
        more: Counter[str] = Counter()
        for leg, disk in moves:
            if leg.writes:
                more[disk] += leg.size_bytes
                more[leg.disk] -= leg.size_bytes
        return all(size <= self._roomy_bytes(disk) for disk, size in more.items() if size > 0)

    def _put(self, leg: _Leg, disk: str) -> None:
        if leg.disk:
            self._loads[leg.disk] -= self._s(leg, leg.disk)
            self._legs[leg.disk].remove(leg)
            self._free[leg.disk] += leg.written_bytes
        leg.disk = disk
        self._loads[disk] += self._s(leg, disk)
        self._legs[disk].append(leg)
        self._free[disk] -= leg.written_bytes

    def _improve(self) -> bool:
        """Take a leg off the busiest disk, another one making room for it; False if none helps."""
        busiest = max(self._loads, key=lambda disk: self._loads[disk], default="")
        best_s = self._loads.get(busiest, 0.0) * (1 - GAIN_MIN)
        best: list[tuple[_Leg, str]] = []
        for leg in _able(self._legs.get(busiest, [])):
            for other in (disk for disk in leg.choices if disk != busiest):
                for moves in self._ways((leg, other)):
                    peak_s = self._peak_s(moves)
                    if peak_s < best_s and self._stay_roomy(moves):
                        best_s, best = peak_s, moves
        for moved, disk in reversed(best):
            self._put(moved, disk)
        return bool(best)

    def _ways(self, move: tuple[_Leg, str]) -> Iterator[list[tuple[_Leg, str]]]:
        """Yield the move, and with it each one of a leg of that disk onward, perhaps back."""
        yield [move]
        for onward in _able(self._legs[move[1]]):
            for disk in onward.choices:
                if disk != move[1]:
                    yield [move, (onward, disk)]

    def _peak_s(self, moves: list[tuple[_Leg, str]]) -> float:
        after: dict[str, float] = {}
        for leg, disk in moves:
            former = leg.disk
            after[former] = after.get(former, self._loads[former]) - self._s(leg, former)
            after[disk] = after.get(disk, self._loads[disk]) + self._s(leg, disk)
        return max(after.values())


def _able(legs: Sequence[_Leg]) -> list[_Leg]:
    """Return at most LEGS_MAX of the legs that have a choice."""
    able = (leg for leg in legs if len(leg.choices) > 1)
    return list(itertools.islice(able, LEGS_MAX))


@dataclass(slots=True)
class CopyQueue:
    """Planned copies that wait, by the disks they go between. Safe to use from several threads."""

    _waiting: dict[int, dict[tuple[str, str], deque[Planned]]] = field(
        default_factory=dict[int, dict[tuple[str, str], deque[Planned]]]
    )
    _flows: defaultdict[tuple[str, str], Flow] = field(
        default_factory=lambda: defaultdict[tuple[str, str], Flow](Flow)
    )
    _running: dict[str, Planned] = field(default_factory=dict[str, Planned])
    _giving: Counter[str] = field(default_factory=Counter[str])
    _taking: Counter[str] = field(default_factory=Counter[str])
    # Guards all above. Innermost.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def of(planned: Sequence[Planned]) -> "CopyQueue":
        """Return a queue of all of them, the shortest of a pair of disks last."""
        queue = CopyQueue()
        queue._put(planned)
        return queue

    def _put(self, planned: Iterable[Planned]) -> None:
        for one in sorted(planned, key=lambda one: -one.need.length_bytes):
            pair = one.source, one.target
            flow = self._flows[pair]
            flow.total_bytes += one.need.length_bytes
            pairs = self._waiting.setdefault(one.need.copies, {})
            pairs.setdefault(pair, deque()).append(replace(one, flow=flow))

    def waiting(self) -> list[Planned]:
        """Return the copies that nobody has taken."""
        with self._lock:
            return self._all_waiting()

    def left(self) -> dict[str, Left]:
        """Return what the copies that were taken have yet to read, write and read back, by disk."""
        sources, targets = Counter[str](), Counter[str]()
        with self._lock:
            for one in self._running.values():
                whole, done = one.need.length_bytes, one.progress
                sources[one.source] += whole - done.read_bytes
                targets[one.target] += (
                    TARGET_PASSES * whole - done.written_bytes - done.proven_bytes
                )
        return {disk: Left(sources[disk], targets[disk]) for disk in {*sources, *targets}}

    def _all_waiting(self) -> list[Planned]:
        queues = (queue for pairs in self._waiting.values() for queue in pairs.values())
        return list(itertools.chain.from_iterable(queues))

    def replan(self, planned: Sequence[Planned]) -> None:
        """Let copies that still wait go between other disks; those taken meanwhile stay."""
        with self._lock:
            former = {one.need.shard_id: one for one in self._all_waiting()}
            for one in former.values():
                one.flow.total_bytes -= one.need.length_bytes
            self._waiting.clear()
            known = {one.need.shard_id: one for one in planned}
            self._put(known.get(shard_id, one) for shard_id, one in former.items())

    def take(self) -> Planned | None:
        """Return the copy to begin now, None when all are taken; `done` follows."""
        with self._lock:
            for copies in sorted(self._waiting):
                pairs = self._waiting[copies]
                if not pairs:
                    continue
                pair = self._choose(pairs)
                taken = pairs[pair].popleft()
                if not pairs[pair]:
                    del pairs[pair]
                self._giving[pair[0]] += 1
                self._taking[pair[1]] += 1
                self._running[taken.need.shard_id] = taken
                return taken
        return None

    def _choose(self, pairs: Mapping[tuple[str, str], deque[Planned]]) -> tuple[str, str]:
        left: Counter[str] = Counter()
        for (source, target), waiting in pairs.items():
            left[source] += len(waiting)
            left[target] += TARGET_PASSES * len(waiting)

        def rank(pair: tuple[str, str]) -> tuple[int, int]:
            source, target = pair
            return self._giving[source] + self._taking[target], -left[source] - left[target]

        return min(pairs, key=rank)

    def done(self, planned: Planned) -> None:
        """Note that a copy has ended, whether it succeeded or not."""
        with self._lock:
            self._giving[planned.source] -= 1
            self._taking[planned.target] -= 1
            del self._running[planned.need.shard_id]

    def __iter__(self) -> Iterator[Planned]:
        """Yield copies until all are taken; each is done when the next is asked for."""
        while (planned := self.take()) is not None:
            try:
                yield planned
            finally:
                self.done(planned)
