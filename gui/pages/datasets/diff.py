"""Two versions side by side: it owns how their differences are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gui.pages.datasets.reading import CHANGES_SHOWN, compared
from gui.reading.desk import Desk
from gui.widgets.blocks import box, card, link, metric, notice
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View

if TYPE_CHECKING:
    from datasets import Comparison
    from sql import MemberChange


class Difference(NamedTuple):
    """How two versions differ, in figures and in some of the files."""

    found: Comparison
    changes: list[MemberChange]


def read_difference(desk: Desk, old: str, new: str) -> Difference:
    """Read how two versions differ; blocks."""
    return Difference(*compared(desk.database(), old, new))


def build(view: View) -> None:
    """Build the page."""
    found = view.reading.found
    with box("row"):
        for name in (found.old, found.new):
            link(name, f"/datasets/of/{name}", "button small")
    _show_figures(found)
    _show_changes(view.reading.changes)


PAGE = Page(
    "Difference", "/datasets/diff/{old}/{new}", read=read_difference, build=build, slowness=0,
    title=lambda reading: f"{reading.found.old} and {reading.found.new}",
    lead="What a build changed, file by file.",
)  # fmt: skip


def _show_figures(found: Comparison) -> None:
    if found.same_manifest:
        notice("Both are the same tree, byte for byte.", "good")
    with box("metrics"):
        metric("Added", f"{found.added:,}")
        metric("Removed", f"{found.removed:,}")
        metric("Relabelled", f"{found.relabelled:,}")
        metric("Moved", f"{found.moved:,}", "to another split", "warn" if found.moved else "")
    for title, counts in (("Moves", found.moves), ("New labels", found.relabels)):
        if counts:
            cols = (Col("From, to", lambda one: one[0]), Col(">Files", lambda one: one[1]))
            with card(title):
                table(list(counts.items())[:CHANGES_SHOWN], cols, title)


def _show_changes(changes: list[MemberChange]) -> None:
    cols = (
        Col("File", lambda one: link(one.key[:16], f"/datasets/lineage/{one.node_id}", "mono")),
        Col("Change", "change"),
        Col("Split", lambda one: _both(one.split, one.new_split)),
        Col("Label", lambda one: _both(one.label, one.new_label)),
    )
    with card("Files", f"the first {len(changes)}" if len(changes) == CHANGES_SHOWN else ""):
        table(changes, cols, "Files that differ", "No file differs.")


def _both(old: str | None, new: str | None) -> str:
    if old == new:
        return old or ""
    return f"{old or 'none'} → {new or 'none'}"
