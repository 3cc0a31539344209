"""One life of a read child: it owns the process, its arena and its slots, and what a ticket is.

Memory that a hung child may still write into is never handed out again: every life has an arena of
its own, which the last memoryview on it frees.
"""

import mmap
import os
import socket
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from base.processes.process import APPLICATION_ROOT
from fsd.mount.reading.protocol import (
    LARGE_SLOT_BYTES,
    SMALL_PAYLOAD_BYTES_MAX,
    SMALL_SLOT_BYTES,
    payload_span,
)

SMALL_SLOTS = 16
LARGE_SLOTS = 8
ARENA_BYTES = SMALL_SLOTS * SMALL_SLOT_BYTES + LARGE_SLOTS * LARGE_SLOT_BYTES


class Child(Protocol):
    """The read child a ticket was given to, see `child.ReadChild`."""

    suspect: bool

    def send_waiting(self) -> None:
        """Send queued tickets while there are free slots."""
        ...


class Customer(Protocol):
    """Who asked for blocks; each ticket ends in `deliver` or `refuse`."""

    done: bool

    def deliver(self, ticket: "Ticket", data: bytes | memoryview) -> None:
        """Take verified payload bytes."""
        ...

    def refuse(self, ticket: "Ticket", error_number: int) -> None:
        """Take a failure: the child's errno, or EPIPE when the child died."""
        ...

    def hedge(self, ticket: "Ticket") -> None:
        """Hear that this ticket is late."""
        ...

    def drop(self) -> None:
        """Give up delivered bytes and free their slot, because another read needs it."""
        ...


@dataclass(slots=True, eq=False)
class Ticket:
    """One request to one child, from the queue until its answer."""

    customer: Customer
    child: "Child"
    path: str
    shard_id: bytes
    key: bytes
    record_offset: int
    length_bytes: int
    first_block: int
    block_count: int
    asked_s: float = 0.0
    hedged: bool = False
    slot: int = -1
    life: "Incarnation | None" = None

    @property
    def span_bytes(self) -> int:
        """Return how many payload bytes are asked for."""
        start, end = payload_span(self.length_bytes, self.first_block, self.block_count)
        return end - start

    @property
    def large(self) -> bool:
        """Return whether the answer stays in its slot; small answers are copied out."""
        return self.span_bytes > SMALL_PAYLOAD_BYTES_MAX

    def free(self) -> None:
        """Give the slot back to the life it belongs to."""
        if self.life is not None:
            self.life.free_slot(self)


@dataclass(slots=True, eq=False)
class Incarnation:
    """One life of the child process, with the arena that dies with it."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    arena: memoryview
    small_free: list[int]
    large_free: list[int]
    sent: dict[int, Ticket] = field(default_factory=dict[int, Ticket])
    leased: "OrderedDict[Ticket, None]" = field(default_factory=OrderedDict["Ticket", None])
    answered_s: float = 0.0

    def take_slot(self, large: bool) -> int:
        """Return the arena offset of a free slot, or -1; the oldest read window may be evicted."""
        if not large:
            return self.small_free.pop() if self.small_free else -1
        if not self.large_free and self.leased:
            next(iter(self.leased)).customer.drop()
        return self.large_free.pop() if self.large_free else -1

    def free_slot(self, ticket: Ticket) -> None:
        """Take a slot back. Last in, first out: the same few pages of the arena stay warm."""
        self.leased.pop(ticket, None)
        if ticket.slot >= 0:
            (self.large_free if ticket.large else self.small_free).append(ticket.slot)
            ticket.slot = -1


def spawn() -> Incarnation:
    """Start a read child; OSError when the machine cannot."""
    arena_fd = os.memfd_create("drystone-mount", os.MFD_CLOEXEC)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.ftruncate(arena_fd, ARENA_BYTES)
        arena = mmap.mmap(arena_fd, ARENA_BYTES)
        numbers = [str(number) for number in (theirs.fileno(), arena_fd, ARENA_BYTES)]
        process = subprocess.Popen(
            [sys.executable, "-m", "fsd.mount.reading.reader", *numbers],
            pass_fds=(theirs.fileno(), arena_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # `-m` looks in the working directory first: our own package, installed or not.
            cwd=APPLICATION_ROOT,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(arena_fd)
    ours.setblocking(False)
    large_start = SMALL_SLOTS * SMALL_SLOT_BYTES
    small_slots = [number * SMALL_SLOT_BYTES for number in range(SMALL_SLOTS)]
    large_slots = [large_start + number * LARGE_SLOT_BYTES for number in range(LARGE_SLOTS)]
    return Incarnation(process, ours, memoryview(arena), small_slots, large_slots)
