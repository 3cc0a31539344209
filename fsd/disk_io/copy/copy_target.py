"""Parts of copies being written: it owns that no byte counts that the disk did not give back.

    create  a part file with all its room                  (no sync: a part that is lost is no loss)
    write   at its place, a digest of each window kept in memory
    sync    fdatasync: what was written until then may be proven
    prove   read back from the disk, past the page cache -> compare with the digests
    finish  all of it proven -> closed; the rename that makes it a replica is `adopt_part`

Runs in a disk process, in one lane, which reads for copies too: whatever the disk does for copies
it does one after the other, in long runs. A sync takes the head to the journal and back, so many
megabytes are proven at once, and nothing is synced that the rename makes durable anyway.
"""

import contextlib
import ctypes
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash

from fsd.disk_io.shard_file import (
    FALLOCATE_KEEP_SIZE,
    WINDOW_BYTES,
    Step,
    open_direct,
    read_full,
    write_full,
)
from fsd.format.errors import CorruptError, DiskError, FsdError

_libc = ctypes.CDLL(None, use_errno=True)


class _Window(NamedTuple):
    """Bytes that were written and not read back yet."""

    offset: int
    length_bytes: int
    digest: bytes


@dataclass(slots=True)
class _Part:
    """A part file: its descriptor, its final length, what of it is proven.

    Of the windows that are not, the first ones are synced. What could not be synced never counts.
    """

    fd: int
    length_bytes: int
    proven_bytes: int = 0
    synced: int = 0
    unsyncable: bool = False
    unproven: deque[_Window] = field(default_factory=deque[_Window])


class CopyTargets:
    """The parts that a disk's process writes; used by the thread of one lane."""

    def __init__(self, slots: list[memoryview], step: Step, path_of: Callable[[str], str]) -> None:
        self._slots = slots
        self._step = step
        self._path_of = path_of
        self._scratch = memoryview(mmap.mmap(-1, WINDOW_BYTES))
        self._parts: dict[str, _Part] = {}

    def create(self, shard_id: str, length: int) -> None:
        """Begin the part of a shard of this length, in place of a former one."""
        self.drop(shard_id)
        path = self._path_of(shard_id)
        # What is made here is durable with the rename: `adopt_part` syncs the folders.
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = open_direct(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._parts[shard_id] = _Part(fd, length)
        # In one piece where the filesystem can; where it cannot, writing finds out.
        _libc.fallocate(fd, FALLOCATE_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(length))

    def write(self, shard_id: str, offset: int, slot: int, size: int) -> None:
        """Write slot bytes."""
        part, view = self._part(shard_id), self._slots[slot][:size]
        for start in range(0, size, WINDOW_BYTES):
            piece = view[start : start + WINDOW_BYTES]
            # Noted first: what fails half way is never proven.
            digest = xxhash.xxh3_128_digest(piece)
            part.unproven.append(_Window(offset + start, len(piece), digest))
            write_full(part.fd, piece, offset + start, self._step)

    def prove(self, shard_id: str, size: int) -> None:
        """Read back `size` bytes or a few more, those that were written first.

        Everything that was written is synced before, unless these are already. Raises OSError,
        CorruptError when the disk returns other bytes, and FsdError after a sync has failed: one
        that is tried again may succeed although the kernel has dropped the pages.
        """
        part = self._part(shard_id)
        end = part.proven_bytes + size
        while part.unproven and part.proven_bytes < end:
            if part.unsyncable:
                raise FsdError(f"the copy of shard {shard_id} could not be synced")
            if not part.synced:
                # Barrier: a crash before this, and before the rename that follows the last one,
                # leaves a part file at most, which the next start removes.
                part.unsyncable = True
                os.fdatasync(part.fd)
                part.unsyncable = False
                self._step()
                part.synced = len(part.unproven)
            window = part.unproven[0]
            view = self._scratch[: window.length_bytes]
            count = read_full(part.fd, view, window.offset, self._step)
            if count != len(view) or xxhash.xxh3_128_digest(view) != window.digest:
                place = f"at {window.offset}"
                raise CorruptError("the disk returned other bytes than were written", place)
            part.unproven.popleft()
            part.synced -= 1
            part.proven_bytes += window.length_bytes

    def finish(self, shard_id: str) -> None:
        """Close a part that is proven to its end; FsdError when it is not."""
        part = self._part(shard_id)
        size = os.fstat(part.fd).st_size
        if part.unproven or not part.proven_bytes == part.length_bytes == size:
            raise FsdError(f"the copy of shard {shard_id} is not proven to its end")
        os.close(self._parts.pop(shard_id).fd)

    def drop(self, shard_id: str) -> None:
        """Remove a part that nobody goes on with; no error when there is none."""
        part = self._parts.pop(shard_id, None)
        if part is not None:
            os.close(part.fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path_of(shard_id))

    def _part(self, shard_id: str) -> _Part:
        part = self._parts.get(shard_id)
        if part is None:
            # Asked for by somebody who took it for the process before; no system call failed.
            raise DiskError(f"this process has begun no copy of shard {shard_id}")
        return part


# ---- Parts that run ------------------------------------------------------------------------------
# Which parts are being written on one disk: it owns telling them from what was left of copies.
#
# A disk's process knows of all parts that it writes, from before their file is made until they are
# replicas or removed; the others were left by a process that is no more. Parts are made, finished
# and removed by several lanes, and a disk's files are compared with the catalog while copies to it
# run.


class RunningParts:
    """The ids of the shards whose parts somebody writes; any thread may call its methods."""

    def __init__(self) -> None:
        # Guards the ids, also while a leftover goes: nobody begins its part meanwhile. Innermost.
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    def begin(self, shard_id: str) -> None:
        """Note that a part is going to be made; waits for its leftover to be removed."""
        with self._lock:
            self._ids.add(shard_id)

    def end(self, shard_id: str) -> None:
        """Note that nobody goes on with a part: it is a replica, or its file is removed."""
        with self._lock:
            self._ids.discard(shard_id)

    def remove_leftover(self, shard_id: str, remove: Callable[[], None]) -> None:
        """Call `remove` unless somebody writes the part, and let nobody begin it meanwhile."""
        with self._lock:
            if shard_id not in self._ids:
                remove()
