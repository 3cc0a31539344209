"""Shared buffers: it owns a fixed set of memory slots that all child processes see.

All of them lie in one memfd that every child inherits and maps, so bulk bytes never cross a pipe:
the packer fills a slot, the disk processes write it out, a reader fills it back. A slot belongs to
whoever acquired it until it is released; one that is lent to a process which may still touch it
becomes free only when that process has answered or is known to be dead.

    memfd = head (4 KiB: number of slots, size of each) , slot *
"""

import mmap
import os
import queue
import struct
import threading
import weakref

from fsd.format.errors import FsdError

ACQUIRE_TIMEOUT_S = 600.0
HEAD_BYTES = 4096
_HEAD = struct.Struct("<QQ")


class Slot:
    """One shared buffer: `number` names it to the children, `view` is this process's mapping."""

    def __init__(self, number: int, view: memoryview) -> None:
        self.number = number
        self.view = view
        self.size_bytes = len(view)
        self.lent = 0
        self.released = True


class SlotPool:
    """All slots of an engine; `acquire` waits for a free one."""

    def __init__(self, count: int, size_bytes: int) -> None:
        self._fd = os.memfd_create("drystone-slots", os.MFD_CLOEXEC)
        # At the latest with the pool: an engine that ends in a process that goes on closes nothing.
        self._close = weakref.finalize(self, os.close, self._fd)
        os.ftruncate(self._fd, HEAD_BYTES + count * size_bytes)
        self._map = mmap.mmap(self._fd, HEAD_BYTES + count * size_bytes)
        _HEAD.pack_into(self._map, 0, count, size_bytes)
        self.slots = [Slot(number, view) for number, view in enumerate(_views(self._map))]
        self._free: queue.LifoQueue[Slot] = queue.LifoQueue()
        # Guards `lent` and `released` of all slots. After `Child._lock`; innermost.
        self._lock = threading.Lock()
        for slot in reversed(self.slots):
            self._free.put(slot)

    @property
    def fds(self) -> list[int]:
        """Return the descriptors that a child inherits, for `map_slots`."""
        return [self._fd]

    def acquire(self, timeout_s: float = ACQUIRE_TIMEOUT_S) -> Slot:
        """Return a free slot, waiting for one; FsdError when none comes in time."""
        try:
            slot = self._free.get(timeout=timeout_s)
        except queue.Empty:
            raise FsdError("no transfer buffer came free; a disk may hang (see health)") from None
        slot.released = False
        return slot

    def acquire_now(self) -> Slot | None:
        """Return a free slot, or None when there is none just now."""
        try:
            slot = self._free.get_nowait()
        except queue.Empty:
            return None
        slot.released = False
        return slot

    def lend(self, slots: tuple[Slot, ...]) -> None:
        """Note that one more process may touch the slots."""
        with self._lock:
            for slot in slots:
                slot.lent += 1

    def give_back(self, slots: tuple[Slot, ...]) -> None:
        """Note that a process has answered or died and will not touch the slots again."""
        with self._lock:
            for slot in slots:
                slot.lent -= 1
                self._free_when_unused(slot)

    def release(self, slot: Slot) -> None:
        """Return a slot; it comes free at once, or when the last borrower is done with it."""
        with self._lock:
            slot.released = True
            self._free_when_unused(slot)

    def _free_when_unused(self, slot: Slot) -> None:
        if slot.released and slot.lent == 0:
            self._free.put(slot)

    def close(self) -> None:
        """Unmap and close all slots; the children must have ended."""
        for slot in self.slots:
            slot.view.release()
        self._map.close()
        self._close()


def map_slots(fds: list[int]) -> list[memoryview]:
    """Map inherited slots in a child process; returns them in their order."""
    return [view for fd in fds for view in _views(mmap.mmap(fd, os.fstat(fd).st_size))]


def _views(memory: mmap.mmap) -> list[memoryview]:
    count, size = _HEAD.unpack_from(memory)
    starts = [HEAD_BYTES + number * size for number in range(count)]
    return [memoryview(memory)[start : start + size] for start in starts]
