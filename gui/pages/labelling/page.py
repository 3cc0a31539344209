"""The list of labelling: it owns what is shown of the runs that ask people."""

from __future__ import annotations

from gui.pages.runs.desk import READING, RunDesk
from gui.pages.runs.words import many
from gui.reading.desk import Desk
from gui.reading.label_desk import Standing
from gui.reading.poller import Poller
from gui.widgets.blocks import ago, badge, box, card, empty, fill_bar, link, metric, table, text
from gui.widgets.frame import HOME_OF_LABELLERS, Place, add_place, frame, page, visitor
from gui.widgets.live import live
from gui.widgets.words import state_tone

GROUP = "Data"
SLOWNESS = 1.5
_KINDS = {"classification": "classes", "boxes": "boxes"}


def register(desk: Desk, work: RunDesk) -> None:
    """Add the page."""
    add_place(Place("Labelling", HOME_OF_LABELLERS, "l", "labeller", GROUP))

    @page(desk, HOME_OF_LABELLERS, "labeller")
    async def labelling() -> None:
        name = visitor().name
        lead = "What people are asked. Every answer is kept at once; nobody gets the same twice."
        poller = await work.follow(
            "labelling", "The list of labelling", desk.labels.standings, SLOWNESS
        )
        with frame(desk, "Labelling", lead):
            live(poller, _runs_of, lambda runs: _show(runs, name), "stack wide")


def _runs_of(poller: Poller) -> tuple[Standing, ...]:
    return poller.value(READING) or ()


def _show(runs: tuple[Standing, ...], name: str) -> None:
    if not runs:
        empty(
            "Nobody is asked anything yet.",
            "Start an action of type AC5 over a batch, and its questions appear here.",
            "drystone run start ua_2 --set action=human_classification",
        )
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
            label = "Go on" if own else "Start labelling"
            link(label, f"{HOME_OF_LABELLERS}/{run.run.event_id}", "button primary")
            text(
                f"{_KINDS[run.kind]}, {many(run.labellers_wanted, 'answer')} for each task", "hint"
            )
        if run.labellers:
            table(
                ("Labeller", ">Answers", ">Skipped", "Last"),
                [
                    (one.name, f"{one.answers:,}", f"{one.skips:,}", ago(one.last_time))
                    for one in run.labellers
                ],
                "Who answered",
            )


def _show_ended(runs: list[Standing]) -> None:
    with card("Ended"):
        table(
            ("Question", "Action", "State", ">Tasks", ">Results", "Agreement", "Begun"),
            [
                (
                    run.question,
                    run.run.action,
                    lambda run=run: badge(run.run.state, state_tone(run.run.state)),
                    f"{run.report.complete:,} of {run.report.tasks:,}",
                    f"{run.report.results:,}",
                    agreement_of(run),
                    ago(run.run.start_time),
                )
                for run in runs
            ],
            "Labelling that has ended",
        )


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
