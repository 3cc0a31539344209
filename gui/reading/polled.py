"""The parts that are read again and again: it owns what one reading of each holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gui.reading.poller import Part, Poller

if TYPE_CHECKING:
    from fsd import Client
    from sql import Database, Late, Standing

SLOW = 8.0
"""Counting the nodes of batches takes longer, and changes seldom."""


class StoreReading(NamedTuple):
    """What the engine says of itself; the documents are the store's (`fsd` models)."""

    health: Any
    capacity: Any
    jobs: tuple[Any, ...]
    views: tuple[Any, ...]
    rates: dict[str, tuple[float, float]]
    """By disk: bytes read and written per second since the reading before."""


def polled_parts(
    store: Client, database: Callable[[], Database], config_path: str
) -> Sequence[Part]:
    """Return all parts of a store."""

    before: dict[str, tuple[float, int, int]] = {}

    def read_store() -> StoreReading:
        health, now = store.health(), time.monotonic()
        rates: dict[str, tuple[float, float]] = {}
        for disk in health.disks:
            then, read, written = before.get(disk.disk_id, (0.0, 0, 0))
            passed_s = now - then
            if then and passed_s > 0:
                # A restarted engine counts from 0 again.
                rates[disk.name] = (
                    max(0, disk.read_bytes - read) / passed_s,
                    max(0, disk.written_bytes - written) / passed_s,
                )
            before[disk.disk_id] = (now, disk.read_bytes, disk.written_bytes)
        jobs, views = tuple(store.jobs()), tuple(store.views())
        return StoreReading(health, store.capacity(), jobs, views, rates)

    return (
        Part("store", "The engine", read_store, advice="Start it with: drystone up"),
        Part(
            "late",
            "The database",
            lambda: database().overview.late(),
            advice="Start it with: drystone up",
        ),
        Part(
            "redis",
            "Redis",
            lambda: _ask_redis(config_path),
            2.0,
            advice="Start it with: drystone up; until then runs wait",
        ),
        Part("standing", "Batches", lambda: database().overview.standing(), SLOW),
        Part("scrub", "Scrub", store.scrub_status, SLOW),
    )


def _ask_redis(config_path: str) -> bool:
    from jobs import RedisUnavailableError, load_jobs_config, redis_answers

    if not redis_answers(load_jobs_config(config_path)):
        raise RedisUnavailableError("no task is handed to a worker; those that run go on")
    return True


def store_of(poller: Poller) -> StoreReading | None:
    """Return the last reading of the engine."""
    return poller.value("store")


def late_of(poller: Poller) -> Late | None:
    """Return what happened lately in the database."""
    return poller.value("late")


def standing_of(poller: Poller) -> Standing | None:
    """Return where batches stand."""
    return poller.value("standing")
