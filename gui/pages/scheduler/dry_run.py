"""What a dry run told: it owns how cost, paths, command and room are shown before anything starts.

Documents of workflows that it does not know are shown as names with values.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from gui.pages.datasets.new import show_preview
from gui.widgets.blocks import (
    attributes,
    badge,
    box,
    card,
    many,
    metric,
    notice,
    pairs,
    size,
    text,
    written,
)
from gui.widgets.tables import Col, table
from gui.widgets.words import state_tone

PATHS_SHOWN = 20
LINES_SHOWN = 20
REST_MAX = 100
"""So many values of a document that nobody knows are shown."""
_OWN = ("workflow", "parameters", "steps")
_ACTION = (
    "action", "nodes", "nodes_done", "size_bytes", "parts", "staged_files", "staged_bytes",
    "output_bytes_max", "children_max", "children_bytes_max", "paths", "left_out", "command",
    "room", "missing",
)  # fmt: skip
_RUNNERS = {"python": "python; the worker's interpreter stands in front"}
_ROOM = {"fits": "fits", "waits": "waits for space", "never": "does not fit"}


def show_dry_run(report: Mapping[str, Any]) -> None:
    """Show what would happen, and what it would cost."""
    told = {name: value for name, value in report.items() if name not in _OWN}
    with card("Dry run", "nothing has been started"):
        if "room" in told and "nodes" in told:
            _show_action(told)
            told = {name: value for name, value in told.items() if name not in _ACTION}
        if "report" not in told:
            _show_rest(told)
        steps = [str(step) for step in report.get("steps", ())]
        text("Steps: " + " → ".join(steps), "hint")
    if "report" in told:
        _show_dataset(told)


def is_impossible(report: Mapping[str, Any]) -> str:
    """Return why it could never be done; nothing when it could."""
    room: Mapping[str, Any] = report.get("room") or {}
    return str(room.get("reason") or "it does not fit") if room.get("verdict") == "never" else ""


# ---- An action -----------------------------------------------------------------------------------


def _show_action(told: Mapping[str, Any]) -> None:
    room: Mapping[str, Any] = told.get("room") or {}
    verdict = str(room.get("verdict"))
    words, tone = _ROOM.get(verdict, "nothing is staged"), state_tone(verdict)
    with box("metrics"):
        done = told.get("nodes_done") or 0
        metric("Nodes to do", f"{told['nodes']:,}", f"{done:,} are done already" if done else "")
        metric("Input", size(told.get("size_bytes") or 0), many(told.get("parts") or 0, "part"))
        metric("Files staged", f"{told.get('staged_files', 0):,}",
               size(told.get("staged_bytes") or 0))  # fmt: skip
        metric("Output at most", size(told.get("output_bytes_max") or 0), "reserved in the stage")
        if told.get("children_max") is not None:
            bytes_max = told.get("children_bytes_max")
            metric("Children at most", f"{told['children_max']:,}",
                   size(bytes_max) if bytes_max is not None else "")  # fmt: skip
        needed = room.get("needed_bytes")
        metric("Room in the stage", words, f"a part needs {size(needed)}" if needed else "", tone)
    if room.get("reason"):
        notice(str(room["reason"]), "bad" if room.get("verdict") == "never" else "warn")
    if told.get("missing"):
        notice("It would fail on this machine. A worker elsewhere may have what it needs.", "bad",
               str(told["missing"]))  # fmt: skip
    if told.get("command"):
        _show_command(told["command"])
    _show_paths(told.get("paths") or ())
    _show_left_out(told.get("left_out") or ())


def _show_command(command: Mapping[str, Any]) -> None:
    text("Exact command of the first part", tag="h3")
    line = shlex.join(str(word) for word in command.get("argv", ()))
    written(line, "Exact command")
    runner = str(command.get("runner", ""))
    environment: Mapping[str, Any] = command.get("environment_set") or {}
    rows = [
        ("Runner", _RUNNERS.get(runner, runner)),
        ("Works in", str(command.get("cwd", ""))),
        ("Reads", str(command.get("input_root", ""))),
        ("Writes", str(command.get("output_root", ""))),
        ("Ends after", f"{float(command.get('timeout_s') or 0):,.0f} s"),
        *([("Image", str(command["image"]))] if command.get("image") else []),
        *([("Environment", ", ".join(map(str, environment)))] if environment else []),
    ]
    pairs(rows)


def _show_paths(paths: Sequence[Any]) -> None:
    if not paths:
        return
    shown = [_path(one) for one in paths[:PATHS_SHOWN]]
    cols = (
        Col("Node", lambda one: one[0]),
        Col("Path", lambda one: text(one[1], "mono small")),
    )
    with attributes(box(tag="details"), open=False):
        text(f"Paths in the stage, the first {len(shown)}", "summary", "summary")
        table(shown, cols, "Paths in the stage")


def _path(one: Any) -> tuple[str, str]:
    node, path = (one[0], one[1]) if isinstance(one, list | tuple) else (one.get("node_id"), one)
    return "listing" if node is None else str(cast("object", node)), str(path)


def _show_left_out(left_out: Sequence[Any]) -> None:
    reasons: dict[str, int] = {}
    for one in left_out:
        reason = str(one.get("reason", "") if isinstance(one, dict) else one[-1])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        notice(f"{count:,} nodes would be left out: {reason}", "warn")


def _show_dataset(told: Mapping[str, Any]) -> None:
    from datasets import Preview

    show_preview(Preview.model_validate(told))


# ---- Any other -----------------------------------------------------------------------------------


def _show_rest(told: Mapping[str, Any]) -> None:
    """Show figures as figures, lines as lines, and all else as names with values."""
    figures = {
        name: value
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if figures:
        with box("metrics"):
            for name, value in figures.items():
                words = size(value) if name.endswith("_bytes") else f"{value:,}"
                metric(name.replace("_", " ").capitalize(), words)
    other = {name: value for name, value in told.items() if name not in figures}
    for name, value in other.items():
        if isinstance(value, str | bool):
            pairs([(name.replace("_", " ").capitalize(), str(value))])
        elif isinstance(value, list):
            _show_lines(name, cast("list[Any]", value))
        elif value:
            text(_words(name), tag="h3")
            pairs(list(islice(_leaves(value), REST_MAX)))


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is said in a document: names with values, those of inner ones with both names."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves(inner, f"{name}, {_words(key).lower()}" if name else _words(key))
    elif isinstance(value, list | tuple):
        inner = cast("Sequence[object]", value)
        if any(isinstance(one, dict | list) for one in inner):
            for number, one in enumerate(inner, 1):
                yield from _leaves(one, f"{name} {number}".strip())
        elif inner:
            yield name, ", ".join(map(str, inner))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, size(value) if name.endswith("bytes") else f"{value:,}"
    elif value is not None and value != "":
        yield name, str(value)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _show_lines(name: str, lines: list[Any]) -> None:
    if not lines:
        return
    with box("row"):
        text(name.replace("_", " ").capitalize(), tag="h3")
        badge(f"{len(lines):,}", "warn" if name == "problems" else "")
    for line in lines[:LINES_SHOWN]:
        has_names = isinstance(line, dict | list)
        told = "; ".join(map(": ".join, _leaves(line))) if has_names else str(line)
        text(told, "reason", "p")
    if len(lines) > LINES_SHOWN:
        text(f"and {len(lines) - LINES_SHOWN:,} more", "hint")
