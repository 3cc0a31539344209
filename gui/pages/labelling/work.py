"""A labeller's work as an element: it owns its properties and its style sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nicegui import ui
from nicegui.element import Element

from gui.pages.labelling.keys import keys_of
from gui.widgets.blocks import clean

_STATIC = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "static"
)


class LabelWork(Element, component="../../static/label_work.js"):
    """Shows the tasks behind an address one by one, and sends back what is answered."""

    def __init__(self, source: str, question: str, kind: str, classes: Sequence[str]) -> None:
        super().__init__()
        self.props["source"] = source
        self.props["question"] = clean(question)
        self.props["kind"] = kind
        # As they are: an answer names its class, and it is shown as text.
        self.props["classes"] = list(classes)
        self.props["keys"] = keys_of(classes)


def add_label_style() -> None:
    """Add the style sheet to the current page."""
    version = int(os.stat(os.path.join(_STATIC, "label.css")).st_mtime)
    ui.add_head_html(f'<link rel="stylesheet" href="/static/label.css?{version}">')
