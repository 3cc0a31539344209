"""Backups of the database: it owns what is shown of them, and asking for one."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nicegui import ui

from gui.reading.desk import Desk
from gui.reading.polled import late_of
from gui.reading.poller import Poller
from gui.widgets.blocks import (
    ago,
    at,
    badge,
    box,
    button,
    card,
    empty,
    metric,
    notice,
    pairs,
    size,
    table,
)
from gui.widgets.frame import Place, act, add_place, frame, page, tell, visitor
from gui.widgets.live import live
from gui.widgets.words import state_tone
from sql import LateBackup

LISTED = 20


class BackupView(NamedTuple):
    """One backup as it is shown."""

    name: str
    kind: str
    state: str
    when: str
    size: str
    copies: str
    check: str
    problems: tuple[str, ...]


def register(desk: Desk) -> None:
    """Add the page."""
    add_place(Place("Backups", "/backups", "b", group="Store"))

    @page(desk, "/backups")
    def backups() -> None:
        lead = "The database, on two disks at least, and restored into a scratch server each time."
        with frame(desk, "Backups", lead):
            live(desk.poller, _last_of, _show_last)
            if visitor().may("operator"):
                with box("row"):
                    button("Back up now", lambda: _run(desk), "primary")
            live(desk.poller, backups_of, _show_list)


async def _run(desk: Desk) -> None:
    def start() -> tuple[int, bool]:
        run, created = desk.control().start("backup", {}, requested_by=person.name)
        return run.run_id, created

    person = visitor()
    started = await act(desk, "operator", "", start)
    if started:
        run_id, created = started
        word = "makes the backup" if created else "makes one already"
        tell(f"run {run_id} {word}; it shows here when it is checked")
        ui.navigate.to(f"/runs/{run_id}")


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
        when=at(one.start_time),
        size=size(one.size_bytes),
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
        table(
            ("Backup", "Kind", "State", "Begun", ">Size", "Restore check"),
            [
                (
                    one.name,
                    one.kind,
                    lambda one=one: badge(one.state, state_tone(one.state)),
                    one.when,
                    one.size,
                    one.check,
                )
                for one in found
            ],
            "Backups",
        )
        newest = found[0]
        for line in newest.problems:
            notice(line, "bad" if newest.state == "failed" else "warn")
        pairs((("Copies of the newest", newest.copies),))
