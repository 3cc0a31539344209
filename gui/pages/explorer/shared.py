"""Who sees a node, and why: by the role, or by grants, which are given and taken back here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from nicegui import background_tasks

from gui.contents.seen import seen_by
from gui.pages.explorer.leaving import link_node
from gui.reading.desk import Desk
from gui.widgets.acts import act_button
from gui.widgets.blocks import at, box, button, card, clean, link, text
from gui.widgets.frame import visitor
from gui.widgets.tables import Col, table
from sql import Database, Grant, Staff

_FIELDS = ("account", "group", "level", "until", "with_metadata")


class Sharing(NamedTuple):
    """Who sees a node by the role, and the grants by which others do."""

    staff: list[Staff]
    grants: list[Grant]


def read_sharing(database: Database, key: str) -> Sharing:
    """Read who sees a node, as far as whom the database is shown to is told that; blocks."""
    return Sharing(*database.rights.who_sees(key))


def show_sharing(desk: Desk, key: str, title: str, found: Sharing) -> None:
    """Show who sees a node and why, and what changes it, to operators and guests who share it."""
    with card("Who sees this"):
        holder = box()
    person = visitor()

    async def read_again() -> None:
        now = await desk.work(lambda: read_sharing(seen_by(desk.database(), person), key))
        holder.clear()
        with holder:
            _show(desk, key, title, now, again)

    def again(_answer: object) -> None:
        background_tasks.create(read_again())

    with holder:
        _show(desk, key, title, found, again)


def _show(desk: Desk, key: str, title: str, found: Sharing, again: Callable[[Any], None]) -> None:
    cols = (
        Col("Who", lambda one: clean(one.whom)),
        Col("As", "level"),
        Col("Because of", functools.partial(_reason, key)),
        Col("Until", lambda one: at(one.expires_at) if one.expires_at else ""),
        Col("Granted by", lambda one: clean(one.granted_by)),
        Col("", functools.partial(_take_back, desk, again)),
    )
    nobody = "Nobody else: nothing was granted on it, or on what it lies below."
    table(found.grants, cols, "Grants", nobody)
    if found.staff:
        staff = ", ".join(f"{one.account} ({one.role})" for one in found.staff)
        text(f"By the role: {staff}.", "hint")
    with box("row"):
        act_button(
            desk, "grant.add", "Share", {"node": key}, title=f"Share {title}"[:100],
            lines=["It holds for what lies below, also for what arrives later."],
            fields=_FIELDS, agree="Grant it", classes="small",
            done=lambda made: f"{made.whom} sees it", then=again,
        )  # fmt: skip
        button("Share by a link", functools.partial(link_node, desk, key, clean(title)), "small")


def _reason(key: str, grant: Grant) -> str | None:
    """Say on what a grant stands."""
    if grant.batch is not None:
        return clean(f"the batch {grant.batch}") + ("" if grant.is_complete else ", still reaching")
    if grant.node == key:
        return "this node"
    link(clean(grant.place)[:80], f"/node/{grant.node}")
    return None


def _take_back(desk: Desk, again: Callable[[Any], None], grant: Grant) -> None:
    if not grant.granted_by:
        return  # A guest is not told who granted it, and takes it back from nobody.
    act_button(
        desk, "grant.remove", "Take back", {"grant_id": grant.grant_id},
        title=f"Take back what {grant.whom} was granted?",
        lines=[f"It stands on {clean(grant.place)[:80]}, and holds for all that lies below."],
        agree="Take it back", classes="small", done="It is taken back", then=again,
    )  # fmt: skip
