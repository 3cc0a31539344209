"""Failures by their reason: it owns the groups above the list of runs, and retrying a whole one."""

from __future__ import annotations

from typing import Any, NamedTuple

from gui.pages.runs.acts import retry_many
from gui.pages.runs.words import workflow_title
from gui.reading.desk import Desk
from gui.widgets.blocks import button, card, first_line, link, many, text
from gui.widgets.frame import visitor
from gui.widgets.tables import Col, table
from gui.widgets.words import state_badge

GROUPS_SHOWN = 8


class GroupRow(NamedTuple):
    """Runs that ended badly for one reason."""

    workflow: str
    state: str
    reason: str
    runs: int
    newest_run_id: int
    run_ids: tuple[int, ...]


def groups_of(failures: list[Any]) -> tuple[GroupRow, ...]:
    """Return the groups as they are shown."""
    return tuple(
        GroupRow(one.workflow, one.state, first_line(one.reason) or "no reason was given",
                 one.runs, one.newest_run_id, one.run_ids)
        for one in failures
    )  # fmt: skip


def show_groups(desk: Desk, groups: tuple[GroupRow, ...]) -> None:
    """Show the groups, the most frequent first; nothing when nothing failed."""
    if not groups:
        return
    may_act = visitor().may("operator")

    def retry(group: GroupRow) -> None:
        if may_act:
            label = "Retry" if group.runs == 1 else f"Retry {len(group.run_ids):,}"
            button(label, lambda: retry_many(desk, group.run_ids), "small")

    cols = (
        Col("Reason", lambda group: text(group.reason, "reason")),
        Col("Workflow", "workflow", workflow_title),
        Col("State", "state", state_badge),
        Col(">Runs", "runs"),
        Col("Newest", lambda one: link(f"run {one.newest_run_id}", f"/runs/{one.newest_run_id}")),
        Col("", retry),
    )
    hint = many(sum(group.runs for group in groups), "run")
    if any("#" in group.reason for group in groups):
        hint += "; # stands for any number"
    with card("What went wrong", hint):
        table(groups[:GROUPS_SHOWN], cols, "Failures by reason")
        if len(groups) > GROUPS_SHOWN:
            text(f"and {len(groups) - GROUPS_SHOWN} other reasons", "hint")
