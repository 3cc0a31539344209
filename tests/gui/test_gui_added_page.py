"""A page is a folder: one that is put beside the others is found, listed, guarded, kept fresh."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gui_harness
import pytest
from gui_harness import Scene

READING = '''
"""What the page reads."""

from typing import NamedTuple

from gui.reading.desk import Desk


class Line(NamedTuple):
    """A queue, and whether it is paused."""

    queue: str
    is_paused: bool


def read_queues(desk: Desk, prefix: str = "") -> tuple[Line, ...]:
    """Read the queues whose name begins so; blocks."""
    found = desk.database().runs.queues(desk.jobs_config.queues)
    return tuple(Line(one.queue, one.paused) for one in found if one.queue.startswith(prefix))
'''
PAGE = '''
"""Queues, as an example."""

from gui.pages.example.reading import Line, read_queues
from gui.widgets.acts import act_button
from gui.widgets.blocks import card
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View


def build(view: View) -> None:
    """Build the page."""
    view.live(show)
    act_button(
        view.desk, "queue.pause", "Pause one", {}, title="Which queue?", fields=["queue"],
        agree="Pause it",
        done=lambda answer: f"{answer.queue} is paused",
    )


def show(lines: tuple[Line, ...]) -> None:
    """Show the queues."""
    cols = (Col("Queue", "queue"), Col("State", lambda one: "held" if one.is_paused else "runs"))
    with card("Queues there are"):
        table(lines, cols, "Queues")


PAGE = Page("Example", "/example", "viewer", "Work", read=read_queues, build=build, key="x")
'''


@pytest.fixture
def added(tmp_path: Path) -> Iterator[None]:
    """Put a folder with a page beside those of Drystone."""
    import gui.pages

    folder = tmp_path / "example"
    folder.mkdir()
    for name, words in (("__init__", '"""An example."""'), ("reading", READING), ("page", PAGE)):
        (folder / f"{name}.py").write_text(words)
    gui.pages.__path__.append(str(tmp_path))
    yield
    gui.pages.__path__.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("gui.pages.example")]:
        del sys.modules[name]


@pytest.mark.asyncio
async def test_a_folder_with_a_page_is_one_of_the_pages(scene: Scene, added: None):
    from nicegui import ui

    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open("/")
        await user.should_see("Example")
        await user.open("/example?prefix=gp")
        await user.should_see("Queues there are")
        await user.should_see("runs")
        await user.should_not_see("held")
        # The dialog comes from the model of the operation's request.
        user.find("Pause one").click()
        await user.should_see("Which queue?")
        user.find(kind=ui.input).type("gpu")
        user.find("Pause it").click()
        await user.should_see("gpu is paused")
        await user.should_see("held")
    try:
        async with gui_harness.simulated(scene, "vera") as (user, _):
            await user.open("/example")
            await user.should_see("held")
            await user.should_not_see("Pause one")
    finally:
        scene.database.runs.set_queue("gpu", paused=False, by="test")
