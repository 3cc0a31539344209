"""What lies along a film or a sound: segments of results and of sources, and key frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nicegui.element import Element

from gui.widgets.blocks import clean
from gui.widgets.explorer_routes import picture_of
from sql import ExploredNode

MOMENTS_MAX = 1_000
"""So many are sent to a browser; what comes after is left out."""
LABEL_LENGTH_MAX = 120
KEY_FRAME = "key frame"
_SPANS = (("start_s", "end_s", 1.0), ("start_ms", "end_ms", 0.001), ("start", "end", 1.0))
"""Columns that say from when to when, and how many seconds their unit is."""
_LABELS = ("label", "text", "speaker", "class", "title")
_TIME = re.compile(r"(\d{1,7}(?:\.\d{1,6})?) s")

Row = Mapping[str, Any]


class Strip(Element, component="../../static/film_strip.js"):
    """Shows moments under the player that stands before it; a press on one seeks it there."""

    def __init__(self, moments: list[dict[str, Any]], duration_s: float) -> None:
        super().__init__()
        self.props["moments"] = moments
        self.props["duration"] = duration_s


def is_key_frame(row: Row) -> bool:
    """Tell whether a row of a node's children is that of a key frame."""
    return row["relationship"] == KEY_FRAME


def moments_of(
    declared: Mapping[str, Sequence[Row]], frames: Iterable[ExploredNode]
) -> list[dict[str, Any]]:
    """Return segments and key frames by when they begin, in seconds, with their layer and label.

    A row of a declared table is a segment when it says from when to when; a child that is called
    `12.5 s` is the frame at that time.
    """
    moments: list[dict[str, Any]] = []
    for table, rows in declared.items():
        kind, _, name = table.partition("_")
        layer = name if kind == "result" else f"from {name}"
        for row in rows:
            span = _span_of(row)
            if span is not None:
                label = next((row[one] for one in _LABELS if row.get(one)), "")
                told = clean(str(label))[:LABEL_LENGTH_MAX]
                moments.append({"layer": layer, "label": told, "start": span[0], "end": span[1]})
    for frame in frames:
        time = _TIME.fullmatch(frame.title or "")
        if time is not None:
            picture = picture_of(frame.key, frame.media_type, extension=frame.extension)
            moments.append({"layer": KEY_FRAME, "label": "", "start": float(time[1]),
                            "end": None, "picture": picture})  # fmt: skip
    moments.sort(key=lambda one: one["start"])
    return moments[:MOMENTS_MAX]


def duration_of(declared: Mapping[str, Sequence[Row]], moments: list[dict[str, Any]]) -> float:
    """Return how long a film or sound is in seconds, as far as anybody has said; else 0."""
    said = [
        float(row["duration_s"])
        for rows in declared.values()
        for row in rows
        if isinstance(row.get("duration_s"), int | float)
    ]
    ends = [one["end"] or one["start"] for one in moments]
    return max([*said, *ends], default=0.0)


def _span_of(row: Row) -> tuple[float, float] | None:
    for start, end, unit in _SPANS:
        span = row.get(start), row.get(end)
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in span):
            begin, until = (float(one) * unit for one in span if one is not None)
            if 0 <= begin <= until < float("inf"):
                return begin, until
    return None
