"""One action batch: it owns its page: seal, stages, what ran over it, and a look at its nodes."""

from __future__ import annotations

import functools
import json
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Path

from gui.pages.gates.approval import show_samples
from gui.pages.gates.reading import Sample, samples_of
from gui.pages.runs.blocks import add_run_style
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.pages.runs.words import tone_of
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import (
    at,
    badge,
    box,
    card,
    empty,
    fill_bar,
    link,
    metric,
    notice,
    size,
    table,
    text,
)
from gui.widgets.frame import frame, visitor
from gui.widgets.live import live

SLOWNESS = 4.0

BatchId = Annotated[int, Path(ge=1, lt=2**63)]


class BatchReading(NamedTuple):
    """A batch, where it stands, and some of its nodes."""

    batch: Any
    state: Any
    samples: tuple[Sample, ...]


def register(desk: Desk, runs: RunDesk) -> None:
    """Add the page."""

    @work_page(desk, "/pipelines/batch/{action_batch_id}")
    async def batch_page(action_batch_id: BatchId) -> None:
        add_run_style()
        read = functools.partial(read_batch, desk, action_batch_id)
        name = f"batch {action_batch_id}"
        poller = await runs.follow(name, name.capitalize(), read, SLOWNESS)
        with frame(desk, f"Batch {action_batch_id}", "What an action works on; sealed for ever."):
            live(poller, _reading_of, _show, "stack wide")


def read_batch(desk: Desk, action_batch_id: int) -> BatchReading:
    """Read a batch; blocks. Raises NotFoundError."""
    database = desk.database()
    return BatchReading(
        database.action_context.batch(action_batch_id),
        database.pipeline_state(action_batch_id),
        samples_of(database, action_batch_id),
    )


def _reading_of(poller: Poller) -> BatchReading:
    return poller.value(READING)


def _show(found: BatchReading) -> None:
    batch, state = found.batch, found.state
    if batch.late:
        notice(f"{batch.late:,} nodes entered after the seal; it must not be run.", "bad")
    with box("metrics"):
        metric("Nodes", f"{batch.nodes:,}", size(batch.size_bytes))
        sealed = (
            ("sealed", at(batch.seal_date), "good") if batch.seal_date else ("open", "", "warn")
        )
        metric("Seal", *sealed)  # pyright: ignore[reportArgumentType]
        made = batch.create_date.astimezone()
        metric("Made", f"{made:%Y-%m-%d}", f"{made:%H:%M:%S %Z}")
    with box("row"):
        selector = json.dumps(
            {"version": 1, "where": {"action_batch": batch.action_batch_id}}, separators=(",", ":")
        )
        link("Look at all its nodes", f"/explorer?{urlencode({'s': selector})}", "button")
        if batch.seal_date and visitor().may("operator"):
            query = urlencode({"action_batch_id": str(batch.action_batch_id)})
            link("Run an action over it", f"/scheduler/start/ua_2?{query}", "button")
    for pipeline in state.pipelines:
        _show_stages(pipeline, state.node_count)
    if not state.pipelines:
        text("In no pipeline; a run that names one puts it there.", "hint")
    _show_events(state.events)
    show_samples(found.samples)


def _show_stages(pipeline: Any, nodes: int) -> None:
    with card(f"Pipeline {pipeline.pipeline}"):
        table(
            ("Stage", "Action", "Done", ">Nodes done"),
            [
                (
                    f"{stage.stage_id}",
                    lambda stage=stage: _stage_name(stage, pipeline.current_stage),
                    lambda stage=stage: fill_bar(
                        stage.nodes_done / nodes if nodes else 0.0,
                        f"{stage.action}: {stage.nodes_done:,} of {nodes:,}",
                    ),
                    f"{stage.nodes_done:,} of {nodes:,}",
                )
                for stage in pipeline.stages
            ],
            f"Stages of {pipeline.pipeline}",
        )


def _stage_name(stage: Any, current_stage: int | None) -> None:
    with box("row"):
        text(stage.action)
        if stage.done:
            badge("done", "good")
        elif stage.stage_id == current_stage:
            badge("comes next", "info")


def _show_events(events: tuple[Any, ...]) -> None:
    with card("What ran over it"):
        if not events:
            empty("No action yet.", "It can be run as often as you like.")
            return
        table(
            ("Event", "Action", "Status", "Begun", "Ended"),
            [
                (
                    f"{one.event_id}",
                    one.action,
                    lambda one=one: badge(one.status, tone_of(one.status)),
                    at(one.start_time),
                    at(one.end_time) if one.end_time else "",
                )
                for one in events
            ],
            "Events",
        )
