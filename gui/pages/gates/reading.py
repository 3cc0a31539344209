"""What waits behind gates: it owns one reading of machines, waiting tasks and queues.

Counts come from the scheduler's tables, nodes and bytes from what the steps before told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from gui.pages.runs.words import run_title
from gui.reading.desk import Desk
from gui.widgets.blocks import first_line
from gui.widgets.explorer_routes import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sql import Database, LaneTimes

SIZED_MAX = 30
"""Of so many runs the bytes are added up."""
SAMPLES = 12


class Machine(NamedTuple):
    """One GPU machine; `since` is None when nobody has said anything about it yet."""

    host: str
    state: str
    since: datetime | None
    reason: str


class WaitRow(NamedTuple):
    """Tasks of a run that wait; nodes and bytes are None where no step told them."""

    run_id: int
    title: str
    state: str
    step: str
    tasks: int
    size_bytes: int | None
    nodes: int | None
    action_batch_id: int | None
    since: datetime
    who: str
    reason: str


class GatesReading(NamedTuple):
    """Everything that the page shows."""

    machines: tuple[Machine, ...]
    waiting: tuple[WaitRow, ...]
    queues: tuple[Any, ...]
    times: tuple[LaneTimes, ...]


class Sample(NamedTuple):
    """A node of a batch, for a look at it."""

    node_id: int
    key: str
    media_type: str
    title: str


def read_gates(desk: Desk) -> GatesReading:
    """Read what waits; blocks."""
    database = desk.database()
    known = {
        gate.host: Machine(gate.host, gate.state, gate.since, gate.reason or "")
        for gate in database.runs.gpus()
    }
    host = desk.jobs_config.gpu_host
    known.setdefault(host, Machine(host, "asleep", None, ""))
    waiting = database.run_summary.waiting()
    rows = [_row(database, one, sized=place < SIZED_MAX) for place, one in enumerate(waiting)]
    queues = tuple(database.runs.queues(desk.jobs_config.queues))
    times = tuple(database.runs.lane_times([one.queue for one in queues]))
    machines = tuple(known[name] for name in sorted(known))
    return GatesReading(machines, tuple(rows), queues, times)


def _row(database: Database, one: Any, *, sized: bool) -> WaitRow:
    size_bytes, nodes, batch = None, None, one.parameters.get("action_batch_id")
    if sized and one.workflow == "ua_2":
        size_bytes, nodes, batch = _of_action(database, one)
    return WaitRow(
        one.run_id,
        f"{run_title(one.workflow, one.parameters)} (run {one.run_id})",
        one.state,
        one.step,
        one.tasks,
        size_bytes,
        nodes,
        batch,
        one.since,
        one.requested_by or "nobody said",
        first_line(one.reason),
    )


def _of_action(database: Database, one: Any) -> tuple[int | None, int | None, int | None]:
    """Return bytes, nodes and batch of what waits, from what planning and staging told."""
    planned = database.runs.result_of(one.run_id, "plan", 0) or {}
    batch = planned.get("action_batch_id")
    if one.state == "waiting_gpu_ready":
        parts = set(one.parts)
        sizes = [
            staged.result.get("size_bytes", 0)
            for staged in database.runs.results(one.run_id, "stage")
            if staged.result and staged.part in parts
        ]
        return (sum(sizes) if sizes else None), planned.get("nodes"), batch
    if batch is None:
        return None, planned.get("nodes"), None
    return database.action_context.batch(batch).size_bytes, planned.get("nodes"), batch


def samples_of(database: Database, action_batch_id: int) -> tuple[Sample, ...]:
    """Return the first nodes of a batch; blocks."""
    with _closing(database.action_context.batch_nodes(action_batch_id)) as members:
        node_ids = [node_id for node_id, _ in islice(members, SAMPLES)]
    nodes = database.action_context.nodes(node_ids)
    names = {one.node_id: name_of(one) for one in database.explore.details(node_ids)}
    return tuple(
        Sample(one.node_id, one.key, one.media_type or "", names.get(one.node_id, ""))
        for one in (nodes[node_id] for node_id in node_ids if node_id in nodes)
        if not one.hidden
    )


@contextlib.contextmanager
def _closing(members: Iterator[tuple[int, int]]) -> Generator[Iterator[tuple[int, int]]]:
    """End a reading of which only the begin is wanted: it holds a connection."""
    try:
        yield members
    finally:
        close = getattr(members, "close", None)
        if close is not None:
            close()
