"""A labeller's page: it owns the head above the work, and what is said when a run has ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from gui.pages.labelling.page import agreement_of
from gui.pages.labelling.work import LabelWork
from gui.reading.desk import Desk
from gui.reading.labelling import Standing
from gui.widgets.blocks import badge, box, empty, fill_bar, link, text
from gui.widgets.frame import HOME_OF_LABELLERS, Page
from gui.widgets.view import View


def read_task(desk: Desk, event_id: Annotated[int, Path(ge=1, lt=2**63)]) -> Standing:
    """Read how far a labelling is; blocks. Raises NotFoundError."""
    return desk.labels.standing(event_id)


def build(view: View) -> None:
    """Build the page."""
    standing: Standing = view.reading
    if not standing.is_open:
        _show_end(standing)
        return
    with box("label-page"):
        with box("label-head"):
            link("All labelling", HOME_OF_LABELLERS, "button small")
            view.live(_show_figures, classes="label-figures")
        LabelWork(
            f"{HOME_OF_LABELLERS}/{standing.run.event_id}",
            standing.question,
            standing.kind,
            standing.classes,
        )


PAGE = Page(
    "Labelling", HOME_OF_LABELLERS + "/{event_id}", "labeller", read=read_task, build=build,
    title=lambda standing: standing.question[:120],
)  # fmt: skip


def _show_end(standing: Standing) -> None:
    report = standing.report
    empty(
        f"This labelling is {standing.run.state}.",
        f"{report.complete:,} of {report.tasks:,} tasks are complete, {report.results:,} results "
        "were written. Answers do not count any more.",
    )
    link("All labelling", HOME_OF_LABELLERS)


def _show_figures(standing: Standing) -> None:
    report = standing.report
    complete, tasks = report.complete, report.tasks
    words = f"{complete:,} of {tasks:,}"
    fill_bar(complete / tasks if tasks else 0.0, f"{words} complete")
    text(words)
    text(f"agreement {agreement_of(standing)}")
    if report.disputed:
        badge(f"{report.disputed:,} disputed", "warn")
    if not standing.is_open:
        badge("this labelling has ended", "info")
