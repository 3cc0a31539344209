"""What needs a person: it owns the list, the worst first, each line with one thing to press."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from gui.reading.polled import late_of, standing_of, store_of
from gui.reading.poller import Poller
from gui.widgets.blocks import Tone, attributes, box, link, text

LINES_SHOWN = 12
_ORDER: tuple[Tone, ...] = ("bad", "warn", "info")
_TONES: dict[str, Tone] = {"critical": "bad", "warning": "warn", "info": "info"}


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
        Line(_TONES[one.severity], one.message, one.advice, "Open storage", "/storage")
        for one in store.health.warnings
    ]


def _of_database(poller: Poller) -> list[Line]:
    late, standing = late_of(poller), standing_of(poller)
    lines: list[Line] = []
    if late is not None:
        lines += [
            Line(
                "bad",
                f"Ingest {one.name} stopped: {one.state_reason[:300]}",
                "put it right, then signal the batch again",
                "Look at it",
                f"/explorer?{urlencode({'ingest_batch': one.name})}",
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
                attributes(link(line.label, line.target, "button small"))
    if len(lines) > LINES_SHOWN:
        text(f"and {len(lines) - LINES_SHOWN} more", "hint")
