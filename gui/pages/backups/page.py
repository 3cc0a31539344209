"""Backups of the database: it owns what is shown of them, and asking for one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from nicegui import ui

from gui.reading.polled import late_of
from gui.reading.poller import Poller
from gui.widgets.acts import act_button
from gui.widgets.blocks import (
    ago,
    at,
    box,
    card,
    empty,
    metric,
    notice,
    pairs,
    size,
)
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge
from sql import LateBackup

LISTED = 20


class BackupView(NamedTuple):
    """One backup as it is shown."""

    name: str
    kind: str
    state: str
    start_time: datetime
    size_bytes: int
    copies: str
    check: str
    problems: tuple[str, ...]


def build(view: View) -> None:
    """Build the page."""
    view.live(_show_last, _last_of)
    with box("row"):
        act_button(
            view.desk, "run.start", "Back up now", {"workflow": "backup"}, classes="primary",
            done=lambda run: (
                f"run {run.run_id} {'makes the backup' if run.created else 'makes one already'}; "
                "it shows here when it is checked"
            ),
            then=lambda run: ui.navigate.to(f"/runs/{run.run_id}"),
        )  # fmt: skip
    view.live(_show_list, backups_of)


PAGE = Page(
    "Backups", "/backups", "viewer", "Store", build=build, key="b", place=2,
    lead="The database, on two disks at least, and restored into a scratch server each time.",
)  # fmt: skip


def backups_of(poller: Poller) -> tuple[BackupView, ...]:
    """Return the newest backups."""
    late = late_of(poller)
    return tuple(_view(one) for one in late.backups[:LISTED]) if late else ()


def _view(one: LateBackup) -> BackupView:
    report: dict[str, Any] = json.loads(one.report)
    check = report.get("check")
    return BackupView(
        name=one.name,
        kind=one.kind,
        state=one.state,
        start_time=one.start_time,
        size_bytes=one.size_bytes,
        copies=", ".join(str(copy) for copy in report.get("copies", ())) or "none",
        check=_check_words(check) if check else "never finished",
        problems=tuple(str(line) for line in (*report["problems"], *report["warnings"])),
    )


def _check_words(check: dict[str, Any]) -> str:
    compared = check.get("sample_compared")
    return (
        f"{check['tables']} tables, {check['rows']:,} rows, {check['constraints']} constraints; "
        + (f"{compared} files compared with the store" if compared is not None else "no file "
           "compared with the store")
    )  # fmt: skip


def _last_of(poller: Poller) -> tuple[tuple[str, str, str], ...] | None:
    late = late_of(poller)
    if late is None:
        return None
    last = late.backups[0] if late.backups else None
    good = next((one for one in late.backups if one.state == "ok"), None)
    return (
        ("Last backup", ago(last.end_time) if last else "never", last.state if last else ""),
        ("Last good one", ago(good.end_time) if good else "never", good.kind if good else ""),
        ("Copies", str(good.copy_count) if good else "0", "on different disks"),
        ("Size of one copy", size(good.size_bytes) if good else "none", ""),
    )


def _show_last(figures: tuple[tuple[str, str, str], ...] | None) -> None:
    if figures is None:
        empty("The database has not answered yet.", "Start it, and this page fills itself.",
              "drystone up")  # fmt: skip
        return
    with box("metrics"):
        for label, value, hint in figures:
            metric(label, value, hint, "bad" if value == "never" else "")


def _show_list(found: tuple[BackupView, ...]) -> None:
    with card("Backups and their restore checks"):
        if not found:
            empty("There is no backup yet.", "Press the button above, or run it each night.",
                  "drystone db backup")  # fmt: skip
            return
        cols = (
            Col("Backup", "name"),
            Col("Kind", "kind"),
            Col("State", "state", state_badge),
            Col("Begun", "start_time", at),
            Col(">Size", "size_bytes", size),
            Col("Restore check", "check"),
        )
        table(found, cols, "Backups")
        newest = found[0]
        for line in newest.problems:
            notice(line, "bad" if newest.state == "failed" else "warn")
        pairs((("Copies of the newest", newest.copies),))
