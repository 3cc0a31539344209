"""The list of datasets: it owns what is shown of all versions, and the way to a file's lineage."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from gui.pages.datasets.reading import VersionLine, list_versions
from gui.pages.datasets.view import leak_badge
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import ago, badge, box, button, card, empty, link, size, table, text
from gui.widgets.frame import Place, add_place, frame, visitor
from gui.widgets.live import live
from gui.widgets.words import state_tone

SLOWNESS = 4.0


def register(desk: Desk, work: RunDesk) -> None:
    """Add the page."""
    add_place(Place("Datasets", "/datasets", "d", group="Data"))

    @work_page(desk, "/datasets")
    async def datasets(retired: int = 0) -> None:
        poller = await work.follow(
            "datasets", "The list of datasets", lambda: list_versions(desk.database()), SLOWNESS
        )
        lead = "Frozen versions. A manifest gives the same tree again, byte for byte."
        with frame(desk, "Datasets", lead):
            with box("toolbar"):
                if visitor().may("operator"):
                    link("New dataset", "/datasets/new", "button primary")
                other = "Without the retired" if retired else "With the retired"
                link(other, "/datasets" if retired else "/datasets?retired=1", "button")
                _lineage_search()
            live(poller, _all_of if retired else _built_of, _show, "stack")


def _lineage_search() -> None:
    name = ui.input("Where is a node used?", placeholder="key, node id or description")
    name.props("outlined dense").style("min-width: min(300px, 100%)")

    def go() -> None:
        if name.value:
            ui.navigate.to("/datasets/lineage/" + quote(str(name.value)[:2_000], safe=":"))

    name.on("keydown.enter", go)
    button("Show lineage", go)


def _all_of(poller: Poller) -> tuple[VersionLine, ...]:
    return poller.value(READING) or ()


def _built_of(poller: Poller) -> tuple[VersionLine, ...]:
    return tuple(line for line in _all_of(poller) if line.state == "built")


def _show(lines: tuple[VersionLine, ...]) -> None:
    if not lines:
        empty(
            "There is no dataset yet.",
            "Write a definition, look at its preview, and build it.",
            "drystone dataset build definition.yaml",
        )
        return
    with card("Versions", f"{len(lines):,}"):
        table(
            ("Dataset", ">Files", ">Size", "Split: files", ">Classes", "Leakage",
             "Exports", "Built"),
            [_row(line) for line in lines],
            "Versions of datasets",
        )  # fmt: skip


def _row(line: VersionLine) -> tuple[object, ...]:
    def name() -> None:
        with box():
            link(f"{line.name}@{line.version}", f"/datasets/of/{line.name}@{line.version}")
            text(line.layout_id, "hint", "p")
            if line.state != "built":
                badge(line.state, state_tone(line.state))

    def exports() -> None:
        if not line.exports:
            text("none", "hint")
        with box("row"):
            for mode, state in line.exports:
                badge(f"{mode} {state}", state_tone(state))

    return (
        name,
        f"{line.files:,}",
        size(line.size_bytes),
        ", ".join(f"{split}: {files:,}" for split, files in line.splits),
        f"{line.classes:,}" if line.classes else "",
        lambda: leak_badge(line.leaking, len(line.splits)),
        exports,
        ago(line.build_time),
    )
