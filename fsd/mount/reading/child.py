"""The mount's end of one read child: it owns what is queued and sent, and when a child is killed.

Which replica to ask, and what a failure means for a reader, is decided in `fetch`. Nothing
here waits: sending never blocks (the slots bound what is in flight) and a killed child is reaped by
polling.
"""

import errno
import logging
import os
import subprocess
import time
from collections import deque
from typing import Any

import trio

from base.logging.ids import about
from fsd.mount.reading.life import Incarnation, Ticket, spawn
from fsd.mount.reading.protocol import (
    ANSWER_BYTES,
    LARGE_SLOT_BYTES,
    SMALL_SLOT_BYTES,
    Answer,
    Request,
    pack_request,
    unpack_answer,
)

SILENCE_S_MAX = 5.0
RESPAWN_DELAY_S_MAX = 60.0

_log = logging.getLogger(__name__)


class ReadChild:
    """The read child of one disk over all its lives."""

    def __init__(self, disk_id: str, nursery: trio.Nursery) -> None:
        self.disk_id = disk_id
        self.waiting: deque[Ticket] = deque()
        self.deaths = 0
        self.suspect = False
        self._nursery = nursery
        self._life: Incarnation | None = None
        self._dying: subprocess.Popen[bytes] | None = None
        self._spawn_after_s = 0.0
        self._request_id = 0

    @property
    def load(self) -> int:
        """Return how many requests are queued or in flight."""
        return len(self.waiting) + (len(self._life.sent) if self._life else 0)

    @property
    def process_id(self) -> int | None:
        """Return the living child's process id."""
        return self._life.process.pid if self._life else None

    def tickets(self) -> list[Ticket]:
        """Return what is queued or in flight, oldest first."""
        return [*(self._life.sent.values() if self._life else ()), *self.waiting]

    def silence_s(self, ticket: Ticket, now_s: float) -> float:
        """Return for how long the child has answered nothing while this ticket waited."""
        answered_s = self._life.answered_s if self._life else 0.0
        return now_s - max(answered_s, ticket.asked_s)

    def start(self) -> bool:
        """Make sure that a child lives; False while the last one dies or the delay runs."""
        if self._life is not None:
            return True
        if self._dying is not None or time.monotonic() < self._spawn_after_s:
            return False
        try:
            self._life = spawn()
        except OSError as error:
            _log.error(
                "no read child for disk %s: %s", self.disk_id, error, extra=self._about("missing")
            )
            self._delay_spawn()
            return False
        self._nursery.start_soon(self._receive, self._life)
        return True

    def submit(self, ticket: Ticket) -> bool:
        """Queue a ticket; False when the child is not available (nothing is called then)."""
        if not self.start():
            return False
        ticket.asked_s = time.monotonic()
        self.waiting.append(ticket)
        self.send_waiting()
        return True

    def send_waiting(self) -> None:
        """Send queued tickets while there are free slots; call it after freeing one."""
        life = self._life
        while self.waiting and life is not None:
            ticket = self.waiting[0]
            if ticket.customer.done:
                self.waiting.popleft()
                continue
            ticket.slot = life.take_slot(ticket.large)
            if ticket.slot < 0:
                return
            self.waiting.popleft()
            self._send(life, ticket)

    def _send(self, life: Incarnation, ticket: Ticket) -> None:
        self._request_id += 1
        request = Request(
            self._request_id,
            ticket.slot,
            LARGE_SLOT_BYTES if ticket.large else SMALL_SLOT_BYTES,
            ticket.record_offset,
            ticket.length_bytes,
            ticket.first_block,
            ticket.block_count,
            ticket.shard_id,
            ticket.key,
            os.fsencode(ticket.path),
        )
        ticket.life = life
        life.sent[request.request_id] = ticket
        try:
            life.channel.send(pack_request(request))
        except OSError:
            # The child is gone; the receiver is told so by the same socket and fails all tickets.
            return

    async def _receive(self, life: Incarnation) -> None:
        try:
            while self._life is life:
                await trio.lowlevel.wait_readable(life.channel)
                self.drain()
        except trio.ClosedResourceError:
            return
        except Exception:
            # An answer that makes no sense: this child is not to be trusted, the mount goes on.
            _log.exception("the read child of disk %s", self.disk_id, extra=self._about("failed"))
            if self._life is life:
                self.end("answered nonsense")

    def drain(self) -> None:
        """Take every answer that has arrived; a closed socket means that the child is dead."""
        life = self._life
        while life is not None and life is self._life:
            try:
                packet = life.channel.recv(ANSWER_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if packet:
                self._take(life, unpack_answer(packet))
            else:
                self.end("died")

    def _take(self, life: Incarnation, answer: Answer) -> None:
        life.answered_s = time.monotonic()
        self.suspect = False
        ticket = life.sent.pop(answer.request_id)
        customer = ticket.customer
        data = life.arena[answer.arena_offset : answer.arena_offset + ticket.span_bytes]
        if answer.error_number == 0 and not customer.done and ticket.large:
            life.leased[ticket] = None
            customer.deliver(ticket, data)
            return
        content = bytes(data) if answer.error_number == 0 and not customer.done else b""
        life.free_slot(ticket)
        self.send_waiting()
        if answer.error_number:
            customer.refuse(ticket, answer.error_number)
        elif not customer.done:
            customer.deliver(ticket, content)

    def check(self, now_s: float) -> None:
        """Reap a dead child; kill one that has been silent for too long."""
        if self._dying is not None and self._dying.poll() is not None:
            self._dying = None
        self.drain()
        if self._life is not None and self._life.sent:
            oldest = next(iter(self._life.sent.values()))
            if self.silence_s(oldest, now_s) > SILENCE_S_MAX:
                self.end(f"has not answered for {SILENCE_S_MAX:g} s")

    def end(self, reason: str) -> None:
        """Kill the child and refuse all its tickets; it is reaped later, never waited for."""
        life, self._life = self._life, None
        if life is None:
            return
        _log.warning(
            "the read child of disk %s %s", self.disk_id, reason, extra=self._about("ended")
        )
        life.process.kill()
        trio.lowlevel.notify_closing(life.channel)
        life.channel.close()
        self._dying = life.process if life.process.poll() is None else None
        self._delay_spawn()
        orphans = [*life.sent.values(), *self.waiting]
        self.waiting.clear()
        for ticket in orphans:
            ticket.customer.refuse(ticket, errno.EPIPE)

    def _about(self, what: str) -> dict[str, Any]:
        return about(f"read_child.{what}", disk_id=self.disk_id)

    def _delay_spawn(self) -> None:
        # The first death costs nothing: the next read starts a new child. Then 1, 2, 4 ... s.
        now_s = time.monotonic()
        if now_s > self._spawn_after_s + RESPAWN_DELAY_S_MAX:
            self.deaths = 0
        self.deaths += 1
        delay_s = min(RESPAWN_DELAY_S_MAX, 2.0 ** (self.deaths - 2)) if self.deaths > 1 else 0.0
        self._spawn_after_s = now_s + delay_s

    def stop(self) -> None:
        """End the child for good, when the mount ends; wait for at most a second."""
        life, self._life = self._life, None
        process = life.process if life else self._dying
        if process is not None:
            process.kill()
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                _log.warning(
                    "the read child of disk %s does not die",
                    self.disk_id,
                    extra=self._about("hangs"),
                )
