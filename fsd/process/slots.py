"""Shared buffers: it owns a fixed set of memory slots that all child processes see.

A slot is a memfd that every child inherits and maps, so bulk bytes never cross a pipe: the packer
fills a slot, the disk processes write it out, a reader fills it back. A slot belongs to whoever
acquired it until it is released; one that is lent to a process which may still touch it becomes
free only when that process has answered or is known to be dead.
"""

import mmap
import os
import queue
import threading
import weakref

from fsd.format.errors import FsdError

ACQUIRE_TIMEOUT_S = 600.0


class Slot:
    """One shared buffer: `number` names it to the children, `view` is this process's mapping."""

    def __init__(self, number: int, fd: int, size_bytes: int) -> None:
        self.number = number
        self.fd = fd
        self.size_bytes = size_bytes
        self.map = mmap.mmap(fd, size_bytes)
        self.view = memoryview(self.map)
        self.lent = 0
        self.released = True
        # At the latest with the slot: an engine that ends in a process that goes on closes nothing.
        self.close = weakref.finalize(self, os.close, fd)


class SlotPool:
    """All slots of an engine; `acquire` waits for a free one."""

    def __init__(self, count: int, size_bytes: int) -> None:
        self.slots = [_make_slot(number, size_bytes) for number in range(count)]
        self._free: queue.LifoQueue[Slot] = queue.LifoQueue()
        # Guards `lent` and `released` of all slots. After `Child._lock`; innermost.
        self._lock = threading.Lock()
        for slot in reversed(self.slots):
            self._free.put(slot)

    @property
    def fds(self) -> list[int]:
        """Return the descriptors that a child inherits, in slot order."""
        return [slot.fd for slot in self.slots]

    def acquire(self, timeout_s: float = ACQUIRE_TIMEOUT_S) -> Slot:
        """Return a free slot, waiting for one; FsdError when none comes in time."""
        try:
            slot = self._free.get(timeout=timeout_s)
        except queue.Empty:
            raise FsdError("no transfer buffer came free; a disk may hang (see health)") from None
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
            slot.map.close()
            slot.close()


def _make_slot(number: int, size_bytes: int) -> Slot:
    fd = os.memfd_create(f"drystone-slot-{number}", os.MFD_CLOEXEC)
    os.ftruncate(fd, size_bytes)
    return Slot(number, fd, size_bytes)


def map_slots(fds: list[int]) -> list[memoryview]:
    """Map inherited slots in a child process."""
    return [memoryview(mmap.mmap(fd, os.fstat(fd).st_size)) for fd in fds]
