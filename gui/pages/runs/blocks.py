"""What the pages of runs share: it owns their style sheet."""

from __future__ import annotations

import functools
import os

from nicegui import ui

_PATH = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "static",
    "runs.css",
)


def add_run_style() -> None:
    """Add the style sheet to the current page."""
    ui.add_head_html(f'<link rel="stylesheet" href="/static/runs.css?{_version()}">')


@functools.cache
def _version() -> int:
    return int(os.stat(_PATH).st_mtime)
