"""The pages' logic, with NiceGUI's simulated browser."""

from __future__ import annotations

import time
from typing import Any

import gui_harness
import pytest
from gui_harness import PASSWORD, Scene
from nicegui import ui

from gui.access.people import add_user
from gui.widgets.explorer_routes import name_of
from sql import parse_selector
from sql.rights.grant_book import NewGrant

pytestmark = pytest.mark.asyncio


async def test_the_overview_has_its_three_blocks(scene: Scene):
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/")
        for words in ("Storage", "Batches and runs", "Dataset exports", "Replication lag",
                      "Waiting for GPU", "Needs attention", "Ingest demo", "d1"):  # fmt: skip
            await user.should_see(words)


async def test_a_record_is_called_by_what_it_is_the_record_of(scene: Scene):
    book = scene.database.explore
    found = book.page(parse_selector("{version: 1, where: {extension: json}}"), limit=20)
    assert {f"Picture {number} · json" for number in range(1, 10)} <= {
        name_of(one) for one in found
    }


async def test_nobody_is_led_to_a_page_that_is_not_theirs(scene: Scene):
    from gui.pages.overview.attention import Line, show_attention

    line = Line("warn", "2 tasks wait for labels", "", "Open labelling", "/labelling")
    for name, label, other in (
        ("vera", "Open gates", "Open labelling"),
        ("oto", "Open labelling", "Open gates"),
    ):
        async with gui_harness.simulated(scene, name) as (user, _):
            await user.open("/account")
            with user:
                show_attention((line,))
            await user.should_see(label)
            await user.should_not_see(other)


async def test_the_storage_page_shows_disks_and_areas(scene: Scene):
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/storage")
        for words in ("d1", "d2", "d3", "Stage (3C)", "Capacity", "Scrub", "Drain", "Rebalance"):
            await user.should_see(words)


async def test_a_viewer_sees_no_buttons_that_change_disks(scene: Scene):
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open("/storage")
        await user.should_see("d1")
        await user.should_not_see("Drain")
        answer = await user.http_client.get("/users")
        assert answer.status_code == 403 and "Not for your role" in answer.text


async def test_a_node_shows_what_is_known(scene: Scene):
    first = scene.database.explore.page(gui_harness.images(), newest_first=False, limit=1)[0]
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open(f"/node/{first.node_id}")
        for words in (first.key, "Copies on disks", "Metadata over time", "Ingest demo"):
            await user.should_see(words)
        answer = await user.http_client.get("/node/nothing-of-this-name")
        assert answer.status_code == 404 and "Not here" in answer.text


async def test_a_page_that_takes_long_is_waited_for(scene: Scene):
    from gui.widgets.blocks import text
    from gui.widgets.frame import Page
    from gui.widgets.view import add_page

    async with gui_harness.simulated(scene, "vera") as (user, desk):

        async def build(view: Any) -> None:
            # NiceGUI would answer 500 after three seconds, which a busy database may well take.
            await view.desk.work(time.sleep, 3.3)
            text("it is here")

        add_page(desk, Page("Slow", "/slow", build=build))
        await user.open("/slow")
        await user.should_see("it is here")


@pytest.mark.usefixtures("no_grants")
async def test_a_node_is_shared_on_its_page_and_says_who_sees_it_and_why(scene: Scene):
    node = scene.database.explore.page(gui_harness.images(), limit=1)[0]
    scene.database.users.add("gus", "guest", _hash())
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open(f"/node/{node.key}")
        await user.should_see("Copies on disks")
        await user.should_not_see("Who sees this")
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open(f"/node/{node.key}")
        await user.should_see("By the role: ada (admin)")
        await user.should_see("Nobody else")
        user.find("Share").click()
        await user.should_see("It holds for what lies below")
        for element in user.find(kind=ui.input).elements:
            if str(element.props["label"]).startswith("Account"):
                element.value = "gus"
        user.find("Grant it").click()
        await user.should_see("gus sees it")
        await user.should_see("Take back")
    (made,) = scene.database.rights.grants(account="gus")
    assert (made.node, made.level, made.granted_by) == (node.key, "viewer", "oto")
    above = scene.database.explore.node(node.key).parents[0]["key"]
    scene.database.rights.revoke(made.grant_id)
    scene.database.rights.add(NewGrant("export", "oto", account="gus", node=above))
    scene.database.read_rights()
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open(f"/node/{node.key}")
        for words in ("gus", "export", "Take back"):
            await user.should_see(words)
        user.find("Take back").click()
        await user.should_see("It stands on")
        user.find("Take it back").click()
        await user.should_see("It is taken back")
        await user.should_see("Nobody else")
    assert scene.database.rights.grants(account="gus") == []


@pytest.mark.usefixtures("no_grants")
async def test_a_guest_has_an_explorer_of_what_was_granted(scene: Scene):
    shown = scene.database.explore.page(gui_harness.images(), limit=1)[0]
    add_user(scene.database, "gwen", "guest", PASSWORD)
    add_user(scene.database, "gina", "guest", PASSWORD)
    scene.database.rights.add_group("guests")
    for name in ("gwen", "gina"):
        scene.database.rights.add_member("guests", name)
    async with gui_harness.simulated(scene, "gwen") as (user, _):
        await user.open("/explorer")
        await user.should_see("Nothing is granted to you")
    for level in ("viewer", "share"):
        scene.database.rights.add(NewGrant(level, "oto", account="gwen", node=shown.key))
    scene.database.read_rights()
    async with gui_harness.simulated(scene, "gwen") as (user, _):
        await user.open("/explorer")
        await user.should_see("1 node")
        for words in ("Hidden", "Save view", "Add files"):
            await user.should_not_see(words)
        await user.open(f"/node/{shown.key}")
        await user.should_see("share, view")
        for words in ("Download", "Copies on disks", "By the role", "Take back"):
            await user.should_not_see(words)
        user.find("Share").click()
        await user.should_see("It holds for what lies below")
        for element in user.find(kind=ui.input).elements:
            if str(element.props["label"]).startswith("Account"):
                element.value = "gina"
        user.find("Grant it").click()
        await user.should_see("gina sees it")
        await user.should_see("Take back")
    (made,) = scene.database.rights.grants(account="gina")
    assert (made.node, made.level, made.granted_by) == (shown.key, "viewer", "gwen")


async def test_admins_see_people(scene: Scene):
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/users")
        for words in ("oto", "vera", "Add a person"):
            await user.should_see(words)


async def test_acting_asks_for_the_role_of_now(scene: Scene):
    from gui.widgets.acts import act

    scene.database.users.add("temp", "operator", _hash())
    async with gui_harness.simulated(scene, "temp") as (user, desk):
        await user.open("/storage")
        done: list[str] = []
        with user:
            await act(desk, "operator", "done", done.append, "first")
        scene.database.users.set_role("temp", "viewer")
        desk.sessions.forget()
        with user:
            await act(desk, "operator", "done", done.append, "second")
        await user.should_see("this needs the role operator")
        assert done == ["first"]


async def test_the_session_outlives_a_database_that_is_away(scene: Scene):
    from gui.access.sessions import Sessions
    from sql import DatabaseUnavailableError

    away = False

    def database():
        if away:
            raise DatabaseUnavailableError("gone")
        return scene.database

    sessions = Sessions(scene.config, database)
    secret = sessions.log_in("vera", PASSWORD, "test", "b").secret
    assert secret and sessions.visitor(secret) is not None
    away = True
    asked_before(sessions, 60)
    assert sessions.visitor(secret).name == "vera"
    with pytest.raises(DatabaseUnavailableError):
        sessions.visitor("another")
    asked_before(sessions, 1e6)
    with pytest.raises(DatabaseUnavailableError):
        sessions.visitor(secret)


def asked_before(sessions: Any, time_s: float) -> None:
    sessions._known = {
        key: one._replace(asked=one.asked - time_s) for key, one in sessions._known.items()
    }


async def test_a_part_that_is_down_says_so_and_keeps_its_value():
    from gui.reading.poller import Part, Poller

    state = {"down": False, "value": 1}

    def read() -> int:
        if state["down"]:
            raise ConnectionError("not there")
        return state["value"]

    poller = Poller((Part("one", "One", read),), 0.1)
    told: list[int] = []
    poller.watch("page", lambda: told.append(1))
    await poller.refresh()
    assert poller.value("one") == 1 and poller.down() == ()
    state["down"] = True
    await poller.refresh()
    (down,) = poller.down()
    since = down.down_since
    assert poller.value("one") == 1 and down.reason == "not there"
    await poller.refresh()
    assert poller.reading("one").down_since == since
    state.update(down=False, value=2)
    await poller.refresh()
    assert poller.value("one") == 2 and poller.down() == ()
    calls: list[int] = []
    assert poller.view(lambda one: calls.append(1) or one.value("one")) == 2
    poller.close()


def _hash() -> str:
    from gui.access.passwords import hash_password

    return hash_password(PASSWORD)
