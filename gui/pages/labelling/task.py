"""A labeller's page: it owns the head above the work, and what is said when a run has ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from gui.pages.labelling.page import agreement_of
from gui.pages.labelling.work import LabelWork, add_label_style
from gui.pages.runs.desk import READING, RunDesk
from gui.reading.desk import Desk
from gui.reading.label_desk import Standing
from gui.reading.poller import Poller
from gui.widgets.blocks import badge, box, empty, fill_bar, link, text
from gui.widgets.frame import HOME_OF_LABELLERS, frame, page
from gui.widgets.live import live


def register(desk: Desk, work: RunDesk) -> None:
    """Add the page."""

    @page(desk, HOME_OF_LABELLERS + "/{event_id}", "labeller")
    async def label(event_id: Annotated[int, Path(ge=1, lt=2**63)]) -> None:
        standing = await desk.work(desk.labels.standing, event_id)
        if not standing.is_open:
            with frame(desk, standing.question[:120]):
                _show_end(standing)
            return
        poller = await work.follow(
            f"labelling-{event_id}", "This labelling", lambda: desk.labels.standing(event_id)
        )
        add_label_style()
        with frame(desk, standing.question[:120]), box("label-page"):
            with box("label-head"):
                link("All labelling", HOME_OF_LABELLERS, "button small")
                live(poller, _figures_of, _show_figures, "label-figures")
            LabelWork(
                f"{HOME_OF_LABELLERS}/{event_id}",
                standing.question,
                standing.kind,
                standing.classes,
            )


def _show_end(standing: Standing) -> None:
    report = standing.report
    empty(
        f"This labelling is {standing.run.state}.",
        f"{report.complete:,} of {report.tasks:,} tasks are complete, {report.results:,} results "
        "were written. Answers do not count any more.",
    )
    link("All labelling", HOME_OF_LABELLERS)


def _figures_of(poller: Poller) -> tuple[int, int, int, str, bool]:
    standing: Standing = poller.value(READING)
    report = standing.report
    return (
        report.complete, report.tasks, report.disputed, agreement_of(standing), standing.is_open,
    )  # fmt: skip


def _show_figures(figures: tuple[int, int, int, str, bool]) -> None:
    complete, tasks, disputed, agreement, is_open = figures
    words = f"{complete:,} of {tasks:,}"
    fill_bar(complete / tasks if tasks else 0.0, f"{words} complete")
    text(words)
    text(f"agreement {agreement}")
    if disputed:
        badge(f"{disputed:,} disputed", "warn")
    if not is_open:
        badge("this labelling has ended", "info")
