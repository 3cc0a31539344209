"""Rebalancing: it owns moving replicas until the disks are equally full, as a job.

The plan is made anew from what is there each time, so a rebalance that was cancelled or killed
goes on with the same command; what has moved is not moved again.
"""

from __future__ import annotations

from typing import Any

from base.errors import DrystoneError
from fsd.documents.models import DiskFill, RebalancePlan
from fsd.engine.drain import REBALANCE, each
from fsd.format.errors import CancelledError, FsdError
from fsd.planning.balance import Fill, Move, Placed, level_of, plan_moves
from fsd.replicas.replicate import COPIES_AT_ONCE_MAX
from fsd.running.engine_core import EngineCore
from fsd.store.job import Job
from fsd.store.store import Store


def plan(store: Store) -> RebalancePlan:
    """Tell what a rebalance would move, and how full every disk is before and after."""
    fills, moves = _plan(store)
    gained = {fill.disk_id: 0 for fill in fills}
    for move in moves:
        gained[move.source] -= move.length_bytes
        gained[move.target] += move.length_bytes
    return RebalancePlan(
        moves=len(moves),
        move_bytes=sum(move.length_bytes for move in moves),
        level=level_of(fills),
        disks=tuple(
            DiskFill(
                name=store.disks.disks[fill.disk_id].name,
                stored_bytes=fill.stored_bytes,
                fill=fill.stored_bytes / max(1, fill.capacity_bytes),
                fill_after=(fill.stored_bytes + gained[fill.disk_id]) / max(1, fill.capacity_bytes),
            )
            for fill in fills
        ),
    )


def rebalance(engine: EngineCore) -> Job:
    """Start moving replicas from the fullest disks to the emptiest."""

    def work(job: Job) -> dict[str, Any]:
        job.phase = "planning"
        engine.seal_and_project(job)
        _, moves = _plan(engine.store)
        job.total_files = len(moves)
        job.total_bytes = sum(move.length_bytes for move in moves)
        job.phase = "moving"
        run = _Run(engine, job)
        each(moves, run.move, COPIES_AT_ONCE_MAX)
        return {"moved": run.moved, "skipped": run.skipped, "incomplete": run.skipped > 0}

    return engine.start_job(REBALANCE, "", work, subject="the balance of the disks")


def _plan(store: Store) -> tuple[list[Fill], list[Move]]:
    spaces = {space.disk_id: space for space in store.disks.spaces()}
    same = store.config.store.allow_same_device
    domains = {i: i if same else space.failure_domain for i, space in spaces.items()}
    stored = dict.fromkeys(spaces, 0)
    with store.lock:
        shards = [shard for shard in store.shards.state.shards.values() if shard.sealed]
    placed: list[Placed] = []
    for shard in shards:
        for disk_id in shard.disks:
            stored[disk_id] = stored.get(disk_id, 0) + shard.length_bytes
        # What is not whole is the reconciler's: a move must never be what lowers the copies.
        if store.sound_copies(shard.shard_id) >= store.config.copies(shard.class_name):
            held = {disk_id: domains.get(disk_id, disk_id) for disk_id in shard.disks}
            placed.append(Placed(shard.shard_id, shard.length_bytes, held))
    fills = [
        Fill(i, stored[i], space.free_bytes, domains[i])
        for i, space in spaces.items()
        if space.eligible
    ]
    return fills, plan_moves(fills, placed)


class _Run:
    """The moves of one rebalance, done and left out."""

    def __init__(self, engine: EngineCore, job: Job) -> None:
        self._engine = engine
        self._job = job
        self.moved = 0
        self.skipped = 0

    def move(self, move: Move) -> None:
        """Carry out one move, unless the disks have changed meanwhile so that it makes no sense."""
        self._job.check()
        disks = self._engine.store.disks.disks
        source, target = disks[move.source], disks[move.target]
        try:
            if not (target.takes_replicas and source.takes_replicas):
                raise FsdError(f"{source.name} or {target.name} is not in use any more")
            vacate = self._engine.replicator.vacate
            copied = vacate(move.shard_id, source, self._job, target)
        except CancelledError:
            raise
        except DrystoneError as error:
            self.skipped += 1
            self._job.report({"shard": move.shard_id, "reason": str(error)})
            return
        self.moved += 1
        self._job.advance(1, 0 if copied else move.length_bytes)
