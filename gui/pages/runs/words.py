"""Runs in words: it owns how a run is called.

Pure; it reads the documents of workflows as they are written and never changes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TITLE_LENGTH_MAX = 120
WORKFLOW_TITLES = {
    "ua_1": "Bring a folder in",
    "ua_2": "Run an action",
    "ua_3": "Build a dataset",
    "inbox": "Look into the inbox",
    "backup": "Back up the database",
    "scrub": "Verify the disks",
    "audit": "Compare database and store",
    "thumbnails": "Make thumbnails",
}
_NAMING = ("batch", "action", "dataset", "definition", "name", "folder", "method")
"""Parameters by which a person knows a request, the first one that it has."""


def workflow_title(name: str) -> str:
    """Return what a workflow does, in a few words; its name where nobody found any."""
    return WORKFLOW_TITLES.get(name, name)


def run_title(workflow: str, parameters: Mapping[str, Any]) -> str:
    """Return what a run is about, such as `Run an action: image_probe, batch 7`."""
    named = next((parameters[name] for name in _NAMING if parameters.get(name)), "")
    title = workflow_title(workflow)
    if isinstance(named, str | int) and named:
        title += f": {named}"
    if parameters.get("action_batch_id"):
        title += f", batch {parameters['action_batch_id']}"
    return title if len(title) <= TITLE_LENGTH_MAX else title[: TITLE_LENGTH_MAX - 1] + "…"
