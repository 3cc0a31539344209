"""One node: it owns how everything that is known about it is shown."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import Depends
from nicegui import ui

from base.errors import DrystoneError
from base.operations.operation import GUEST
from gui.access.roles import Visitor
from gui.contents.media import PLAYED
from gui.contents.seen import seen_by
from gui.pages.explorer.marks import MarkedPicture, Neighbours, shapes_of
from gui.pages.explorer.purge import purge_files
from gui.pages.explorer.shared import Sharing, read_sharing, show_sharing
from gui.pages.explorer.strip import MOMENTS_MAX, Strip, duration_of, is_key_frame, moments_of
from gui.reading.desk import Desk
from gui.widgets.blocks import (
    at,
    attributes,
    badge,
    box,
    button,
    card,
    clean,
    empty,
    link,
    many,
    pairs,
    size,
    symbol,
    text,
)
from gui.widgets.explorer_routes import kind_of, name_of, picture_of, question, spoken, tile_of
from gui.widgets.frame import Page, visitor_of
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import listed, state_badge
from sql import ExploredNode, NodeReport

VALUE_LENGTH_MAX = 600
_WORDS = {
    "source": "Source", "title": "Title", "author_description": "Author", "view": "Views",
    "update_time": "Published", "download_time": "Collected", "user": "By",
}  # fmt: skip
RELATIVES_SHOWN = 24
ROWS_READ_MAX = 1_000
"""So many segments, boxes, key frames of one kind are drawn; a line says when that is not all."""
ROWS_SHOWN = 50


class NodeReading(NamedTuple):
    """All that is known of a node, and what its nearest relatives look like."""

    report: NodeReport
    known: dict[int, ExploredNode]
    copies: Any
    """What the store says of its bytes, an error, or None for what has none."""
    sharing: Sharing
    rights: tuple[str, ...] = ()
    """Those of a guest on it; empty for whoever sees everything."""


def read_node(
    desk: Desk, name: str, person: Annotated[Visitor, Depends(visitor_of)]
) -> NodeReading:
    """Read a node by number, key or description; blocks. Raises NotFoundError."""
    database, is_guest = seen_by(desk.database(), person), person.role == GUEST
    book = database.explore
    report = book.node(name, ROWS_READ_MAX)
    near = [
        *report.children[:RELATIVES_SHOWN],
        *filter(is_key_frame, report.children),
        *report.parents[:RELATIVES_SHOWN],
        *report.breadcrumb,
        report.node,
    ]
    known = {one.node_id: one for one in book.details([row["node_id"] for row in near])}
    copies: Any = None
    if report.node["is_physical"] and not is_guest:
        try:
            copies = desk.store.head(report.node["key"])
        except DrystoneError as error:
            copies = error
    key = report.node["key"]
    rights = desk.database().seen_by(person.user_id).rights_on(key) if is_guest else ()
    return NodeReading(report, known, copies, read_sharing(database, key), rights)


def build(view: View) -> None:
    """Build the page."""
    report, known, copies, sharing, rights = view.reading
    Neighbours(report.node["node_id"])
    _crumbs(report, known)
    with box("node-page"):
        with box("stack"):
            _picture(report, known, takes=not rights or "export" in rights)
            if view.may("admin") and copies is not None and not isinstance(copies, DrystoneError):
                _purge(view, report.node["key"])
            _relatives("Made from it, or part of it", report.children, known)
            _relatives("What it belongs to", report.parents, known)
        with box("stack"):
            _facts(report.node, report.children)
            _copies(copies)
            _observations(report.metadata)
            _declared(report.declared)
            _origins(report)
            if rights:
                with card("What you may do with it"):
                    text(", ".join(rights), "hint")
            if view.may("operator") or "share" in rights:
                show_sharing(view.desk, report.node["key"], _title_of(view.reading), sharing)


PAGE = Page(
    "Node", "/node/{name:path}", GUEST, read=read_node, build=build, slowness=0,
    title=lambda found: _title_of(found)[:120],
)  # fmt: skip


def _title_of(found: NodeReading) -> str:
    name = name_of(found.known[found.report.node["node_id"]])
    return clean(name).replace("\n", " ")


def _purge(view: View, key: str) -> None:
    with box("row"):
        go_on = functools.partial(purge_files, view.desk, [key], ui.navigate.reload)
        button("Purge", go_on, "small danger", hint="Delete this file for good")


def _crumbs(report: NodeReport, known: dict[int, ExploredNode]) -> None:
    if len(report.breadcrumb) < 2:
        return
    with attributes(box("crumbs", "nav"), aria_label="Tree"):
        for place, row in enumerate(report.breadcrumb):
            if place:
                text("→", "separator")
            told = spoken(row["description"] or "")[0] or row["key"][:12]
            name = known[row["node_id"]].title or told
            if row["node_id"] == report.node["node_id"]:
                attributes(text(name), aria_current="page")
            else:
                attributes(link(name, f"/node/{row['node_id']}"), title=row["description"] or "")


def _picture(report: NodeReport, known: dict[int, ExploredNode], *, takes: bool) -> None:
    facts = report.node
    address = picture_of(facts["key"], facts["media_type"], "large", facts["extension"])
    with card():
        shapes = shapes_of(report.declared)
        is_film = facts["extension"] in PLAYED and facts["media_type"] == "video"
        if facts["extension"] in PLAYED:
            player = attributes(box("preview", "video" if is_film else "audio"), controls=True)
            media = f"/labelling/media/{facts['key']}.{facts['extension']}"
            # It is fetched from the disks when somebody plays it.
            attributes(player, src=media, preload="none", aria_label="Player")
            if is_film:
                attributes(player, poster=address)
            frames = [known[row["node_id"]] for row in report.children if is_key_frame(row)]
            moments = moments_of(report.declared, frames)
            Strip(moments, duration_of(report.declared, moments))
            if len(moments) == MOMENTS_MAX:
                text(f"Only the first {MOMENTS_MAX:,} segments and key frames are shown.", "hint")
        if address and (shapes or not is_film):
            MarkedPicture(address, f"Picture of node {facts['node_id']}", shapes)
        elif is_film:
            pass
        elif facts["is_physical"]:
            empty(f"A file of type {facts['extension']}", "There is no picture of such files.")
        else:
            what = kind_of(known[facts["node_id"]]).replace("_", " ")
            empty(f"This is: {what}", "It has no bytes of its own, only what belongs to it.")
        if facts["is_physical"] and takes:
            with box("row"):
                link("Download", f"/content/{facts['key']}", "button small")


def _facts(facts: dict[str, Any], children: list[dict[str, Any]]) -> None:
    rows: list[tuple[str, object]] = [
        ("Node", facts["node_id"]),
        ("Key", lambda: text(facts["key"], "mono")),
    ]
    if facts["description"]:
        rows.append(("Description", facts["description"]))
    if facts["is_physical"]:
        rows += [
            ("Size", f"{size(facts['size_bytes'])} ({facts['size_bytes']:,} bytes)"),
            (
                "Type",
                lambda: _questions(media_type=facts["media_type"], extension=facts["extension"]),
            ),
            ("Known since", at(facts["create_time"])),
        ]
    with card("Facts"):
        with box("row"):
            if facts["is_delete"]:
                badge("deleted", "bad")
            if facts["in_black_list"]:
                badge("black-listed", "bad")
        pairs(rows)
        if facts["description"] and children:
            link("All that hangs below it", question("tag", facts["description"]), "button small")


def _questions(**values: str | None) -> None:
    """Show values as links to all nodes that have them."""
    with box("row"):
        for facet, value in values.items():
            if value:
                name = spoken(value)[0] if facet == "author" else value
                attributes(link(name, question(facet, value)), title=f"All of {value}")


def _copies(head: Any) -> None:
    if head is None:
        return
    with card("Copies on disks"):
        if isinstance(head, DrystoneError):
            text(str(head), "empty-line")
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
    with card("Metadata over time", many(len(rows), "observation") if rows else ""):
        if not rows:
            text("Nothing was said about it.", "empty-line")
        for row in reversed(rows[-ROWS_SHOWN:]):
            shown = [
                (words, _observed(name, row[name]))
                for name, words in _WORDS.items()
                if row[name] is not None
            ]
            pairs(shown)
            with box("row"):
                badge("scraped" if row["is_raw"] else "made", "info")
                if row["is_root"]:
                    badge("sample point", "good")
        _say_more(rows)


def _observed(name: str, value: Any) -> object:
    """Return what shows a value of an observation, a link where all that have it can be seen."""
    if name in ("source", "author_description"):
        return functools.partial(_questions, **{name.partition("_")[0]: value})
    if name == "update_time":
        month = value.astimezone(UTC).strftime("%Y-%m")
        return lambda: attributes(link(at(value), question("month", month)), title="All of it")
    return _value(value)


def _declared(tables: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in tables.items():
        kind, _, what = name.partition("_")
        with card(f"{'Labels and results' if kind == 'result' else 'From'} {what}"):
            _show_rows(rows[-ROWS_SHOWN:], what if kind == "result" else "", f"Rows of {what}")
            _say_more(rows)


def _show_rows(rows: list[dict[str, Any]], action: str, caption: str) -> None:
    """Show what all rows say alike once, and the rest of several as a table."""
    first = rows[0]
    alike = [key for key in first if all(row.get(key) == first[key] for row in rows)]
    pairs(
        [
            (key.replace("_", " "), _found(action, key, first[key]))
            for key in alike
            if first[key] is not None
        ]
    )
    cols = [
        Col(key.replace("_", " "), functools.partial(_cell, action, key))
        for key in first
        if key not in alike
    ]
    if cols:
        table(rows, cols, caption)


def _cell(action: str, key: str, row: dict[str, Any]) -> object:
    """Show a value of a row, or return its words."""
    found = None if row.get(key) is None else _found(action, key, row[key])
    if not callable(found):
        return found
    found()
    return None


def _say_more(rows: list[dict[str, Any]]) -> None:
    if len(rows) == ROWS_READ_MAX:
        text(f"Only the newest {ROWS_READ_MAX:,} are read.", "hint")
    elif len(rows) > ROWS_SHOWN:
        text(f"and {len(rows) - ROWS_SHOWN:,} older", "hint")


def _found(action: str, column: str, value: Any) -> object:
    if action and column == "label" and isinstance(value, str):
        address = question("label", f"{action}:{value}")
        return lambda: attributes(link(value, address), title=f"All of {value}")
    return _value(value)


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
                        known_as = tile or {
                            "kind": "none",
                            "extension": "",
                            "called": "description",
                        }
                        symbol(known_as["kind"], known_as["extension"], known_as["called"])
                    text(tile["title"] if tile else row["key"][:16], "ds-title")
                    text(row["relationship"], "ds-facts")
        if rows[0]["edges"] > RELATIVES_SHOWN:
            text(f"and {rows[0]['edges'] - RELATIVES_SHOWN:,} more", "hint")


def _origins(report: NodeReport) -> None:
    if not (report.ingest_batches or report.actions or report.archive_locations):
        return
    with card("Where it came from, what was done"):
        for batch in report.ingest_batches:
            with box("row"):
                link(f"Ingest {batch['name']}", question("ingest_batch", batch["name"]))
                text(f"read by {batch['adapter']}")
                state_badge(batch["state"])
        for action in report.actions:
            with box("row"):
                text(f"Batch {action['action_batch_id']}: {action['action'] or 'no action yet'}")
                if action["status"]:
                    state_badge(action["status"])
        for place in report.archive_locations:
            text(f"In cold storage: {place['filepath']}", "hint mono")


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return at(value)
    shown = clean(listed(value))
    return shown if len(shown) <= VALUE_LENGTH_MAX else shown[:VALUE_LENGTH_MAX] + " …"
