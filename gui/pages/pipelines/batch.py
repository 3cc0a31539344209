"""One action batch: it owns its page: seal, stages, what ran over it, and a look at its nodes."""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Path

from gui.pages.gates.approval import show_samples
from gui.pages.gates.reading import Sample, samples_of
from gui.reading.desk import Desk
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
    text,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

BatchId = Annotated[int, Path(ge=1, lt=2**63)]


class BatchReading(NamedTuple):
    """A batch, where it stands, and some of its nodes."""

    batch: Any
    state: Any
    samples: tuple[Sample, ...]


def read_batch(desk: Desk, action_batch_id: BatchId) -> BatchReading:
    """Read a batch; blocks. Raises NotFoundError."""
    database = desk.database()
    return BatchReading(
        database.action_context.batch(action_batch_id),
        database.actions.pipeline_state(action_batch_id),
        samples_of(database, action_batch_id),
    )


def build(view: View) -> None:
    """Build the page."""
    view.live(_show, classes="stack wide")


PAGE = Page(
    "Batch", "/pipelines/batch/{action_batch_id}", read=read_batch, build=build, slowness=4.0,
    title=lambda found: f"Batch {found.batch.action_batch_id}",
    lead="What an action works on; sealed for ever.",
)  # fmt: skip


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
    cols = (
        Col("Stage", "stage_id"),
        Col("Action", lambda stage: _stage_name(stage, pipeline.current_stage)),
        Col("Done", lambda stage: fill_bar(
            stage.nodes_done / nodes if nodes else 0.0,
            f"{stage.action}: {stage.nodes_done:,} of {nodes:,}",
        )),
        Col(">Nodes done", lambda stage: f"{stage.nodes_done:,} of {nodes:,}"),
    )  # fmt: skip
    with card(f"Pipeline {pipeline.pipeline}"):
        table(pipeline.stages, cols, f"Stages of {pipeline.pipeline}")


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
        cols = (
            Col("Event", "event_id"),
            Col("Action", "action"),
            Col("Status", "status", state_badge),
            Col("Begun", "start_time", at),
            Col("Ended", "end_time", at),
        )
        table(events, cols, "Events")
