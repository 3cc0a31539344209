"""Two versions side by side: it owns how their differences are shown, and a node's lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from base.errors import DrystoneError
from gui.pages.datasets.reading import CHANGES_SHOWN, compared, node_lineage
from gui.pages.datasets.view import version_link
from gui.pages.runs.desk import work_page
from gui.reading.desk import Desk
from gui.widgets.blocks import badge, box, card, empty, link, metric, notice, table
from gui.widgets.frame import frame
from gui.widgets.words import state_tone

if TYPE_CHECKING:
    from datasets import Comparison
    from sql import MemberChange


def register(desk: Desk) -> None:
    """Add the pages."""

    @work_page(desk, "/datasets/diff/{old}/{new}")
    async def diff(old: str, new: str) -> None:
        found, changes = await desk.work(lambda: compared(desk.database(), old, new))
        with frame(desk, f"{found.old} and {found.new}", "What a build changed, file by file."):
            with box("row"):
                for name in (found.old, found.new):
                    link(name, f"/datasets/of/{name}", "button small")
            _show_figures(found)
            _show_changes(changes)

    @work_page(desk, "/datasets/lineage/{name:path}")
    async def lineage(name: str) -> None:
        try:
            above, members = await desk.work(lambda: node_lineage(desk.database(), name))
        except DrystoneError as error:
            with frame(desk, "No such node"):
                empty("It is not here.", str(error))
            return
        with frame(desk, f"Lineage of node {above[0].node_id}", "From a file to its post, and on."):
            _show_lineage(above, members)


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
            with card(title):
                rows = [(words, f"{count:,}") for words, count in counts.items()]
                table(("From, to", ">Files"), rows[:CHANGES_SHOWN], title)


def _show_changes(changes: list[MemberChange]) -> None:
    with card("Files", f"the first {len(changes)}" if len(changes) == CHANGES_SHOWN else ""):
        table(
            ("File", "Change", "Split", "Label"),
            [
                (
                    lambda one=one: link(one.key[:16], f"/datasets/lineage/{one.node_id}", "mono"),
                    one.change,
                    _both(one.split, one.new_split),
                    _both(one.label, one.new_label),
                )
                for one in changes
            ],
            "Files that differ",
            "No file differs.",
        )


def _both(old: str | None, new: str | None) -> str:
    if old == new:
        return old or ""
    return f"{old or 'none'} → {new or 'none'}"


def _show_lineage(above: list[Any], members: list[Any]) -> None:
    with card("Where it comes from"):
        table(
            ("", "Node", "Is", "Through", "Source", "Title"),
            [
                (
                    "this" if one.depth == 0 else f"{one.depth} above",
                    lambda one=one: link(one.node_id, f"/node/{one.node_id}"),
                    one.description or one.key[:16],
                    one.relationship or "",
                    one.source or "",
                    one.title or "",
                )
                for one in above
            ],
            "Ancestors",
        )
    with card("Datasets it is in"):
        table(
            ("Dataset", "State", ">Files", "Split", "Label"),
            [
                (
                    lambda one=one: version_link(one.name, one.version),
                    lambda one=one: badge(one.state, state_tone(one.state)),
                    f"{one.files:,}",
                    one.split or "",
                    one.label or "",
                )
                for one in members
            ],
            "Datasets",
            "It is in none, and neither is a file below it.",
        )
