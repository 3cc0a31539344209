"""One disk's process: it owns every system call on that disk, never a decision.

Operations run in lanes: `write` (groups), `catalog`, `extract` (segments of exports),
`read` (windows, scans, verification), `copy` (whole shards, from here and to here), `scrub`,
`foreground` (single reads) and `watch`. Whose request goes to the disk next is said in
`queue_rule`. Paths are built here from ids, never taken from outside.
"""

import contextlib
import itertools
import os
import sys
import time
from functools import partial
from typing import Any

from base.files import sync_folder
from fsd.disk_io.calibration.calibration_reads import CalibrationReads
from fsd.disk_io.catalog_file import CatalogFile
from fsd.disk_io.copy.copy_source import CopySources
from fsd.disk_io.copy.copy_target import CopyTargets, RunningParts
from fsd.disk_io.extract.extract import Failure, Item, Kept, PlainItem
from fsd.disk_io.extract.extract_requests import Extractor, Request
from fsd.disk_io.growing_shards import Group, GrowingShards
from fsd.disk_io.place.disk_epoch import (
    enter_epoch,
    heal_metadata,
    open_lock,
    read_epoch,
    take_lock,
)
from fsd.disk_io.place.disk_place import find, look, overlap
from fsd.disk_io.place.identity import check_identity, make_identity, read_identity, retire_identity
from fsd.disk_io.queue_rule import Gate, GatedStep
from fsd.disk_io.reading.blocks import BlockReader
from fsd.disk_io.reading.scan import ScanResult, holds_more, scan_shard
from fsd.disk_io.reading.scrub_pace import ScrubLane
from fsd.disk_io.reading.verify import VerifyResult, prove_records, verify_shard
from fsd.disk_io.shard_file import ReadFiles, one_turn, open_direct, read_full
from fsd.format import layout
from fsd.format.errors import DiskError, DiskRefusedError
from fsd.process.child import ChildServer, start_child

LANE_WRITE, LANE_EXTRACT, LANE_READ, LANE_WATCH, LANE_SCRUB, LANE_FOREGROUND = range(6)
LANE_COPY, LANE_CATALOG, LANE_GIVE_BACK = 6, 7, 8
COLD_S = 15.0
"""So often a disk that is in use is asked for its identity."""
SWEEP_BYTES_MAX = 64 << 20
"""Of groups that are written together. One of this size costs a hundred times what the way of the
head to the journal and back does; of small ones, as small disks have, that is most of the time."""
SWITCH_S = 0.0005
"""How long a thread that computes may hold the others up; 5 ms by default, half a disk read."""

LANES = {
    "look": LANE_WRITE,
    "overlap": LANE_WRITE,
    "identify": LANE_WRITE,
    "find": LANE_WRITE,
    "epoch": LANE_WRITE,
    "attach": LANE_WRITE,
    "write_group": LANE_WRITE,
    "adopt_part": LANE_WRITE,
    "remove_shard": LANE_WRITE,
    "remove_leftovers": LANE_WRITE,
    "quarantine_shard": LANE_WRITE,
    "append_catalog": LANE_CATALOG,
    "replace_catalog": LANE_CATALOG,
    "retire": LANE_WRITE,
    "extract": LANE_EXTRACT,
    "give_back": LANE_GIVE_BACK,
    "read_catalog": LANE_CATALOG,
    # With all that writes them: beside a `retire` it could write back what that had changed.
    "heal_metadata": LANE_WRITE,
    "list_shards": LANE_READ,
    "measure_quarantine": LANE_READ,
    "check": LANE_WATCH,
    "scrub": LANE_SCRUB,
    "scrub_stop": LANE_WATCH,
    "calibrate": LANE_SCRUB,
    "read_piece": LANE_FOREGROUND,
    "read_window": LANE_READ,
    "scan": LANE_READ,
    "holds_more": LANE_READ,
    "verify": LANE_READ,
    "prove": LANE_READ,
    "let_go": LANE_READ,
    "copy_begin": LANE_COPY,
    "copy_next": LANE_COPY,
    "copy_end": LANE_COPY,
    "copy_create": LANE_COPY,
    "copy_write": LANE_COPY,
    "copy_prove": LANE_COPY,
    "copy_finish": LANE_COPY,
    "copy_drop": LANE_COPY,
}


class DiskProcess:
    """The operations; arguments and answers are small, bulk bytes lie in slots or files."""

    def __init__(self, server: ChildServer, slots: list[memoryview]) -> None:
        self._slots = slots
        self._gate = gate = Gate()
        self._checked_s = self._cold_s = float("-inf")
        foreground = server.lanes[LANE_FOREGROUND]
        foreground.on_arrive, foreground.on_answer = gate.arrive, gate.answer
        self._server, self._write_lane = server, server.lanes[LANE_WRITE]
        self._write = GatedStep(self._write_lane, gate)
        self._read = GatedStep(server.lanes[LANE_READ], gate)
        self._scrub = ScrubLane(server.lanes[LANE_SCRUB], gate)
        self._copy = GatedStep(server.lanes[LANE_COPY], gate)
        self._catalog = CatalogFile(GatedStep(server.lanes[LANE_CATALOG], gate, stream=False))
        others = [*server.lanes[:LANE_WATCH], foreground, *server.lanes[LANE_COPY:]]
        self.calibrate = CalibrationReads(server.lanes[LANE_SCRUB], others, self._shard_path).run
        self._extracts = server.lanes[LANE_EXTRACT]
        self._extractor = Extractor(GatedStep(self._extracts, gate), self._upcoming_segment)
        self.give_back = self._extractor.give_back  # In a lane that never waits for the disk.
        self._files = {
            lane: ReadFiles(lambda shard_id: self._shard_path(shard_id, False))
            for lane in (LANE_READ, LANE_FOREGROUND)
        }
        self._blocks = BlockReader(self._files[LANE_FOREGROUND])
        self._growing = GrowingShards(self._write)
        sources = CopySources(slots, self._copy, lambda shard_id: self._shard_path(shard_id, False))
        self.copy_begin, self.copy_next, self.copy_end = sources.begin, sources.next, sources.end
        parts = CopyTargets(slots, self._copy, lambda shard_id: self._shard_path(shard_id, True))
        self._parts, self._running = parts, RunningParts()
        self.copy_write, self.copy_prove = parts.write, parts.prove
        self.copy_finish = parts.finish
        self.look, self.overlap, self.identify = look, overlap, make_identity
        self.find = partial(find, self._write)
        self._place = self._path = ""
        self._root_fd = self._lock_fd = -1

    def operations(self) -> dict[str, tuple[int, Any]]:
        """Return each operation with its lane, for the child's loop."""
        return {name: (lane, getattr(self, name)) for name, lane in LANES.items()}

    def attach(
        self, path: str, disk_id: str, store_id: str, epoch: int
    ) -> tuple[str, str, list[str]]:
        """Lock the disk, enter the engine's epoch; returns (failure domain, filesystem, damage).

        A disk in a later epoch was taken over by a second engine. DiskRefusedError then, and when
        it is not this very disk.
        """
        medium = check_identity(path, disk_id, store_id)
        self._lock_fd = open_lock(os.path.join(path, layout.LOCK_NAME))
        take_lock(self._lock_fd, path, self._write)
        damage = enter_epoch(path, epoch)
        # Everything goes by this descriptor: after an unmount, the folder that lies below the
        # mount point must not get a byte.
        self._root_fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._place, self._path = path, f"/proc/self/fd/{self._root_fd}"
        with contextlib.suppress(OSError):  # A read-only disk is still read from.
            os.makedirs(os.path.join(path, layout.SHARDS_NAME), mode=0o700, exist_ok=True)
        return medium.failure_domain, medium.filesystem, damage

    def epoch(self, path: str) -> int:
        """Return the epoch the disk was last entered in."""
        return read_epoch(path)

    def check(self, disk_id: str, epoch: int) -> tuple[int, int, bool]:
        """Check that the disk is still there and ours; returns (size, free, read-only).

        Raises DiskRefusedError or OSError when it vanished, died or was taken over.
        """
        moment = time.monotonic()
        idle = self._gate.last_end_s() < self._checked_s
        if idle and self._growing.written_s > moment - COLD_S:
            # A put has nothing for it just now: the head stays where it is.
            idle = not self._growing.gives_last()
        self._checked_s = moment
        here = os.path.samestat(os.stat(self._place), os.fstat(self._root_fd))
        # Cold, which takes the head there and back: rarely beside work that shows as well that
        # the disk lives. Another medium at this place is seen at once.
        if idle or moment >= self._cold_s + COLD_S:
            self._cold_s = moment
            here = here and read_identity(self._place)["disk_id"] == disk_id
        if not here:
            read_identity(self._place)  # Says so where nothing is mounted any more.
            raise DiskRefusedError(f"{self._place} holds another disk now")
        info = os.statvfs(self._place)
        readonly = bool(info.f_flag & os.ST_RDONLY)
        if read_epoch(self._place) > epoch:
            raise DiskRefusedError(f"another engine took {self._place} over")
        return info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize, readonly

    def copy_create(self, shard_id: str, length: int) -> None:
        """Begin the part of a copy; see `CopyTargets.create`."""
        self._running.begin(shard_id)
        self._parts.create(shard_id, length)

    def copy_drop(self, shard_id: str) -> None:
        """Remove the part of a copy that was given up; see `CopyTargets.drop`."""
        try:
            self._parts.drop(shard_id)
        finally:
            self._running.end(shard_id)  # What cannot be removed now is a leftover.

    def write_group(self, *asked: Any) -> None:
        """Append slot bytes to a replica that is its first writer's; see `GrowingShards`.

        `asked` is what `_group` takes. Groups that wait behind it, as long as they are small, are
        written with it and answered here.
        """
        first = self._group(*asked)
        lane, taken = self._write_lane, list[tuple[int, Group]]()
        size_bytes = len(first.view)
        while (coming := lane.peek()) is not None and coming[1] == "write_group":
            request_id, _, arguments = coming
            other = self._group(*arguments)
            size_bytes += len(other.view)
            if size_bytes > SWEEP_BYTES_MAX or not lane.take(request_id):
                break
            taken.append((request_id, other))
        try:
            error, *errors = self._growing.write([first, *(group for _, group in taken)])
        except Exception as failure:
            # Whoever waits for one of them would wait until the whole disk counts as stalled.
            error, errors = failure, [failure] * len(taken)
        for (request_id, _), other_error in zip(taken, errors, strict=True):
            self._server.answer(lane, "write_group", request_id, other_error)
        if error is not None:
            raise error

    def _group(
        self, shard_id: str, head: bytes, size: int, slot: int, offset: int, length: int, *how: bool
    ) -> Group:
        view = self._slots[slot][:length]
        return Group(self._shard_path(shard_id, False), head, size, view, offset, *how)

    def adopt_part(self, shard_id: str) -> None:
        """Turn a finished copy into a replica: one rename, durable when it returns."""
        source, target = self._shard_path(shard_id, True), self._shard_path(shard_id, False)
        self._forget(target)
        # One turn: other copies would take the head away from the journal of this disk.
        with one_turn(self._write):
            # Barrier: before the rename only a part file exists, which recovery deletes.
            os.rename(source, target)
            self._running.end(shard_id)
            folder = os.path.dirname(target)
            sync_folder(folder)
            # The folder may be as new as the file; one that is old has nothing to sync.
            sync_folder(os.path.dirname(folder))
        # It may stand in for a damaged replica: the lanes must not go on reading that one.
        for files in self._files.values():
            files.outdate(shard_id)

    def remove_shard(self, shard_id: str) -> None:
        """Delete a replica; no error when it is not there."""
        path = self._shard_path(shard_id, False)
        self._forget(path)
        _unlink(path)
        for files in self._files.values():
            files.outdate(shard_id)

    def remove_leftovers(self, shard_ids: list[str]) -> None:
        """Delete those parts that nobody writes: copies of a former process, which is no more."""
        for shard_id in shard_ids:
            self._write()
            path = self._shard_path(shard_id, True)
            self._running.remove_leftover(shard_id, lambda path=path: _unlink(path))

    def quarantine_shard(self, shard_id: str) -> None:
        """Move a file that is not a catalogued replica aside; nothing is deleted."""
        path = self._shard_path(shard_id, False)
        self._forget(path)
        folder = os.path.join(self._path, layout.QUARANTINE_NAME)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        target = os.path.join(folder, os.path.basename(path))
        copies = itertools.count(2)
        while os.path.lexists(target):
            target = os.path.join(folder, f"{os.path.basename(path)}.{next(copies)}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, target)

    def append_catalog(self, frames: bytes) -> None:
        """Append frames (a multiple of 4 KiB) to the catalog, durable when it returns."""
        self._catalog.append(self._catalog_path(), frames)

    def replace_catalog(self, log: bytes) -> None:
        """Put a log in the place of the catalog, durable when it returns."""
        self._catalog.replace(self._catalog_path(), log)

    def _catalog_path(self) -> str:
        if not self._path:
            raise DiskRefusedError("this process has not attached its disk yet")
        return os.path.join(self._path, layout.CATALOG_NAME)

    def retire(self) -> None:
        """Write into the identity file that the disk is used no more."""
        retire_identity(self._path)

    def read_catalog(self, whole: bool = False) -> bytes:
        """Return the catalog log of this disk; see `CatalogFile.read`."""
        return self._catalog.read(os.path.join(self._path, layout.CATALOG_NAME), whole)

    def heal_metadata(self, epoch: int) -> list[str]:
        """Write the identity and the epoch again where damaged; returns what was."""
        return heal_metadata(self._path, epoch)

    def list_shards(self) -> tuple[dict[str, int], list[str]]:
        """Return {shard id: file size} of the replicas, and the ids of leftover part files."""
        sizes: dict[str, int] = {}
        parts: list[str] = []
        root = os.path.join(self._path, layout.SHARDS_NAME)
        for folder in os.scandir(root):
            self._read()
            for entry in os.scandir(folder.path) if folder.is_dir() else ():
                name = entry.name
                if name.endswith(layout.SHARD_SUFFIX):
                    size = entry.stat(follow_symlinks=False).st_size
                    sizes[name.removesuffix(layout.SHARD_SUFFIX)] = size
                elif name.endswith(layout.PART_SUFFIX):
                    parts.append(name.removesuffix(layout.SHARD_SUFFIX + layout.PART_SUFFIX))
        return sizes, parts

    def measure_quarantine(self) -> tuple[int, int]:
        """Return (files, bytes) of what was set aside on this disk."""
        folder = os.path.join(self._path, layout.QUARANTINE_NAME)
        try:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder)]
        except FileNotFoundError:
            return 0, 0
        return len(sizes), sum(sizes)

    def read_piece(
        self, shard_id: str, offset: int, length_bytes: int, key: bytes, piece: int
    ) -> bytes:
        """Return verified payload of one record, at most 1 MiB; see `BlockReader.read`."""
        return self._blocks.read(shard_id, offset, length_bytes, key, piece)

    def read_window(self, shard_id: str, offset: int, slot: int, start: int, length: int) -> int:
        """Read file bytes into a slot at `start`; returns how many there were."""
        fd = self._files[LANE_READ].get(shard_id)
        view = self._slots[slot][start : start + length]
        return read_full(fd, view, offset, self._read)

    def scan(self, shard_id: str, whole: bool = False) -> ScanResult:
        """Return the structure of a shard: its footer when sealed, else its valid groups.

        Both when the `whole` is asked for.
        """
        fd = self._files[LANE_READ].get(shard_id)
        return scan_shard(fd, bytes.fromhex(shard_id), self._read, whole=whole)

    def holds_more(self, shard_id: str, offset: int) -> bool:
        """Return whether there may be a committed group at an offset of a shard, or behind it."""
        fd = self._files[LANE_READ].get(shard_id)
        return holds_more(fd, bytes.fromhex(shard_id), offset, self._read)

    def verify(self, shard_id: str) -> VerifyResult:
        """Read every byte of a sealed shard and check every group, record and sha256."""
        fd = self._files[LANE_READ].get(shard_id)
        return verify_shard(fd, bytes.fromhex(shard_id), self._read)

    def prove(
        self, shard_id: str, items: list[tuple[int, int, bytes]]
    ) -> tuple[int, list[Failure]]:
        """Read records (offset, length, key) back; see `prove_records`."""
        fd = self._files[LANE_READ].get(shard_id)
        some = [Item(*item, ()) for item in items]
        return prove_records(fd, bytes.fromhex(shard_id), some, self._read)

    def let_go(self) -> None:
        """Close what was removed while this lane had it open: it keeps its space till then."""
        self._files[LANE_READ].close_outdated()

    def scrub(self, shard_id: str, rate_bytes_per_s: float) -> VerifyResult:
        """Verify beside everything else: it waits for the other lanes, and for the rate."""
        path = self._shard_path(shard_id, False)
        return self._scrub.run(path, bytes.fromhex(shard_id), rate_bytes_per_s)

    def scrub_stop(self) -> None:
        """End the scrub that runs now, if any, with a CancelledError."""
        self._scrub.stop()

    def extract(self, *asked: Any) -> Kept:
        """Write the items' verified payloads as files; `asked` is what `_segment` takes."""
        return self._extractor.run_for(self._segment(*asked))

    def _upcoming_segment(self) -> Request | None:
        """Return what `extract` will be asked for next, when that waits already."""
        found = self._extracts.peek() if self._path else None
        return self._segment(*found[2]) if found is not None and found[1] == "extract" else None

    def _segment(
        self, number: int, shard_id: str, items: list[PlainItem], target: str, hole_bytes_max: int
    ) -> Request:
        file = partial(open_direct, self._shard_path(shard_id, False), os.O_RDONLY)
        records, shard = [Item(*item) for item in items], bytes.fromhex(shard_id)
        return Request(number, file, shard, records, target, hole_bytes_max)

    def _shard_path(self, shard_id: str, part: bool) -> str:
        if not self._path:
            # Asked for by somebody who took it for the process before; below the folder that it was
            # started in there is nothing of this disk. Without an errno, for no system call failed.
            raise DiskError("this process has not attached its disk yet")
        return (layout.part_path if part else layout.shard_path)(self._path, shard_id)

    def _forget(self, path: str) -> None:
        # Readers of the other lanes keep their descriptor of a removed file: an unlinked replica
        # still has right bytes, and the engine asks for it no more.
        self._growing.forget(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def main(fds: list[int]) -> None:
    """Serve until the engine goes away, see `start_child`."""
    sys.setswitchinterval(SWITCH_S)
    server, slots = start_child(LANE_GIVE_BACK + 1, fds)
    server.serve(DiskProcess(server, slots).operations())
