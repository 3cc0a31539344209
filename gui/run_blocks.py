"""Pieces of the pages of runs: it owns their style sheet, and buttons that outlive their section.

A section is built anew when what it shows changes. What a button of it began (a question, an act)
belongs to the page and goes on.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

from nicegui import ui

from gui import blocks

_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static", "runs.css")


def add_run_style() -> None:
    """Add the style sheet to the current page."""
    ui.add_head_html(f'<link rel="stylesheet" href="/static/runs.css?{_version()}">')


def button(
    label: str, on_click: Callable[[], Any], classes: str = "", *, hint: str = ""
) -> ui.element:
    """Show a button; see gui.blocks.button."""

    async def pressed() -> None:
        with ui.context.client:
            result = on_click()
            if inspect.isawaitable(result):
                await result

    return blocks.button(label, pressed, classes, hint=hint)


@functools.cache
def _version() -> int:
    return int(os.stat(_PATH).st_mtime)
