"""Failures by their reason: it owns the groups above the list of runs, and retrying a whole one."""

from __future__ import annotations

from typing import Any, NamedTuple

from gui.pages.runs.acts import retry_many
from gui.pages.runs.desk import RunDesk
from gui.pages.runs.words import first_line, tone_of
from gui.widgets.blocks import badge, box, button, card, link, table, text
from gui.widgets.frame import visitor

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


def show_groups(runs: RunDesk, groups: tuple[GroupRow, ...]) -> None:
    """Show the groups, the most frequent first; nothing when nothing failed."""
    if not groups:
        return
    may_act = visitor_may_act()
    hint = f"{sum(group.runs for group in groups):,} runs; # stands for any number"
    with card("What went wrong", hint):
        table(
            ("Reason", "Workflow", "State", ">Runs", "Newest", ""),
            [_cells(runs, group, may_act) for group in groups[:GROUPS_SHOWN]],
            "Failures by reason",
        )
        if len(groups) > GROUPS_SHOWN:
            text(f"and {len(groups) - GROUPS_SHOWN} other reasons", "hint")


def visitor_may_act() -> bool:
    """Tell whether whoever looks at the current page may change runs."""
    return visitor().may("operator")


def _cells(runs: RunDesk, group: GroupRow, may_act: bool) -> list[Any]:
    def retry() -> None:
        with box("row"):
            if may_act:
                label = "Retry" if group.runs == 1 else f"Retry {len(group.run_ids):,}"
                button(label, lambda: retry_many(runs, group.run_ids), "small")

    return [
        lambda: text(group.reason, "reason"),
        group.workflow,
        lambda: badge(group.state, tone_of(group.state)),
        f"{group.runs:,}",
        lambda: link(f"run {group.newest_run_id}", f"/runs/{group.newest_run_id}"),
        retry,
    ]
