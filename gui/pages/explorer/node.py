"""One node: it owns how everything that is known about it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from base.errors import DrystoneError
from gui.reading.desk import Desk
from gui.widgets.blocks import (
    at,
    attributes,
    badge,
    box,
    card,
    clean,
    empty,
    link,
    pairs,
    size,
    text,
)
from gui.widgets.explorer_routes import picture_of, tile_of
from gui.widgets.frame import frame, page
from gui.widgets.words import state_tone
from sql import ExploredNode, NodeReport

VALUE_LENGTH_MAX = 600
RELATIVES_SHOWN = 24


def register(desk: Desk) -> None:
    """Add the page."""

    @page(desk, "/node/{name:path}")
    async def node(name: str) -> None:
        try:
            report, known = await desk.work(_load, desk, name)
        except DrystoneError as error:
            with frame(desk, "No such node"):
                empty("It is not here.", str(error))
            return
        facts = report.node
        title = _title_of(report)
        with frame(desk, title[:120]):
            _crumbs(report)
            with box("node-page"):
                with box("stack"):
                    _picture(facts)
                    _relatives("Made from it, or part of it", report.children, known)
                    _relatives("Where it hangs", report.parents, known)
                with box("stack"):
                    _facts(facts)
                    await _copies(desk, facts)
                    _observations(report.metadata)
                    _declared(report.declared)
                    _origins(report)


def _load(desk: Desk, name: str) -> tuple[NodeReport, dict[int, ExploredNode]]:
    book = desk.database().explore
    report = book.node(name)
    near = [*report.children[:RELATIVES_SHOWN], *report.parents[:RELATIVES_SHOWN]]
    return report, {one.node_id: one for one in book.details([row["node_id"] for row in near])}


def _title_of(report: NodeReport) -> str:
    titles = [row["title"] for row in reversed(report.metadata) if row["title"]]
    name = titles[0] if titles else report.node["description"] or report.node["key"][:16]
    return clean(str(name)).replace("\n", " ")


def _crumbs(report: NodeReport) -> None:
    if len(report.breadcrumb) < 2:
        return
    with attributes(box("crumbs", "nav"), aria_label="Tree"):
        for place, row in enumerate(report.breadcrumb):
            if place:
                text("→", "separator")
            name = row["description"] or f"{row['key'][:12]}"
            if row["node_id"] == report.node["node_id"]:
                attributes(text(name, "mono"), aria_current="page")
            else:
                link(name, f"/node/{row['node_id']}")


def _picture(facts: dict[str, Any]) -> None:
    address = picture_of(facts["key"], facts["media_type"], "large")
    with card():
        if address:
            image = box("preview", "img")
            attributes(image, src=address, alt=f"Picture of node {facts['node_id']}")
        elif facts["is_physical"]:
            empty(f"A file of type {facts['extension']}", "There is no picture of such files.")
        else:
            empty("A description", "It has no bytes of its own: an author, a post, an album.")
        if facts["is_physical"]:
            with box("row"):
                link("Download", f"/content/{facts['key']}", "button small")


def _facts(facts: dict[str, Any]) -> None:
    rows: list[tuple[str, object]] = [
        ("Node", facts["node_id"]),
        ("Key", lambda: text(facts["key"], "mono")),
    ]
    if facts["description"]:
        rows.append(("Description", facts["description"]))
    if facts["is_physical"]:
        rows += [
            ("Size", f"{size(facts['size_bytes'])} ({facts['size_bytes']:,} bytes)"),
            ("Type", f"{facts['media_type']}, .{facts['extension']}"),
            ("Known since", at(facts["create_time"])),
        ]
    rows.append(("Depth in its tree", facts["depth"]))
    with card("Facts"):
        with box("row"):
            if facts["is_delete"]:
                badge("deleted", "bad")
            if facts["in_black_list"]:
                badge("black-listed", "bad")
        pairs(rows)


async def _copies(desk: Desk, facts: dict[str, Any]) -> None:
    if not facts["is_physical"]:
        return
    with card("Copies on disks"):
        try:
            head = await desk.work(desk.store.head, facts["key"])
        except DrystoneError as error:
            text(str(error), "empty-line")
            return
        with box("row"):
            for disk in head.disks:
                badge(disk, "good")
        short = head.copies < head.copies_target
        text(
            f"{head.copies} of {head.copies_target} copies, class {head.class_name}, shard "
            f"{head.shard_id[:12]}",
            "hint",
        )
        if short:
            badge("copies are missing", "warn")


def _observations(rows: list[dict[str, Any]]) -> None:
    with card("Metadata over time", f"{len(rows)} observations" if rows else ""):
        if not rows:
            text("Nothing was said about it.", "empty-line")
        for row in reversed(rows):
            shown: list[tuple[str, object]] = [
                (name.replace("_", " "), _value(row[name]))
                for name in (
                    "source", "title", "author_description", "view", "update_time",
                    "download_time", "user",
                )
                if row[name] is not None
            ]  # fmt: skip
            pairs(shown)
            with box("row"):
                badge("scraped" if row["is_raw"] else "made", "info")
                if row["is_root"]:
                    badge("sample point", "good")


def _declared(tables: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in tables.items():
        kind, _, what = name.partition("_")
        with card(f"{'Labels and results' if kind == 'result' else 'From'} {what}"):
            for row in rows:
                pairs([(key, _value(value)) for key, value in row.items() if value is not None])


def _relatives(title: str, rows: list[dict[str, Any]], known: dict[int, ExploredNode]) -> None:
    if not rows:
        return
    with card(title, f"{rows[0]['edges']:,}"):
        with box("relatives"):
            for row in rows[:RELATIVES_SHOWN]:
                found = known.get(row["node_id"])
                tile = tile_of(found) if found else None
                with attributes(box("relative", "a"), href=f"/node/{row['node_id']}"):
                    if tile and tile["picture"]:
                        attributes(box(tag="img"), src=tile["picture"], alt="", loading="lazy")
                    else:
                        text(_kind_of(tile), "ds-kind")
                    text(tile["title"] if tile else row["key"][:16], "ds-title")
                    text(row["relationship"], "ds-facts")
        if rows[0]["edges"] > RELATIVES_SHOWN:
            text(f"and {rows[0]['edges'] - RELATIVES_SHOWN:,} more", "hint")


def _kind_of(tile: dict[str, Any] | None) -> str:
    kind = tile["kind"] if tile else "none"
    return "description" if kind == "none" else kind


def _origins(report: NodeReport) -> None:
    if not (report.ingest_batches or report.actions or report.archive_locations):
        return
    with card("Where it came from, what was done"):
        for batch in report.ingest_batches:
            with box("row"):
                text(f"Ingest {batch['name']}, read by {batch['adapter']}")
                badge(batch["state"], state_tone(batch["state"]))
        for action in report.actions:
            with box("row"):
                text(f"Batch {action['action_batch_id']}: {action['action'] or 'no action yet'}")
                if action["status"]:
                    badge(action["status"], state_tone(action["status"]))
        for place in report.archive_locations:
            text(place["filepath"], "hint mono")


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return at(value)
    shown = clean(str(value))
    return shown if len(shown) <= VALUE_LENGTH_MAX else shown[:VALUE_LENGTH_MAX] + " …"
