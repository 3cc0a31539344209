"""The list of labelling: it owns what is shown of the runs that ask people."""

from __future__ import annotations

import functools

from gui.pages.labelling.question import ask_people
from gui.reading.desk import Desk
from gui.reading.labelling import Standing
from gui.widgets.blocks import ago, box, button, card, empty, fill_bar, link, many, metric, text
from gui.widgets.frame import HOME_OF_LABELLERS, Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

_KINDS = {"classification": "classes", "boxes": "boxes"}


def read_labelling(desk: Desk) -> tuple[Standing, ...]:
    """Read how far each labelling is; blocks."""
    return desk.labels.standings()


def build(view: View) -> None:
    """Build the page."""
    if view.may("operator"):
        with box("row"):
            button("Ask people something new", functools.partial(ask_people, view.desk), "primary")
    view.live(functools.partial(_show, view.desk, visitor().name), classes="stack wide")


PAGE = Page(
    "Labelling", HOME_OF_LABELLERS, "labeller", "Data", read=read_labelling, build=build,
    slowness=1.5, key="l", place=2,
    lead="What people are asked. Every answer is kept at once; nobody gets the same twice.",
)  # fmt: skip


def _show(desk: Desk, name: str, runs: tuple[Standing, ...]) -> None:
    if not runs:
        empty(
            "Nobody is asked anything yet.",
            "An operator asks people something new, about what was chosen in the explorer.",
        )
        if visitor().may("operator"):
            with box("row"):
                button("Ask the first question", functools.partial(ask_people, desk), "primary")
                link("Choose files for it", "/explorer", "button")
        return
    for run in runs:
        if run.is_open:
            _show_open(run, name)
    ended = [run for run in runs if not run.is_open]
    if ended:
        _show_ended(ended)


def _show_open(run: Standing, name: str) -> None:
    report = run.report
    with card(run.question, f"{run.run.action}, batch {run.run.action_batch_id}"):
        share = report.complete / report.tasks if report.tasks else 0.0
        words = f"{report.complete:,} of {report.tasks:,} complete"
        fill_bar(share, words, "good" if report.complete == report.tasks else "")
        with box("metrics"):
            metric("Complete", f"{report.complete:,}", f"of {report.tasks:,} tasks")
            metric("Agreement", agreement_of(run), kappa_of(run))
            metric("Disputed", f"{report.disputed:,}", "complete, without a majority",
                   "warn" if report.disputed else "")  # fmt: skip
            own = next((one for one in run.labellers if one.name == name), None)
            metric("You", f"{own.answers:,}" if own else "0",
                   f"{own.skips:,} skipped" if own else "answered so far")  # fmt: skip
        with box("row"):
            if not run.people or name in run.people:
                label = "Go on" if own else "Start labelling"
                link(label, f"{HOME_OF_LABELLERS}/{run.run.event_id}", "button primary")
            if run.people:
                text(f"It asks {', '.join(run.people)}.", "hint")
            text(
                f"{_KINDS[run.kind]}, {many(run.labellers_wanted, 'answer')} for each task", "hint"
            )
        if run.labellers:
            cols = (
                Col("Labeller", "name"),
                Col(">Answers", "answers"),
                Col(">Skipped", "skips"),
                Col("Last", "last_time", ago),
            )
            table(run.labellers, cols, "Who answered")


def _show_ended(runs: list[Standing]) -> None:
    cols = (
        Col("Question", "question"),
        Col("Action", lambda one: one.run.action),
        Col("State", lambda one: state_badge(one.run.state)),
        Col(">Tasks", lambda one: f"{one.report.complete:,} of {one.report.tasks:,}"),
        Col(">Results", lambda one: one.report.results),
        Col("Agreement", agreement_of),
        Col("Begun", lambda one: ago(one.run.start_time)),
    )
    with card("Ended"):
        table(runs, cols, "Labelling that has ended")


def agreement_of(run: Standing) -> str:
    """Return how far people agree, in words."""
    percent = run.report.agreement.percent
    return "unknown" if percent is None else f"{percent:.0f} %"


def kappa_of(run: Standing) -> str:
    """Return agreement beyond chance, in words; nothing where there is none."""
    found = run.report.agreement
    if found.cohen_kappa is not None:
        return f"Cohen's kappa {found.cohen_kappa:.2f}"
    if found.fleiss_kappa is not None:
        return f"Fleiss' kappa {found.fleiss_kappa:.2f}"
    return "it takes two people on one task"
