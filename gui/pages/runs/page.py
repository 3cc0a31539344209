"""The list of runs: it owns the page, its filters in the address, and choosing several."""

from __future__ import annotations

import functools
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from nicegui import ui

from gui.pages.runs.acts import cancel_many, retry_many
from gui.pages.runs.filters import PERIODS, STATES, RunQuery, query_of
from gui.pages.runs.groups import GroupRow, groups_of, show_groups
from gui.pages.runs.words import WORKFLOW_TITLES, run_title
from gui.reading.desk import Desk
from gui.widgets.blocks import (
    attributes,
    box,
    button,
    card,
    clean,
    duration,
    empty,
    first_line,
    link,
    short_time,
    text,
)
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

RUNS_SHOWN = 50


class RunRow(NamedTuple):
    """One run as the list shows it."""

    run_id: int
    title: str
    state: str
    who: str
    begun: str
    took: str
    reason: str


class RunsReading(NamedTuple):
    """A page of runs, how many there are by state, and what failed for which reason."""

    query: RunQuery
    rows: tuple[RunRow, ...]
    next_before: int | None
    counts: dict[str, int]
    groups: tuple[GroupRow, ...]


def _query_of(request: Request) -> RunQuery:
    return query_of(dict(request.query_params))


def read_runs(desk: Desk, query: Annotated[RunQuery, Depends(_query_of)]) -> RunsReading:
    """Read one page of runs; blocks."""
    database, wanted = desk.database(), query.filter()
    page = database.runs.list_runs(wanted, limit=RUNS_SHOWN, before=query.before)
    failures = database.run_summary.failures(wanted)
    return RunsReading(
        query,
        tuple(_row(run) for run in page.runs),
        page.next_before,
        database.runs.run_counts(wanted),
        groups_of(failures),
    )


def _row(run: Any) -> RunRow:
    return RunRow(
        run.run_id,
        run_title(run.workflow, run.parameters),
        run.state,
        run.requested_by or "nobody said",
        short_time(run.start_time or run.create_time),
        duration(run.start_time, run.end_time) if run.end_time else "",
        first_line(run.reason),
    )


def build(view: View) -> None:
    """Build the page."""
    RunList(view)


PAGE = Page(
    "Runs", "/runs", "viewer", "Work", read=read_runs, build=build, key="r", place=2,
    lead="Everything that was asked for, the newest first.",
)  # fmt: skip


_COLS = (
    Col("Run", lambda row: link(f"{row.run_id}", f"/runs/{row.run_id}", "mono")),
    Col("What", lambda row: link(row.title, f"/runs/{row.run_id}")),
    Col("State", "state", state_badge),
    Col("By", "who"),
    Col("Begun", lambda row: text(row.begun, "nowrap")),
    Col(">Took", lambda row: text(row.took, "nowrap")),
    Col("Reason", lambda row: text(row.reason, "reason")),
)


class RunList:
    """The list in one browser: what is chosen there, and the buttons for it."""

    def __init__(self, view: View) -> None:
        self._desk, self._query = view.desk, view.reading.query
        self._may_act = view.may("operator")
        self._chosen: set[int] = set()
        self._bar: ui.element | None = None
        with card("", "", "flat"):
            view.live(self._show_states, lambda found: found.counts)
            self._show_filters()
        view.live(functools.partial(show_groups, view.desk), lambda found: found.groups)
        with card("Runs"):
            if self._may_act:
                self._bar = box("row bulk")
                self._show_bar()
            view.live(self._show_rows, lambda found: (found.rows, found.next_before))

    # ---- Filters ---------------------------------------------------------------------------------

    def _show_states(self, counts: dict[str, int]) -> None:
        with attributes(box("chips", "nav"), aria_label="States"):
            everything = self._query.changed(states=())
            _chip(f"All {sum(counts.values()):,}", everything, not self._query.states)
            for state in STATES:
                label = f"{state} {counts.get(state, 0):,}"
                _chip(label, self._query.toggled(state), state in self._query.states)

    def _show_filters(self) -> None:
        query = self._query
        with box("toolbar"):
            search = ui.input("Words in parameters, reasons, people", value=clean(query.text))
            search.props("outlined dense clearable maxlength=200").style("min-width: 260px")
            attributes(search, data_search=True)
            search.on("keydown.enter", lambda: _go(query.changed(text=str(search.value or ""))))
            search.on("clear", lambda: _go(query.changed(text="")))
            names = dict(WORKFLOW_TITLES)
            if query.workflow:
                names.setdefault(query.workflow, query.workflow)
            options = {"": "every workflow"} | {
                name: clean(f"{title} ({name})") for name, title in names.items()
            }
            workflow = ui.select(
                options, value=query.workflow, label="Workflow",
                on_change=lambda event: _go(query.changed(workflow=event.value)),
            )  # fmt: skip
            workflow.props("outlined dense options-dense").style("min-width: 190px")
            periods = {"": "any time"} | {name: words for name, (words, _) in PERIODS.items()}
            period = ui.select(
                periods, value=query.period, label="Asked for in",
                on_change=lambda event: _go(
                    query.changed(period=event.value, since="", until="")
                ),
            )  # fmt: skip
            period.props("outlined dense options-dense").style("min-width: 140px")
            for name, label in (("since", "From"), ("until", "To")):
                day = ui.input(label, value=getattr(query, name)).props("outlined dense type=date")
                day.props("stack-label")
                day.on_value_change(
                    lambda event, name=name: _go(
                        query.changed(period="", **{name: str(event.value or "")})
                    )
                )

    # ---- Choosing --------------------------------------------------------------------------------

    def _show_bar(self) -> None:
        if self._bar is None:
            return
        self._bar.clear()
        with self._bar:
            if not self._chosen:
                text("Choose runs to cancel or retry several at once.", "hint")
                return
            text(f"{len(self._chosen)} chosen", "hint")
            button("Cancel them", self._cancel, "small")
            button("Retry them", self._retry, "small")
            button("Choose none", self._clear, "small quiet")

    async def _cancel(self) -> None:
        if await cancel_many(self._desk, self._chosen):
            self._clear()

    async def _retry(self) -> None:
        if await retry_many(self._desk, self._chosen):
            self._clear()

    def _clear(self) -> None:
        self._chosen.clear()
        self._show_bar()
        ui.run_javascript("document.querySelectorAll('.choose').forEach((e) => e.checked = false)")

    def _choose(self, run_id: int, chosen: bool) -> None:
        (self._chosen.add if chosen else self._chosen.discard)(run_id)
        self._show_bar()

    def _box_of(self, row: RunRow) -> None:
        run_id = row.run_id
        made = box("choose", "input")
        attributes(made, type="checkbox", aria_label=f"Choose run {run_id}")
        if run_id in self._chosen:
            attributes(made, checked=True)
        made.on(
            "change",
            lambda event: self._choose(run_id, bool(event.args)),
            js_handler="(event) => emit(event.target.checked)",
        )

    # ---- The list --------------------------------------------------------------------------------

    def _show_rows(self, found: tuple[tuple[RunRow, ...], int | None]) -> None:
        rows, next_before = found
        if not rows:
            self._show_nothing()
        else:
            cols = _COLS
            if self._may_act:
                cols = (Col("Choose", self._box_of), *_COLS)
            table(rows, cols, "Runs")
        with box("row spread"):
            if self._query.before is not None:
                link("Newest", self._query.changed().address, "button small")
            if next_before is not None:
                older = self._query._replace(before=next_before)
                link("Older", older.address, "button small")

    def _show_nothing(self) -> None:
        if self._query == RunQuery():
            empty("Nothing has run yet.", "Start something on the page Scheduler.",
                  "drystone run start")  # fmt: skip
            if self._may_act:
                link("Start something", "/scheduler", "button primary")
        else:
            empty("No run fits these filters.", "Take one out, or look at all runs.")
            link("All runs", "/runs", "button small")


def _chip(label: str, query: RunQuery, is_on: bool) -> None:
    made = link(label, query.address, "state-chip on" if is_on else "state-chip")
    if is_on:
        attributes(made, aria_current="true")


def _go(query: RunQuery) -> None:
    ui.navigate.to(query.address)
