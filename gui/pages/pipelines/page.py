"""Pipelines and batches: it owns the board, a column for each stage, a card for each batch."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gui.pages.pipelines.new import ask_for_batch, ask_for_pipeline
from gui.reading.desk import Desk
from gui.widgets.blocks import (
    attributes,
    badge,
    box,
    button,
    card,
    empty,
    fill_bar,
    link,
    many,
    short_time,
    text,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.view import View
from gui.widgets.words import state_badge

BATCHES_SHOWN = 60
PIPELINES_OFFERED = 4


class Line(NamedTuple):
    """A pipeline; `is_auto` when its batches go on by themselves."""

    name: str
    actions: tuple[str, ...]
    is_auto: bool


class BoardReading(NamedTuple):
    """Pipelines with their actions in order, and the cards of all of them."""

    pipelines: tuple[Line, ...]
    cards: tuple[Any, ...]


def read_board(desk: Desk) -> BoardReading:
    """Read pipelines and the newest batches; blocks."""
    from adapters.actions import declared_pipelines

    database = desk.database()
    pipelines = tuple(
        Line(name, tuple(stage.action for stage in one.stages), one.advance == "auto")
        for name, one in declared_pipelines(database).items()
    )
    return BoardReading(pipelines, tuple(database.run_summary.board(BATCHES_SHOWN)))


def build(view: View) -> None:
    """Build the page."""
    if view.may("operator"):
        with box("row"):
            button("Make a batch", functools.partial(ask_for_batch, view.desk), "primary")
            button("Write a pipeline", functools.partial(ask_for_pipeline, view.desk))
    view.live(_show_board, classes="stack wide")


PAGE = Page(
    "Pipelines", "/pipelines", "viewer", "Work", read=read_board, build=build, slowness=4.0,
    title=lambda _: "Pipelines and batches", key="p", place=3,
    lead="Sealed batches that were put into a pipeline, and where each of them stands.",
)  # fmt: skip


def _show_board(board: BoardReading) -> None:
    if not board.pipelines:
        with card("Pipelines"):
            empty("No pipeline yet.", "It is actions in a line: each batch goes through them. An "
                  "operator writes one above.")  # fmt: skip
    for name, actions, is_auto in board.pipelines:
        how = "each begins by itself" if is_auto else "each begins when somebody says so"
        with card(name, f"{many(len(actions), 'stage')}, {how}"):
            _show_columns(name, actions, [one for one in board.cards if one.pipeline == name])
    _show_loose(board)


def _show_columns(name: str, actions: tuple[str, ...], cards: list[Any]) -> None:
    with attributes(box("board"), tabindex="0", role="region", aria_label=f"Board of {name}"):
        for stage_id, action in enumerate(actions, 1):
            here = [one for one in cards if one.stage_id == stage_id]
            _show_column(f"{stage_id} {action}", here, name, action)
        _show_column("Done", [one for one in cards if one.stage_id is None], name, "")


def _show_column(title: str, cards: list[Any], pipeline: str, action: str) -> None:
    with box("board-column", "section"):
        with box("row spread"):
            text(title, tag="h3")
            text(f"{len(cards):,}", "hint")
        for one in cards:
            _show_card(one, pipeline, action)
        if not cards:
            text("none", "empty-line")


def _show_card(one: Any, pipeline: str, action: str) -> None:
    with box("batch-card"):
        _card_head(one)
        if action:
            share = one.nodes_done / one.nodes if one.nodes else 0.0
            fill_bar(share, f"batch {one.action_batch_id} is {share:.0%} through {action}")
            text(f"{one.nodes_done:,} of {one.nodes:,} nodes through {action}", "hint")
            if one.last_state != "open" and one.seal_date and visitor().may("operator"):
                _start_link(f"Start {action}", one.action_batch_id, pipeline)
        else:
            text(f"all {one.nodes:,} nodes through all stages", "hint")


def _card_head(one: Any) -> None:
    with box("row spread"):
        link(f"Batch {one.action_batch_id}", f"/pipelines/batch/{one.action_batch_id}")
        badge("sealed" if one.seal_date else "open", "good" if one.seal_date else "warn")
    when = f"sealed {short_time(one.seal_date)}" if one.seal_date else "still being filled"
    text(when, "hint")
    if one.run_id is not None:
        with box("row"):
            text("its last run:", "hint")
            link(f"run {one.run_id}", f"/runs/{one.run_id}")
            state_badge(one.run_state if one.last_state == "open" else one.last_state)


def _show_loose(board: BoardReading) -> None:
    loose = [one for one in board.cards if not one.pipeline]
    with card("Batches in no pipeline", f"{len(loose):,}"):
        if not loose:
            empty("None of the newest.", "An action over a selector seals a batch of its own.")
            return
        with box("loose"):
            for one in loose:
                with box("batch-card"):
                    _card_head(one)
                    text(f"{one.nodes:,} nodes", "hint")
                    if one.seal_date and visitor().may("operator"):
                        for line in board.pipelines[:PIPELINES_OFFERED]:
                            _start_link(f"Begin {line.name}", one.action_batch_id, line.name)
                        _start_link("Run an action", one.action_batch_id, "")


def _start_link(label: str, action_batch_id: int, pipeline: str) -> None:
    query = {"action_batch_id": str(action_batch_id)} | ({"pipeline": pipeline} if pipeline else {})
    link(label, f"/scheduler/start/ua_2?{urlencode(query)}", "button small")
