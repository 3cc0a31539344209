"""Schemas: it owns the page on which people decide what becomes of JSON that nobody declared."""

from __future__ import annotations

import functools

from nicegui import ui

from adapters import SchemaDecided as Decided
from adapters import SchemaLine, SchemaPreviewRow, SchemaSight
from gui.pages.schemas.reading import read_schemas
from gui.reading.desk import Desk
from gui.widgets.acts import act_button
from gui.widgets.blocks import box, card, clean, empty, first_line, link, pairs, text, written
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import listed, state_badge

CELL_LENGTH_MAX = 80


def build(view: View) -> None:
    """Build the page."""
    # What was chosen of a long list stands above it.
    view.live(functools.partial(_show_one, view.desk), lambda found: found[1:], "stack wide")
    view.live(_show_list, lambda found: found.lines)


PAGE = Page(
    "Schemas", "/schemas", "viewer", "Data", read=read_schemas, build=build, key="j", place=4,
    lead="Tables of JSON that nobody declared: proposed, accepted, rejected.",
)  # fmt: skip


def _show_list(lines: tuple[SchemaLine, ...]) -> None:
    if not lines:
        empty(
            "No JSON came in that nobody declared.",
            "Any folder of JSON can come in; what its documents have in common is proposed here.",
            "drystone ingest FOLDER --batch NAME --source json",
        )
        return
    cols = (
        Col("Schema", lambda one: link(clean(one.name), f"/schemas?name={one.name}")),
        Col(">Version", "version"),
        Col("State", lambda one: state_badge(one.status)),
        Col("Form", "choice"),
        Col(">Documents", "documents"),
        Col(">Columns", "columns"),
        Col("Why", "reason"),
    )
    with card("Schemas"):
        table(lines, cols, "Schemas")


def _show_one(desk: Desk, found: tuple[SchemaSight | None, tuple[str, ...]]) -> None:
    sight, changes = found
    if sight is None:
        return
    with card(sight.name, f"version {sight.version}"):
        _show_acts(desk, sight)
        pairs(
            (
                ("State", sight.status),
                ("Documents", f"{sight.documents:,}, {sight.documents_sampled:,} looked at"),
                ("Versions", ", ".join(sight.versions)),
                ("Because", "; ".join(sight.reasons)),
            )
        )
    if changes:
        with card("What accepting changes"):
            written("\n".join(changes), "What accepting changes")
    with card("Statements"):
        written(sight.ddl, "Statements")
    for name in dict.fromkeys(row.table for row in sight.preview):
        _show_rows(name, [row for row in sight.preview if row.table == name])


def _show_acts(desk: Desk, sight: SchemaSight) -> None:
    given = {"name": sight.name}
    waits = sight.status == "provisional"
    is_open = waits or (sight.status == "active" and not sight.is_complete)
    with box("toolbar"):
        if is_open:
            act_button(
                desk, "schema.accept", "Accept", given, title=f"Make the table of {sight.name}?",
                lines=("The stored documents get their rows; no document is lost.",),
                fields=("new_name", "form") if waits else (), agree="Accept it", classes="primary",
                done=lambda answer: f"{answer.name} is accepted, {answer.rows_new:,} rows new",
                then=functools.partial(_follow, sight.name),
            )  # fmt: skip
        if waits:
            act_button(
                desk, "schema.reject", "Reject", given, title=f"Reject {sight.name}?",
                lines=("The documents stay JSON, and the same is not proposed again.",),
                agree="Reject it", done=lambda answer: f"{answer.name} is rejected",
            )  # fmt: skip
        if sight.status == "active":
            act_button(
                desk, "schema.rollback", "Roll back", given, title=f"Roll {sight.name} back?",
                lines=("The version before is active again; nothing is dropped.",),
                agree="Roll it back",
                done=lambda answer: f"{answer.name}, version {answer.version}: {answer.status}",
            )  # fmt: skip


def _follow(name: str, answer: Decided) -> None:
    """Go where a schema is now that was renamed."""
    if answer.name != name:
        ui.navigate.to(f"/schemas?name={answer.name}")


def _show_rows(name: str, rows: list[SchemaPreviewRow]) -> None:
    names = list(dict.fromkeys(column for row in rows for column in row.values))
    cols = [
        *(
            Col(column, lambda row, column=column: _cell(row.values.get(column)))
            for column in names
        ),
        Col("extra", lambda row: _cell(row.extra)),
    ]
    with card(f"First rows of {name}"):
        table(rows, cols, f"First rows of {name}")
        if len(rows) == 1:
            text("One document is no kind of documents yet.", "hint")


def _cell(value: object) -> str | None:
    return None if value is None else first_line(listed(value), CELL_LENGTH_MAX)
