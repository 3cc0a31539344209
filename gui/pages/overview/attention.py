"""What needs a person: it owns the list, the worst first, each line with one thing to press."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from gui.pages.runs.words import run_title
from gui.reading.polled import late_of, standing_of, store_of
from gui.reading.poller import Poller
from gui.widgets.blocks import Tone, attributes, box, first_line, link, many, text
from gui.widgets.frame import HOME_OF_LABELLERS, visitor
from gui.widgets.words import state_tone
from sql import Late, LateRun

LINES_SHOWN = 12
_ORDER: tuple[Tone, ...] = ("bad", "warn", "info")
_ACCEPTED = ("same-device", "smart-off")
"""What is so since the store was set up, and stays on the page of the store."""
FAILED_FOR_S = 86_400.0
_GATES = ("Open gates", "/gates")
_NUMBERS = re.compile(r"[0-9]+")


class Line(NamedTuple):
    """One thing to look at, and where that is done."""

    tone: Tone
    message: str
    advice: str
    label: str
    target: str


def attention_of(poller: Poller) -> tuple[Line, ...]:
    """Return what needs a person, from the last readings."""
    lines = [*_of_store(poller), *_of_database(poller)]
    return tuple(sorted(lines, key=lambda line: _ORDER.index(line.tone)))


def _of_store(poller: Poller) -> list[Line]:
    store = store_of(poller)
    if store is None:
        return []
    return [
        Line(state_tone(one.severity), one.message, one.advice, "Open storage", "/storage")
        for one in store.health.warnings
        if one.code not in _ACCEPTED
    ]


def _of_database(poller: Poller) -> list[Line]:
    late, standing = late_of(poller), standing_of(poller)
    lines: list[Line] = []
    if late is not None:
        lines += [*_failures(late), *_waiting(late)]
        lines += [
            Line(
                "bad",
                f"Ingest {one.name} stopped: {one.state_reason[:300]}",
                "put it right, then signal the batch again",
                "Look at it",
                f"/runs?{urlencode({'workflow': 'ua_1', 'q': one.name})}",
            )
            for one in late.ingest_batches
            if one.state == "stopped"
        ]
        if late.backups and late.backups[0].state != "ok":
            lines.append(
                Line("bad", f"The last backup is {late.backups[0].state}", "see why, and run one",
                     "Open backups", "/backups")
            )  # fmt: skip
        if not late.backups:
            lines.append(
                Line("warn", "The database was never backed up", "run one now", "Open backups",
                     "/backups")
            )  # fmt: skip
    if standing is not None and standing.quarantined:
        lines.append(
            Line(
                "info",
                f"{standing.quarantined:,} rows or files could not be understood",
                "drystone quarantine list says why; replay them when they can be",
                "Look at the batches",
                "/explorer",
            )
        )
    return lines


def _failures(late: Late) -> list[Line]:
    """Return the failed runs of the last day, those that failed alike as one line."""
    since = datetime.now(UTC) - timedelta(seconds=FAILED_FOR_S)
    alike: dict[tuple[str, str, str], list[LateRun]] = {}
    for run in late.runs:
        if run.state == "failed" and run.end_time is not None and run.end_time > since:
            reason = first_line(run.reason) or "no reason was given"
            title = run_title(run.workflow, run.named_by)
            found = (run.workflow, _NUMBERS.sub("#", title), _NUMBERS.sub("#", reason))
            alike.setdefault(found, []).append(run)
    lines: list[Line] = []
    for (workflow, _, _), runs in alike.items():
        newest = runs[0]
        what = run_title(workflow, newest.named_by)
        said = f"{what}: {first_line(newest.reason) or 'it failed'}"
        target, label = f"/runs/{newest.run_id}", "Look at the run"
        if len(runs) > 1:
            said = f"{len(runs)} times {said}"
            target = f"/runs?{urlencode({'state': 'failed', 'workflow': workflow})}"
            label = "Look at the runs"
        advice = "put it right, then retry: what was done stays done"
        lines.append(Line("bad", said, advice, label, target))
    return lines


def _waiting(late: Late) -> list[Line]:
    """Return what waits for a person."""
    lines: list[Line] = []
    for state, what, advice, label, target in (
        ("waiting_approval", "for an approval", "nothing of it has been copied or run yet",
         *_GATES),
        ("waiting_labels", "for people's labels", "each answer counts at once",
         "Open labelling", HOME_OF_LABELLERS),
    ):  # fmt: skip
        count = late.task_counts.get(state, 0)
        if count:
            words = f"{many(count, 'task')} {'waits' if count == 1 else 'wait'} {what}"
            lines.append(Line("warn", words, advice, label, target))
    return lines


def show_attention(lines: tuple[Line, ...]) -> None:
    """Show the list."""
    if not lines:
        text("Nothing. All is well.", "empty-line")
        return
    with box("attention"):
        for line in lines[:LINES_SHOWN]:
            with box(f"attention-line {line.tone}"):
                with box("attention-text"):
                    text(line.message)
                    text(line.advice, "hint")
                label, target = line.label, line.target
                if target == HOME_OF_LABELLERS and not visitor().may("labeller"):
                    label, target = _GATES  # It says who is waited for, too.
                attributes(link(label, target, "button small"))
    if len(lines) > LINES_SHOWN:
        text(f"and {len(lines) - LINES_SHOWN} more", "hint")
