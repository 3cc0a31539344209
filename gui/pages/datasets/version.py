"""One version of a dataset: it owns how its report, files, exports and definition are shown."""

from __future__ import annotations

import functools
from typing import Any, Literal

from gui.core.filters import filters_of
from gui.pages.datasets.reading import Member, OneVersion, definition_yaml, members_of, one_version
from gui.pages.datasets.view import command, leak_badge, show_report, show_tiles
from gui.pages.explorer import leaving
from gui.pages.runs.acts import start
from gui.reading.desk import Desk
from gui.widgets.acts import act_button
from gui.widgets.blocks import at, box, button, card, link, metric, pairs, size, text
from gui.widgets.explorer_routes import question
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

EXPORTS_SHOWN = 50
_RETIRE_LINES = (
    "It is exported and pinned no more, and its views leave the mount.",
    "Copies on the SSD stay; its manifest stays too, and makes the same tree again.",
)


def read_version(desk: Desk, name: str) -> OneVersion:
    """Read a version; blocks. Raises NotFoundError."""
    return one_version(desk.database(), name)


async def build(view: View) -> None:
    """Build the page."""
    desk, first = view.desk, view.reading
    members = await desk.work(lambda: members_of(desk.database(), first.version))
    view.live(functools.partial(_show_head, desk), classes="stack wide")
    show_report(first.report)
    _show_members(members)
    view.live(_show_exports)
    _show_commands(first)


PAGE = Page(
    "Dataset", "/datasets/of/{name}", read=read_version, build=build, slowness=2.0,
    title=lambda one: f"{one.version.name}@{one.version.version}",
    lead=lambda one: f"{one.version.layout_id}, built {at(one.version.build_time)}",
)  # fmt: skip


def _show_head(desk: Desk, one: OneVersion) -> None:
    version = one.version
    full_name = f"{version.name}@{version.version}"
    with box("row"):
        state_badge(version.state)
        leak_badge(one.report.leaking, len(one.report.splits))
        for number, state in one.others:
            if number != version.version:
                words = f"@{number}" + ("" if state == "built" else f" {state}")
                link(words, f"/datasets/of/{version.name}@{number}", "button small")
    with box("metrics"):
        metric("Files", f"{version.file_count:,}", f"{version.entry_count:,} files in its tree")
        metric("Size", size(version.size_bytes), f"its tree {size(version.entry_size_bytes)}")
        metric("Classes", f"{len(one.report.classes):,}")
        metric("Seed", version.seed)
    with box("row"):
        link("All its files", question("dataset", full_name), "button")
        if version.state == "built" and visitor().may("operator"):
            button("Export as view", lambda: export(desk, full_name, "view"), "primary")
            button("Export as copy", lambda: export(desk, full_name, "copy"))
        if visitor().may("operator"):
            link("New version from it", f"/datasets/new?from={full_name}", "button")
            chosen = filters_of({"dataset": full_name}).document
            share = functools.partial(leaving.share, desk, chosen, full_name, full_name)
            button("Share", share, hint="Its files, as a collection")
        earlier = [number for number, _ in one.others if number < version.version]
        if earlier:
            target = f"/datasets/diff/{version.name}@{earlier[0]}/{full_name}"
            link(f"Compare with @{earlier[0]}", target, "button")
        if version.state == "built":
            act_button(
                desk, "dataset.retire", "Retire", {"name": full_name}, done=_retired,
                title=f"Retire {full_name}?", lines=_RETIRE_LINES, agree="Retire it",
                word=full_name, classes="danger",
            )  # fmt: skip


async def export(desk: Desk, full_name: str, mode: Literal["copy", "view"]) -> None:
    """Start the run that lays a version out, and go to its page."""
    await start(desk, "ua_3", {"name": full_name, "mode": mode})


def _retired(answer: Any) -> str:
    left = f"; left on the SSD: {', '.join(answer.left)}" if answer.left else ""
    return f"{answer.name}@{answer.version} is retired{left}"


def _show_members(members: list[Member]) -> None:
    if not members:
        return
    with card("Some of its files", "follow one to see where it comes from"):
        show_tiles(
            (
                one.node.key,
                one.node.media_type or "",
                one.node.extension or "",
                f"{one.split}: {one.label}" if one.label else one.split,
                f"/datasets/lineage/{one.node.node_id}",
            )
            for one in members
        )


def _show_exports(one: OneVersion) -> None:
    cols = (
        Col("Export", "dataset_export_id"),
        Col("Mode", "mode"),
        Col("State", "state", state_badge),
        Col(">Files", "file_count"),
        Col(">Size", "size_bytes", size),
        Col("Directory", lambda found: text(found.target_root or "", "mono small")),
        Col("Sealed", lambda found: at(found.seal_time) if found.seal_time
            else (found.reason or "not yet")),
    )  # fmt: skip
    with card("Exports", f"{len(one.exports):,}" if one.exports else ""):
        table(one.exports[:EXPORTS_SHOWN], cols, "Exports", "It is laid out nowhere yet.")


def _show_commands(one: OneVersion) -> None:
    version = one.version
    with card("The same again", "these bytes, on any machine that has the store"):
        command(f"drystone dataset reproduce {version.manifest_key}")
        pairs(
            (
                ("Manifest", lambda: text(version.manifest_key, "mono")),
                ("Everything about it", lambda: text(version.document_key, "mono")),
            )
        )
    with card("Definition"):
        text(definition_yaml(version), "written mono", "pre")
