"""One version of a dataset: it owns how its report, files, exports and definition are shown."""

from __future__ import annotations

from typing import Literal

from nicegui import ui

from gui.pages.datasets.reading import Member, OneVersion, definition_yaml, members_of, one_version
from gui.pages.datasets.view import add_dataset_style, command, leak_badge, show_report, show_tiles
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import at, badge, box, button, card, link, metric, pairs, size, table, text
from gui.widgets.frame import confirm, frame, tell, visitor
from gui.widgets.live import live
from gui.widgets.words import state_tone

EXPORTS_SHOWN = 50


def register(desk: Desk, work: RunDesk) -> None:
    """Add the page."""

    @work_page(desk, "/datasets/of/{name}")
    async def dataset(name: str) -> None:
        first = await desk.work(lambda: one_version(desk.database(), name))
        full_name = f"{first.version.name}@{first.version.version}"
        poller = await work.follow(
            f"dataset-{full_name}", f"Dataset {full_name}",
            lambda: one_version(desk.database(), full_name), 2.0,
        )  # fmt: skip
        members = await desk.work(lambda: members_of(desk.database(), first.version))
        add_dataset_style()
        with frame(desk, full_name, f"{first.version.layout_id}, built {_built(first)}"):
            live(poller, _one_of, lambda one: _show_head(work, one), "stack wide")
            show_report(first.report)
            _show_members(members)
            live(poller, _exports_of, _show_exports)
            _show_commands(first)


def _built(one: OneVersion) -> str:
    return at(one.version.build_time)


def _one_of(poller: Poller) -> OneVersion:
    return poller.value(READING)


def _exports_of(poller: Poller) -> OneVersion:
    return poller.value(READING)


def _show_head(work: RunDesk, one: OneVersion) -> None:
    version = one.version
    full_name = f"{version.name}@{version.version}"
    with box("row"):
        badge(version.state, state_tone(version.state))
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
        if version.state == "built" and visitor().may("operator"):
            button("Export as view", lambda: export(work, full_name, "view"), "primary")
            button("Export as copy", lambda: export(work, full_name, "copy"))
        if visitor().may("operator"):
            link("New version from it", f"/datasets/new?from={full_name}", "button")
        earlier = [number for number, _ in one.others if number < version.version]
        if earlier:
            target = f"/datasets/diff/{version.name}@{earlier[0]}/{full_name}"
            link(f"Compare with @{earlier[0]}", target, "button")
        if version.state == "built" and visitor().may("operator"):
            button("Retire", lambda: _retire(work, full_name), "danger")


async def export(work: RunDesk, full_name: str, mode: Literal["copy", "view"]) -> None:
    """Start the run that lays a version out, and go to its page."""
    person = visitor()

    def start() -> int:
        wanted = {"name": full_name, "mode": mode}
        return work.control().start("ua_3", wanted, requested_by=person.name)[0].run_id

    run_id = await work.act("", start)
    if run_id:
        ui.navigate.to(f"/runs/{run_id}")


async def _retire(work: RunDesk, full_name: str) -> None:
    from datasets import retire

    lines = [
        "It is exported and pinned no more, and its views leave the mount.",
        "Copies on the SSD stay; its manifest stays too, and makes the same tree again.",
    ]
    if not await confirm(f"Retire {full_name}?", lines, "Retire it", word=full_name):
        return
    database = work.desk.database
    done = await work.act("", lambda: retire(work.config_path, database(), full_name))
    if done:
        left = f"; left on the SSD: {', '.join(done.left)}" if done.left else ""
        tell(f"{full_name} is retired{left}")


def _show_members(members: list[Member]) -> None:
    if not members:
        return
    with card("Some of its files", "follow one to see where it comes from"):
        show_tiles(
            (
                one.node.key,
                one.node.media_type or "",
                f"{one.split}: {one.label}" if one.label else one.split,
                f"/datasets/lineage/{one.node.node_id}",
            )
            for one in members
        )


def _show_exports(one: OneVersion) -> None:
    with card("Exports", f"{len(one.exports):,}" if one.exports else ""):
        table(
            ("Export", "Mode", "State", ">Files", ">Size", "Directory", "Sealed"),
            [
                (
                    found.dataset_export_id,
                    found.mode,
                    lambda found=found: badge(found.state, state_tone(found.state)),
                    f"{found.file_count:,}",
                    size(found.size_bytes),
                    lambda found=found: text(found.target_root or "", "mono small"),
                    at(found.seal_time) if found.seal_time else (found.reason or "not yet"),
                )
                for found in one.exports[:EXPORTS_SHOWN]
            ],
            "Exports",
            "It is laid out nowhere yet.",
        )


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
