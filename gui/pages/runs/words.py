"""Runs and tasks in words: it owns how a run is called, and what its states mean to a person.

Pure; it reads the documents of workflows as they are written and never changes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from base.text import duration_text
from gui.widgets.blocks import Tone

TITLE_LENGTH_MAX = 120
_STATES = {
    "waiting_gpu_ready": "waits for GPU",
    "waiting_approval": "waits for approval",
    "waiting_space": "waits for space",
    "waiting_labels": "waits for labels",
}
WORKFLOW_TITLES = {
    "ua_1": "Bring a folder in",
    "ua_2": "Run an action",
    "ua_3": "Build a dataset",
    "inbox": "Look into the inbox",
    "backup": "Back up the database",
    "scrub": "Verify the disks",
    "audit": "Compare database and store",
}
_NAMING = ("batch", "action", "dataset", "definition", "name", "folder", "method")
"""Parameters by which a person knows a request, the first one that it has."""


def state_words(state: str) -> str:
    """Return a state of a run or a task as it is shown."""
    return _STATES.get(state, state)


def tone_of(state: str) -> Tone:
    """Return the tone of a state of a run or a task."""
    # Here, for the face of the pages loads them all, and they come here for their words.
    from gui.widgets.words import state_tone

    return "warn" if state in _STATES else state_tone(state)


def workflow_title(name: str) -> str:
    """Return what a workflow does, in a few words; its name where nobody found any."""
    return WORKFLOW_TITLES.get(name, name)


def run_title(workflow: str, parameters: Mapping[str, Any]) -> str:
    """Return what a run is about, such as `ua_2 image_probe, batch 7`."""
    named = next((parameters[name] for name in _NAMING if parameters.get(name)), "")
    title = f"{workflow} {named}" if isinstance(named, str | int) and named else workflow
    if parameters.get("action_batch_id"):
        title += f", batch {parameters['action_batch_id']}"
    return title if len(title) <= TITLE_LENGTH_MAX else title[: TITLE_LENGTH_MAX - 1] + "…"


def duration(begin: datetime | None, end: datetime | None, now: datetime | None = None) -> str:
    """Return how long something took, or takes by now; empty before it began."""
    if begin is None:
        return ""
    return duration_text(max(0.0, ((end or now or datetime.now(UTC)) - begin).total_seconds()))


def many(count: int, word: str) -> str:
    """Return a count with its word, in the plural where there are not just one."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def first_line(text: str | None, length_max: int = 240) -> str:
    """Return the first line of a reason, cut."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= length_max else line[: length_max - 1] + "…"
