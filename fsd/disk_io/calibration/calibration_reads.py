"""Timed reads for the model of a disk: it owns their choice and their clock, in a disk process.

Reads nothing but shard files, past every cache, and only while no other request of this disk is
waiting: what was disturbed all the same does not count. Where a file lies on the disk is asked of
the filesystem (FIEMAP), so that distances are those the head travels.
"""

import bisect
import contextlib
import fcntl
import os
import random
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fsd.disk_io.calibration.calibration import Jump, Samples, Stretch
from fsd.disk_io.shard_file import READ_BYTES_MAX, large_pages, open_direct
from fsd.format.errors import CalibrationError
from fsd.format.record import SECTOR_BYTES
from fsd.process.child import Lane

LIMIT_S = 30.0
"""For all of it, waiting included."""
POLL_S = 0.01
FILES_MAX = 48
BAD_READS_MAX = 8

JUMPS = 120
JUMPS_LIMIT_S = 3.0
PLACES = 1500
NEAR_BYTES = 4 << 20
"""Nearer places may lie in what the drive has read ahead."""

STRETCHES = 10
STRETCHES_LIMIT_S = 8.0
WINDOWS = 5
"""Of a stretch; the first one pays for the approach and does not count."""
STRETCH_WINDOW_BYTES = 4 << 20
"""So little that a disk of 30 MB/s is measured in all its places within the limit, and that of the
windows of a stretch hardly two meet what the engine reads once a second to see whether it lives."""
WINDOW_BYTES_MIN = 64 << 10
PART_BYTES_MIN = 10 << 20
"""Of a piece of a file that more than one stretch is read of."""

_FIEMAP = 0xC020660B
_FIEMAP_HEAD = struct.Struct("<QQIIII")
_EXTENT = struct.Struct("<QQQQQIIII")
_EXTENTS_MAX = 64
_FIEMAP_SYNC = 1
# Unknown, delayed, encoded, encrypted, in line, tail or unwritten: no place to read from.
_NOT_PLAIN = 0x2 | 0x4 | 0x8 | 0x80 | 0x200 | 0x400 | 0x800

PathOf = Callable[[str, bool], str]


class Area(NamedTuple):
    """A piece of a shard file that lies in one piece at `address` of the device (0 unknown)."""

    fd: int
    start: int
    address: int
    length: int


class CalibrationReads:
    """One lane's measurements, one at a time; `others` are the lanes it gives way to."""

    def __init__(self, lane: Lane, others: Sequence[Lane], path_of: PathOf) -> None:
        self._lane = lane
        self._others = others
        self._path_of = path_of
        self._deadline = 0.0
        self._bad_reads = 0

    def run(self, shard_ids: list[str]) -> Samples:
        """Measure with some of these replicas, about five seconds on an idle HDD.

        On a busy one fewer samples come back; the estimate says whether they suffice.
        """
        self._deadline, self._bad_reads = time.monotonic() + LIMIT_S, 0
        with contextlib.ExitStack() as opened:
            areas: list[Area] = []
            for shard_id in shard_ids[:FILES_MAX]:
                # It may have been moved away since the engine chose it.
                with contextlib.suppress(FileNotFoundError):
                    fd = open_direct(self._path_of(shard_id, False), os.O_RDONLY)
                    opened.callback(os.close, fd)
                    areas += find_areas(fd)
                self._lane.step()
            areas.sort(key=lambda area: (area.address, area.fd, area.start))
            view = memoryview(large_pages(STRETCH_WINDOW_BYTES))
            # Single sectors first: after the stretches some would lie in the drive's memory.
            jumps = self._jump(areas, view)
            stretches = self._stretch(areas, view)
        span = areas[-1].address + areas[-1].length - areas[0].address if areas else 0
        known = all(area.address for area in areas)
        return Samples(stretches, jumps, span if known else 0)

    def _jump(self, areas: list[Area], view: memoryview) -> tuple[Jump, ...]:
        walk = Walk(areas, random.Random())
        found: list[Jump] = []
        until = min(self._deadline, time.monotonic() + JUMPS_LIMIT_S)
        while len(found) < JUMPS and time.monotonic() < until and (step := walk.next()):
            distance, fd, offset = step
            seconds = self._timed(fd, view[:SECTOR_BYTES], offset)
            if seconds is not None and distance is not None:
                found.append(Jump(distance, seconds))
        return tuple(found)

    def _stretch(self, areas: list[Area], view: memoryview) -> tuple[Stretch, ...]:
        chosen = choose_stretches(areas)
        found: list[Stretch] = []
        until = min(self._deadline, time.monotonic() + STRETCHES_LIMIT_S)
        for fd, start, window in chosen:
            if time.monotonic() > until and len(found) > 1:
                break
            timed = [
                self._timed(fd, view[:window], start + number * window) for number in range(WINDOWS)
            ]
            undisturbed = tuple(seconds for seconds in timed[1:] if seconds is not None)
            if undisturbed:
                found.append(Stretch(window, undisturbed))
        return tuple(found)

    def _timed(self, fd: int, view: memoryview, offset: int) -> float | None:
        """Seconds of one read; None when it does not count."""
        self._wait()
        began = time.perf_counter()
        count = 0
        try:
            # In the requests of an export, one after the other: see READ_BYTES_MAX.
            while piece := os.preadv(fd, [view[count : count + READ_BYTES_MAX]], offset + count):
                count += piece
                if count >= len(view) or piece % SECTOR_BYTES:
                    break
        except OSError:
            # A bad place is for the scrub to find; a disk that is bad everywhere is no sample.
            self._bad_reads += 1
            if self._bad_reads > BAD_READS_MAX:
                raise
            return None
        seconds = time.perf_counter() - began
        self._lane.step()
        return seconds if count == len(view) and not self._busy() else None

    def _wait(self) -> None:
        self._lane.step()
        while self._busy():
            if time.monotonic() > self._deadline:
                raise CalibrationError("the disk was never idle; try again later")
            time.sleep(POLL_S)
            self._lane.step()

    def _busy(self) -> bool:
        return any(lane.busy or not lane.queue.empty() for lane in self._others)


class Walk:
    """Places to read one sector from, near and far: distances of every magnitude, none twice."""

    def __init__(self, areas: Sequence[Area], chance: random.Random) -> None:
        self._chance = chance
        self._known = bool(areas) and all(area.address for area in areas)
        lengths = [area.length for area in areas]
        drawn = chance.choices(areas, lengths, k=PLACES) if sum(lengths) else []
        places: set[tuple[int, int, int]] = set()
        for area in drawn:
            shift = chance.randrange(area.length // SECTOR_BYTES) * SECTOR_BYTES
            places.add((area.address + shift, area.fd, area.start + shift))
        self._places = sorted(places)
        self._head: int | None = None
        self._reach = self._places[-1][0] - self._places[0][0] if self._places else 0

    def next(self) -> tuple[int | None, int, int] | None:
        """Return (distance or None for the first, descriptor, offset), or None at the end."""
        if not self._places:
            return None
        address, fd, offset = self._places.pop(self._choose())
        distance = None if self._head is None else abs(address - self._head)
        self._head = address + SECTOR_BYTES
        if not self._known:
            return 0, fd, offset
        return None if distance is not None and distance < NEAR_BYTES else distance, fd, offset

    def _choose(self) -> int:
        everywhere = self._chance.randrange(len(self._places))
        if not self._known or self._head is None or self._reach <= 2 * NEAR_BYTES:
            return everywhere
        if self._chance.random() < 1 / 3:
            return everywhere
        far = 2 * NEAR_BYTES * (self._reach / (2 * NEAR_BYTES)) ** self._chance.random()
        goal = self._head + (far if self._chance.random() < 0.5 else -far)
        return min(bisect.bisect_left(self._places, (int(goal), 0, 0)), len(self._places) - 1)


def choose_stretches(areas: Sequence[Area]) -> list[tuple[int, int, int]]:
    """Return (descriptor, offset, window bytes) of stretches, in a random order.

    They lie evenly over the data, and their windows are as large as pieces allow.
    """
    usable = [area for area in areas if area.length >= WINDOWS * WINDOW_BYTES_MIN]
    total = sum(area.length for area in usable)
    chosen: list[tuple[int, int, int]] = []
    passed = taken = 0
    for area in usable:
        passed += area.length
        reached = (2 * passed * STRETCHES + total) // (2 * total)
        due, taken = reached - taken, reached
        # A young disk has one shard or two: several stretches of each.
        parts = min(due, max(1, area.length // PART_BYTES_MIN))
        for part in range(parts):
            size = area.length // parts
            start = area.start + part * size // SECTOR_BYTES * SECTOR_BYTES
            room = size // WINDOWS // SECTOR_BYTES * SECTOR_BYTES
            window = min(STRETCH_WINDOW_BYTES, room)
            chosen.append((area.fd, start, window))
    random.shuffle(chosen)
    return chosen


def find_areas(fd: int) -> list[Area]:
    """Return where a file lies; one area of unknown address where the filesystem does not tell."""
    size = os.fstat(fd).st_size // SECTOR_BYTES * SECTOR_BYTES
    answer = bytearray(_FIEMAP_HEAD.size + _EXTENTS_MAX * _EXTENT.size)
    _FIEMAP_HEAD.pack_into(answer, 0, 0, size, _FIEMAP_SYNC, 0, _EXTENTS_MAX, 0)
    try:
        fcntl.ioctl(fd, _FIEMAP, answer)
    except OSError:
        return [Area(fd, 0, 0, size)] if size else []
    count = _FIEMAP_HEAD.unpack_from(answer)[3]
    areas: list[Area] = []
    for number in range(count):
        fields = _EXTENT.unpack_from(answer, _FIEMAP_HEAD.size + number * _EXTENT.size)
        start, address, length, flags = fields[0], fields[1], fields[2], fields[5]
        length = min(length, size - start) // SECTOR_BYTES * SECTOR_BYTES
        if length > 0 and not flags & _NOT_PLAIN and start % SECTOR_BYTES == 0:
            areas.append(Area(fd, start, address, length))
    return areas
