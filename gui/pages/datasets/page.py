"""The list of datasets: it owns what is shown of all versions, and the way to a file's lineage."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from gui.pages.datasets.reading import VersionLine, list_versions
from gui.pages.datasets.view import leak_badge
from gui.reading.desk import Desk
from gui.widgets.blocks import ago, badge, box, button, card, empty, link, size, text
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge, state_tone


def read_datasets(desk: Desk, retired: int = 0) -> tuple[VersionLine, ...]:
    """Read all versions, or those that are not retired; blocks."""
    lines = list_versions(desk.database())
    return lines if retired else tuple(line for line in lines if line.state == "built")


def build(view: View, retired: int = 0) -> None:
    """Build the page."""
    with box("toolbar"):
        if view.may("operator"):
            link("New dataset", "/datasets/new", "button primary")
        other = "Without the retired" if retired else "With the retired"
        link(other, "/datasets" if retired else "/datasets?retired=1", "button")
        _lineage_search()
    view.live(_show, classes="stack")


PAGE = Page(
    "Datasets", "/datasets", "viewer", "Data", read=read_datasets, build=build, slowness=4.0,
    key="d", place=3, lead="Frozen versions. A manifest gives the same tree again, byte for byte.",
)  # fmt: skip


def _lineage_search() -> None:
    name = ui.input("Where is a node used?", placeholder="key, node id or description")
    name.props("outlined dense").style("min-width: min(300px, 100%)")

    def go() -> None:
        if name.value:
            ui.navigate.to("/datasets/lineage/" + quote(str(name.value)[:2_000], safe=":"))

    name.on("keydown.enter", go)
    button("Show lineage", go)


def _show(lines: tuple[VersionLine, ...]) -> None:
    if not lines:
        empty(
            "There is no dataset yet.",
            "Choose files, classes and splits in a form, look at the preview, and build it.",
            "drystone dataset build definition.yaml",
        )
        with box("row"):
            if visitor().may("operator"):
                link("Make the first dataset", "/datasets/new", "button primary")
            link("Look at the files", "/explorer", "button")
        return
    cols = (
        Col("Dataset", _name),
        Col(">Files", "files"),
        Col(">Size", "size_bytes", size),
        Col("Split: files", "splits", _splits),
        Col(">Classes", lambda line: line.classes or ""),
        Col("Leakage", lambda line: leak_badge(line.leaking, len(line.splits))),
        Col("Exports", _exports),
        Col("Built", "build_time", ago),
    )  # fmt: skip
    with card("Versions", f"{len(lines):,}"):
        table(lines, cols, "Versions of datasets")


def _name(line: VersionLine) -> None:
    link(f"{line.name}@{line.version}", f"/datasets/of/{line.name}@{line.version}")
    text(line.layout_id, "hint", "p")
    if line.state != "built":
        state_badge(line.state)


def _splits(splits: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{split}: {files:,}" for split, files in splits)


def _exports(line: VersionLine) -> None:
    if not line.exports:
        text("none", "hint")
    with box("row"):
        for mode, state in line.exports:
            badge(f"{mode} {state}", state_tone(state))
