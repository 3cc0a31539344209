"""Bringing files in from the browser: dropped ones, folders of the inbox, and the whole inbox."""

from __future__ import annotations

from nicegui.element import Element

from gui.pages.runs.acts import start
from gui.reading.desk import Desk
from gui.widgets.acts import dialog
from gui.widgets.blocks import box, button, card, link, text
from gui.widgets.frame import visitor

TITLE = "Bring the first files in"


class DropFiles(Element, component="../../static/drop_files.js"):
    """Takes files that are dropped or chosen into the inbox, and says when they are in."""


def show_first_steps(desk: Desk) -> None:
    """Show what to do in a system without files, and do it."""
    with card(TITLE, "nothing is here yet"):
        if not visitor().may("operator"):
            text("An operator brings files in; they are shown here then.", "hint", "p")
            return
        DropFiles()
        _ways(desk)


async def ask_for_files(desk: Desk) -> None:
    """Let a person bring files in, whatever is there."""

    def build() -> None:
        DropFiles()
        _ways(desk)

    await dialog("Bring files in", build, (("Close", True, ""),), "wide")


def _ways(desk: Desk) -> None:
    inbox = desk.store_config.area_path("3a")
    text(f"Folders of scrapers lie in the inbox, {inbox}: copy yours there.", "hint", "p")
    with box("row"):
        link("Bring in a folder of the inbox", "/scheduler/start/ua_1", "button")
        button("Bring in all that is ready", lambda: start(desk, "inbox", {}),
               hint="Every folder of the inbox with a _READY.json")  # fmt: skip
        link("Let the clock do it", "/scheduler/start/inbox", "button quiet")
