"""Room on the SSD: four areas of one partition, their quotas, measured usage and reservations.

It owns the four folders and the arithmetic of who may still start. It never writes into an area,
deletes from it, or stops a job: a running job that meets ENOSPC is its caller's business.

How bytes are counted once
    A job reserves its expected bytes and reports with `consume` how many of them it has written so
    far, after writing them. Two counts follow from that:

    The partition is asked (statvfs) at the moment of the question, and so already shows every
    written byte. Of a reservation it still has to hold size - consumed.

    An area is measured by a walk, some time ago. A walk that began after a `consume` has met those
    bytes (the kernel counts delayed allocations at once), so when it is done they are `measured`,
    and the area still has to hold size - measured. Between the two they stay in the reservation.
    What is written and not reported is counted twice until it is: too careful, never too generous.

    A reservation that is released while some consumed bytes are not measured yet stays behind with
    just these ("settling") until a walk that began after the release is done.

Reservations live in memory: after a restart every job that resumes reserves what it still has to
write. Sizes are what the files occupy; a caller with many small files rounds each up to a block.
"""

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from base.errors import ConfigError
from fsd.format.errors import QuotaError

AREA_NAMES = {"3a": "inbox", "3b": "outbox", "3c": "stage", "3d": "exports"}
_BLOCK_SIZE_BYTES = 512  # the unit of st_blocks, whatever the filesystem's own blocks are

State = Literal["ok", "warn", "refuse", "emergency"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Fill levels, 0-1, of an area's quota and of the partition (bytes, and inodes)."""

    warn: float = 0.80
    refuse: float = 0.90
    emergency: float = 0.95

    def state(self, fill: float) -> State:
        """The state at a fill level; a level that is reached counts."""
        if fill >= self.emergency:
            return "emergency"
        if fill >= self.refuse:
            return "refuse"
        return "warn" if fill >= self.warn else "ok"


@dataclass(frozen=True, slots=True)
class Reservation:
    """The room a job was promised: `size_bytes` and `files` of one area, named by `id`."""

    id: str
    area: str
    size_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a walk found: bytes allocated, files, and folders it was not allowed to look into."""

    used_bytes: int = 0
    files: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class AreaUsage:
    """An area as last measured. `quota_bytes` 0 is none; `measured` False means never so far.

    `reserved_bytes` is what reservations still hold beyond `used_bytes`, and counts in `state`;
    `refuses` says that what lies there is so much alone that nothing more is promised; an empty SSD
    would promise `limit_bytes` at most.
    """

    area: str
    path: Path
    quota_bytes: int
    used_bytes: int
    files: int
    reserved_bytes: int
    state: State
    refuses: bool
    limit_bytes: int
    measured: bool
    unreadable: int


@dataclass(frozen=True, slots=True)
class PartitionState:
    """The partition as df computes it: fill = used / (used + available to us), now.

    `inode_fill` is 0 on filesystems that make inodes as needed; `state` is the worse of the two.
    """

    used_bytes: int
    available_bytes: int
    fill: float
    inodes_used: int
    inodes_available: int
    inode_fill: float
    state: State


@dataclass(slots=True)
class _Hold:
    """A reservation's progress; see the module's docstring for what each count means."""

    reservation: Reservation
    job_id: str
    consumed_bytes: int = 0
    consumed_files: int = 0
    measured_bytes: int = 0
    folder: Path | None = None
    released: bool = False

    def unmeasured_bytes(self) -> int:
        promised_bytes = 0 if self.released else self.reservation.size_bytes
        return max(0, max(promised_bytes, self.consumed_bytes) - self.measured_bytes)

    def unwritten(self) -> tuple[int, int]:
        if self.released:
            return 0, 0
        reservation = self.reservation
        return (
            max(0, reservation.size_bytes - self.consumed_bytes),
            max(0, reservation.files - self.consumed_files),
        )


class Areas:
    """The four areas below `ssd_root`. Thread-safe; no method holds the lock while it walks.

    `quotas` maps 3a, 3b, 3c, 3d to bytes, 0 or absent is none. Makes missing area folders, not
    `ssd_root` itself: where that is missing the SSD is not mounted. Raises ConfigError for an
    unknown area, a negative quota, thresholds out of order, or areas on different filesystems.
    """

    def __init__(
        self,
        ssd_root: Path,
        quotas: Mapping[str, int],
        thresholds: Thresholds = Thresholds(),
    ) -> None:
        _check_configuration(quotas, thresholds)
        self.thresholds = thresholds
        self.quotas = {area: quotas.get(area, 0) for area in AREA_NAMES}
        self.paths = {area: ssd_root / area for area in AREA_NAMES}
        for path in self.paths.values():
            path.mkdir(exist_ok=True)
        if len({path.stat().st_dev for path in self.paths.values()}) != 1:
            raise ConfigError(f"the areas of {ssd_root} must lie on one filesystem")
        self._root = ssd_root
        # Guards usage and holds, never held while an area is walked. Innermost.
        self._lock = threading.Lock()
        # Held for the walk of an area, one at a time. Before `_lock`.
        self._walking = {area: threading.Lock() for area in AREA_NAMES}
        self._usage: dict[str, Usage] = {}
        self._holds: dict[str, _Hold] = {}
        # Waits for bytes that are on their way out; False when there are none.
        self.make_room: Callable[[], bool] = lambda: False

    def reserve(
        self, area: str, job_id: str, size_bytes: int, files: int, *, patient: bool = True
    ) -> Reservation:
        """Promise room for `size_bytes` in `files` files, or raise QuotaError saying what to do.

        An area with a quota that was never measured is measured first, which takes as long as its
        walk. One job may hold several reservations (one for each part). Who finds no room waits for
        what was released and is not gone yet, unless not `patient`.
        """
        self._path(area)
        if size_bytes < 0 or files < 0:
            raise ValueError(f"a reservation is not negative: {size_bytes} bytes, {files} files")
        if self.quotas[area] and area not in self._usage:
            self.measure(area)
        try:
            return self._promise(area, job_id, size_bytes, files)
        except QuotaError:
            if not patient or not self.make_room():
                raise
        return self._promise(area, job_id, size_bytes, files)

    def _promise(self, area: str, job_id: str, size_bytes: int, files: int) -> Reservation:
        with self._lock:
            asked = f"job {job_id} asks for {size_bytes:,} bytes in {files:,} files"
            self._check_quota(area, size_bytes, asked)
            self._check_partition(size_bytes, files, asked)
            reservation = Reservation(uuid.uuid4().hex, area, size_bytes, files)
            self._holds[reservation.id] = _Hold(reservation, job_id)
            return reservation

    def consume(
        self, reservation_id: str, size_bytes: int | None = None, files: int | None = None
    ) -> None:
        """Report what is written of a reservation so far: totals, so that repeating is harmless.

        Without numbers: all of it. Call it after the writes. A lower total than before is ignored,
        as is a reservation that was released.
        """
        with self._lock:
            hold = self._holds.get(reservation_id)
            if hold is None or hold.released:
                return
            total = hold.reservation
            hold.consumed_bytes = max(
                hold.consumed_bytes, total.size_bytes if size_bytes is None else size_bytes
            )
            hold.consumed_files = max(hold.consumed_files, total.files if files is None else files)

    def release(self, reservation_id: str) -> None:
        """Give back what was not consumed; idempotent. Call `consume` first for output that stays.

        After a failure the job's files are removed first, then this is called; what had been
        consumed goes on counting until the next measurement.
        """
        with self._lock:
            hold = self._holds.get(reservation_id)
            if hold is not None:
                hold.released = True
                if hold.unmeasured_bytes() == 0:
                    del self._holds[reservation_id]

    def watch(self, reservation_id: str, folder: Path) -> None:
        """Let every measurement count what lies in a folder as consumed of a reservation.

        For folders that others write into and report nothing about.
        """
        with self._lock:
            hold = self._holds.get(reservation_id)
            if hold is not None:
                hold.folder = folder

    def measure(self, area: str) -> Usage:
        """Walk an area and remember what it occupies; one walk of an area at a time.

        Whatever lies there counts, also what others put there: allocated blocks of files and
        folders, hard links once, links not followed, other mounts not entered.
        """
        path = self._path(area)
        with self._walking[area]:
            self._consume_watched(area)
            with self._lock:
                holds = [h for h in self._holds.values() if h.reservation.area == area]
                seen = [(hold, hold.consumed_bytes, hold.released) for hold in holds]
            usage = _walk(path)
            with self._lock:
                self._usage[area] = usage
                for hold, consumed_bytes, released in seen:
                    hold.measured_bytes = consumed_bytes
                    if released:
                        self._holds.pop(hold.reservation.id, None)
            return usage

    def usage(self) -> list[AreaUsage]:
        """All areas in order, as last measured; an area never measured shows 0 used."""
        with self._lock:
            return [self._area_usage(area) for area in AREA_NAMES]

    def partition_state(self) -> PartitionState:
        """The partition now. Cheap (one statvfs)."""
        return _partition_state(self._root, self.thresholds)

    def _consume_watched(self, area: str) -> None:
        with self._lock:
            holds = [h for h in self._holds.values() if h.reservation.area == area]
            watched = [(h.reservation.id, h.folder) for h in holds if h.folder is not None]
        for reservation_id, folder in watched:
            try:
                found = _walk(folder)
            except FileNotFoundError:  # It was released meanwhile.
                continue
            self.consume(reservation_id, found.used_bytes, found.files)

    def _path(self, area: str) -> Path:
        if area not in self.paths:
            raise ValueError(f"there is no area {area!r}, only {', '.join(AREA_NAMES)}")
        return self.paths[area]

    def _area_usage(self, area: str) -> AreaUsage:
        usage, quota_bytes = self._usage.get(area, Usage()), self.quotas[area]
        holds = [h for h in self._holds.values() if h.reservation.area == area]
        reserved_bytes = sum(hold.unmeasured_bytes() for hold in holds)
        return AreaUsage(
            area=area,
            path=self.paths[area],
            quota_bytes=quota_bytes,
            used_bytes=usage.used_bytes,
            files=usage.files,
            reserved_bytes=reserved_bytes,
            state=self._state(usage.used_bytes + reserved_bytes, quota_bytes),
            # Not by what is reserved: a job may promise itself its output first, then its input.
            refuses=self._state(usage.used_bytes, quota_bytes) in ("refuse", "emergency"),
            limit_bytes=min(quota_bytes or self._partition_limit(), self._partition_limit()),
            measured=area in self._usage,
            unreadable=usage.unreadable,
        )

    def _state(self, size_bytes: int, quota_bytes: int) -> State:
        return self.thresholds.state(size_bytes / quota_bytes) if quota_bytes else "ok"

    def _partition_limit(self) -> int:
        found = self.partition_state()
        return int((found.used_bytes + found.available_bytes) * self.thresholds.refuse)

    def _check_quota(self, area: str, size_bytes: int, asked: str) -> None:
        usage = self._area_usage(area)
        if not usage.quota_bytes:
            return
        free_bytes = max(0, usage.quota_bytes - usage.used_bytes - usage.reserved_bytes)
        if not usage.refuses and size_bytes <= free_bytes:
            return
        raise QuotaError(
            f"area {area} ({AREA_NAMES[area]}): {asked}, but {free_bytes:,} are free of its quota "
            f"of {usage.quota_bytes:,} ({usage.used_bytes:,} used, {usage.reserved_bytes:,} "
            f"reserved, state {usage.state}); remove finished work from {usage.path}, wait for "
            "running jobs, ask for less, or raise the quota"
        )

    def _check_partition(self, size_bytes: int, files: int, asked: str) -> None:
        state = self.partition_state()
        unwritten = [hold.unwritten() for hold in self._holds.values()]
        promised_bytes = size_bytes + sum(pair[0] for pair in unwritten)
        promised_files = files + sum(pair[1] for pair in unwritten)
        fill = _fill(state.used_bytes, state.available_bytes, promised_bytes)
        inode_fill = _fill(state.inodes_used, state.inodes_available, promised_files)
        limit = self.thresholds.refuse
        if state.state != "emergency" and max(fill, inode_fill) <= limit:
            return
        raise QuotaError(
            f"the partition of {self._root}: {asked}, which with all reservations would fill it to "
            f"{fill:.1%} of its bytes and {inode_fill:.1%} of its inodes; the limit for new jobs: "
            f"{limit:.0%} (now {state.available_bytes:,} bytes available, state {state.state}); "
            "free room on it, wait for running jobs, or ask for less"
        )


def _check_configuration(quotas: Mapping[str, int], thresholds: Thresholds) -> None:
    unknown = sorted(set(quotas) - set(AREA_NAMES))
    if unknown:
        raise ConfigError(f"unknown areas {unknown}: they are {', '.join(AREA_NAMES)}")
    if any(quota < 0 for quota in quotas.values()):
        raise ConfigError("an area's quota is a number of bytes, or 0 for none")
    if not 0 < thresholds.warn <= thresholds.refuse <= thresholds.emergency <= 1:
        raise ConfigError("the thresholds must satisfy 0 < warn <= refuse <= emergency <= 1")


def _fill(used: int, available: int, more: int = 0) -> float:
    total = used + available
    return (used + more) / total if total else 0.0


def _partition_state(root: Path, thresholds: Thresholds) -> PartitionState:
    found = os.statvfs(root)
    used_bytes = (found.f_blocks - found.f_bfree) * found.f_frsize
    available_bytes = found.f_bavail * found.f_frsize
    fill = _fill(used_bytes, available_bytes)
    inodes_used, inodes_available = found.f_files - found.f_ffree, found.f_favail
    inode_fill = _fill(inodes_used, inodes_available)
    state = thresholds.state(max(fill, inode_fill))
    return PartitionState(
        used_bytes, available_bytes, fill, inodes_used, inodes_available, inode_fill, state
    )


def _walk(root: Path) -> Usage:
    """Sum up a folder, itself included. Entries that vanish meanwhile are left out."""
    found = root.lstat()
    device, blocks, files, unreadable = found.st_dev, found.st_blocks, 0, 0
    linked: set[int] = set()
    pending = [os.fspath(root)]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except FileNotFoundError:
            continue
        except PermissionError:
            unreadable += 1
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_dev != device or status.st_ino in linked:
                    continue
                blocks += status.st_blocks
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    continue
                files += 1
                if status.st_nlink > 1:
                    linked.add(status.st_ino)
    return Usage(blocks * _BLOCK_SIZE_BYTES, files, unreadable)
