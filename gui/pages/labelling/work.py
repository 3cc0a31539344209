"""A labeller's work as an element: it owns its properties."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui.element import Element

from gui.pages.labelling.keys import keys_of
from gui.widgets.blocks import clean


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
