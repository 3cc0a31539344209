"""Tables: records in rows, and columns that say what of a record is shown, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gui.widgets.blocks import attributes, box, clean, text


@dataclass(frozen=True, slots=True)
class Col:
    """A column; a heading that starts with `>` aligns right.

    `cell` names a field of the record, or is called with the record, inside its cell: what it
    returns is shown as text, unless it has built elements there. `shown` makes words of a field.
    """

    heading: str
    cell: str | Callable[[Any], object]
    shown: Callable[[Any], object] | None = None


def table(
    rows: Iterable[Any], cols: Sequence[Col], caption: str, empty: str = "Nothing yet."
) -> None:
    """Show records as a table.

    The caption is read aloud only. A wide table scrolls inside its own frame.
    """
    records = list(rows)
    with attributes(box("table-frame"), tabindex="0", role="region", aria_label=caption):
        if not records:
            text(empty, "empty-line")
            return
        with box(tag="table"):
            text(caption, "visually-hidden", "caption")
            with box(tag="thead"), box(tag="tr"):
                for col in cols:
                    with text("", _aligned(col), "th") as heading:
                        # Of a column of buttons the heading is only read aloud.
                        words = col.heading.removeprefix(">")
                        text(words or "Acts", "" if words else "visually-hidden")
                    attributes(heading, scope="col")
            with box(tag="tbody"):
                for record in records:
                    with box(tag="tr"):
                        for col in cols:
                            _cell(record, col)


def _cell(record: Any, col: Col) -> None:
    made = text("", _aligned(col), "td")
    with attributes(made, data_label=col.heading.removeprefix(">")):
        value = getattr(record, col.cell) if isinstance(col.cell, str) else col.cell(record)
        if col.shown is not None and value is not None:
            value = col.shown(value)
    if not made.default_slot.children and value is not None:
        made.text = clean(f"{value:,}" if type(value) is int else str(value))


def _aligned(col: Col) -> str:
    return "right" if col.heading.startswith(">") else ""
