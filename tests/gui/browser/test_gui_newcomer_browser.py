"""What a newcomer looks for, in a real Chromium: what is wrong, why, where things are, and keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gui_harness import Scene
from test_gui_browser import Watched
from test_gui_runs import fail_run, make_run

ATTENTION = ".attention-line"


@pytest.fixture
def oto(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of an operator, as large as a laptop's."""
    made = Watched(chromium, served, viewport={"width": 1440, "height": 900})
    made.log_in("oto")
    yield made
    made.close()


def test_runs_that_failed_alike_are_one_line_that_leads_to_them(served: Scene, oto: Watched):
    page = oto.page
    numbers = [fail_run(served, f"shelf {one} of 9 is bent", bend=one) for one in (3, 4)]
    oto.open("/")
    line = page.locator(ATTENTION, has_text="is bent")
    line.filter(has_text="2 times").wait_for()
    assert line.count() == 1
    # What was accepted when the store was made is no matter for today.
    assert page.locator(ATTENTION, has_text="lie on one device").count() == 0
    line.locator("a").click()
    page.wait_for_url("**/runs?state=failed&workflow=audit")
    for number in numbers:
        page.wait_for_selector(f"a[href='/runs/{number}']")
    oto.open("/storage")
    page.wait_for_selector("text=lie on one device")
    assert oto.problems == []


def test_figures_and_rows_of_the_overview_lead_on(served: Scene, oto: Watched):
    page = oto.page
    number = fail_run(served, "the lamp is out", workflow="ua_2", action="light_up")
    oto.open("/")
    page.locator("a.metric", has_text="Failed").click()
    page.wait_for_url("**/runs?state=failed&period=24h")
    oto.open("/")
    # It is called by what it was about, in the list and above it.
    page.locator(ATTENTION, has_text="Run an action: light_up: audit: the lamp is out").wait_for()
    row = page.locator("tr", has_text="the lamp is out")
    assert row.get_by_text("Run an action: light_up", exact=True).count() == 1
    row.locator("a").first.click()
    page.wait_for_url(f"**/runs/{number}")
    oto.open("/")
    page.locator(".timeline a", has_text="Ingest demo").click()
    page.wait_for_url("**/explorer?ingest_batch=demo")
    page.wait_for_selector(".ds-tile")
    assert oto.problems == []


def test_a_run_that_failed_says_why_on_its_first_screen(served: Scene, oto: Watched):
    page = oto.page
    number = fail_run(served, "the rope is too short by 3 m", rope=1)
    oto.open(f"/runs/{number}")
    for words in ("the rope is too short by 3 m", "What to do:", "Retry from failure"):
        found = page.locator(".card").first.get_by_text(words).first
        found.wait_for()
        assert found.bounding_box()["y"] < 500
    log = page.locator("h2:text-is('Log')").bounding_box()
    assert log["y"] < page.locator("h2:text-is('Timeline')").bounding_box()["y"]
    assert log["y"] < 900
    assert oto.problems == []


def test_addresses_of_nothing_are_answered_by_a_page_of_ours(oto: Watched):
    page = oto.page
    for path in ("/runs/99999999", "/runs/abc", "/no-such-page", "/node/nothing-of-this-name"):
        answer = page.goto(oto.served.address + path)
        assert answer.status == 404, path
        page.wait_for_selector("h1:has-text('Not here')")
        page.click("text=Back to the overview")
        page.wait_for_selector("text=Needs attention")


def test_the_queues_lead_to_what_lies_in_redis(oto: Watched):
    page = oto.page
    oto.open("/gates")
    with page.expect_popup() as opened:
        page.click("text=What lies in Redis")
    opened.value.wait_for_load_state()
    assert "/rq" in opened.value.url and "Queues" in opened.value.content()


def test_keys_are_listed_and_lead_past_the_navigation(oto: Watched):
    page = oto.page
    oto.open("/explorer?media_type=image")
    page.wait_for_selector(".ds-tile")
    keys = page.locator(".key-list")
    assert not keys.is_visible()
    page.keyboard.press("?")
    keys.get_by_text("go to a page").wait_for()
    assert keys.locator("dt:text-is('g e') + dd").inner_text() == "Explorer"
    page.keyboard.press("Escape")
    keys.wait_for(state="hidden")
    oto.open("/explorer?media_type=image")
    page.wait_for_selector(".ds-tile")
    for key in ("Tab", "Enter", "Tab", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.classList.contains('ds-tile')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/node/*")
    assert oto.problems == []


def test_an_ingest_leads_to_what_it_brought_in(served: Scene, oto: Watched):
    page = oto.page
    number = make_run(served, "ua_1", batch="demo", folder="/nowhere/demo")
    oto.open(f"/runs/{number}")
    page.click("text=All of demo")
    page.wait_for_url("**/explorer?ingest_batch=demo")
    page.wait_for_selector(".ds-tile:has-text('Picture 3')")
    assert oto.problems == []


def test_a_press_counts_although_the_button_is_built_anew_under_it(served: Scene, oto: Watched):
    page, runs = oto.page, served.database.runs
    oto.open("/gates")
    line = page.locator("tr:has-text('io')")
    button = line.locator("button:text-is('Pause')").element_handle()
    place = button.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    try:
        runs.set_queue("cpu", paused=True, by="somebody else")
        page.wait_for_function("(button) => !button.isConnected", arg=button)
        page.mouse.up()
        line.locator("text=paused").first.wait_for()
    finally:
        for queue in ("cpu", "io"):
            runs.set_queue(queue, paused=False, by="test")
    assert oto.problems == []
