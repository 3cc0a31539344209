"""Work on the disks: it owns how the engine's jobs are shown, and which of them can be stopped.

How far a job is changes with every reading, the rows only when a job begins or ends: a button to
stop it must stay the same one while it is pressed.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from base.text import duration_text
from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.acts import act_button
from gui.widgets.blocks import card, percent, size, text
from gui.widgets.live import live
from gui.widgets.tables import Col, table
from gui.widgets.words import state_badge

JOBS_SHOWN = 12


class JobRow(NamedTuple):
    """A job as far as it stays the same; `end` is what it failed of."""

    job_id: str
    kind: str
    state: str
    about: str
    end: str


class Progress(NamedTuple):
    """How far a job is."""

    done: str
    rate: str
    eta: str
    phase: str


def show_engine_jobs(desk: Desk) -> None:
    """Show the newest jobs and keep them up to date."""
    live(desk.poller, rows_of, functools.partial(_show_rows, desk))


def rows_of(poller: Poller) -> tuple[JobRow, ...]:
    """Return the newest jobs; it changes when one begins or ends."""
    store = store_of(poller)
    jobs = sorted(store.jobs if store else (), key=lambda job: job.started, reverse=True)
    return tuple(
        JobRow(job.job_id, job.kind, job.state, job.description,
               "" if job.state == "running" else (job.error or "").partition("\n")[0])
        for job in jobs[:JOBS_SHOWN]
    )  # fmt: skip


def progress_of(poller: Poller) -> dict[str, Progress]:
    """Return how far each job is; it changes with every reading."""
    store = store_of(poller)
    return {
        job.job_id: Progress(
            percent(job.done_bytes / job.total_bytes) if job.total_bytes else "",
            f"{size(job.rate_bytes_per_s)}/s" if job.rate_bytes_per_s else "",
            duration_text(job.eta_s) if job.eta_s is not None and job.state == "running" else "",
            job.phase if job.state == "running" else "",
        )
        for job in (store.jobs if store else ())
    }


def _show_rows(desk: Desk, jobs: tuple[JobRow, ...]) -> None:
    def stop(job: JobRow) -> None:
        if job.state == "running":
            act_button(
                desk, "job.cancel", "Stop", {"job_id": job.job_id}, title="Stop this job?",
                lines=("What it has finished stays; it can be begun again.",), agree="Stop it",
                done="it was asked to stop", classes="small",
            )  # fmt: skip

    def progress(field: str, job: JobRow) -> None:
        def show(found: dict[str, Progress]) -> None:
            if job.job_id in found:
                text(getattr(found[job.job_id], field))

        live(desk.poller, progress_of, show)

    cols = (
        Col("Job", "kind"),
        Col("State", "state", state_badge),
        Col("About", "about"),
        Col(">Done", functools.partial(progress, "done")),
        Col(">Speed", functools.partial(progress, "rate")),
        Col(">Time left", functools.partial(progress, "eta")),
        Col("Phase", lambda job: job.end or progress("phase", job)),
        Col("", stop),
    )
    with card("Work on the disks", "rebuild, drain, scrub, exports and ingest of the engine"):
        table(jobs, cols, "Jobs of the engine", "Nothing is being moved.")
