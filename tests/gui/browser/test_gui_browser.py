"""The pages in a real Chromium: what a person sees and presses, and that nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from gui_harness import HOSTILE, PASSWORD, Scene, images

from fsd.cli.daemons import daemon
from jobs import load_jobs_config
from jobs.queues import redis_server
from sql import NewWebhook, Try

PAGES = ("/", "/explorer?media_type=image", "/storage", "/backups", "/users", "/account")
ALL_PAGES = (
    *PAGES, "/scheduler", "/scheduler/start/ua_1", "/scheduler/start/ua_2", "/runs", "/pipelines",
    "/gates", "/labelling", "/datasets", "/datasets/new", "/schemas", "/received", "/webhooks",
    "/statistics", "/node/1", "/nowhere",
)  # fmt: skip
SCREENS = {"phone, dark": (390, 844, "dark"), "200 %": (720, 450, "light")}
"""Width and height in pixels of the page: 1440 x 900 at 200 % are half of that."""
CUT_OFF = """[...document.querySelectorAll('.content button, .content td')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.innerText)"""
_free: WeakKeyDictionary[Any, dict[str, list[Any]]] = WeakKeyDictionary()
"""Contexts of browsers that nobody looks at, by their options."""


class Watched:
    """A page of a browser, and everything about it that should not be."""

    def __init__(self, browser, served: Scene, **options) -> None:
        self.served = served
        self.problems: list[str] = []
        # What it has loaded it keeps for the next one: a page of ours begins with 3 MB of scripts.
        free = _free.setdefault(browser, {})
        self._free = free.setdefault(repr(sorted(options.items())), [])
        self.context = self._free.pop() if self._free else browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _asked(self, request) -> None:
        ours = (self.served.address, self.served.address.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(ours):
            self.problems.append(f"asked {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.served.address + path)
        self.page.wait_for_selector("h1")

    def log_in(self, name: str) -> None:
        """Be somebody from the next page on; how a person logs in is a test of its own."""
        cookie, _, secret = self.served.log_in(name).partition("=")
        self.context.add_cookies([{"name": cookie, "value": secret, "url": self.served.address}])

    def close(self) -> None:
        """Leave the browser to the next one as a stranger's."""
        for page in self.context.pages:
            page.close()
        self.context.set_offline(False)
        self.context.clear_cookies()
        self._free.append(self.context)


@pytest.fixture
def watched(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of nobody yet."""
    made = Watched(chromium, served)
    yield made
    made.close()


@pytest.fixture
def ada(watched: Watched) -> Watched:
    """A browser of the admin."""
    watched.log_in("ada")
    return watched


def test_a_person_logs_in_and_out(watched: Watched):
    page = watched.page
    watched.open("/storage")
    assert "/login?next=/storage" in page.url
    page.fill("#name", "ada")
    page.fill("#password", "wrong password")
    page.click("button")
    page.wait_for_selector("text=Name or password is wrong.")
    assert page.input_value("#name") == "ada"
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_selector("h1:has-text('Storage')")
    page.click("text=Log out")
    page.wait_for_selector("h1:has-text('Log in')")
    watched.open("/storage")
    assert "/login" in page.url
    # What a browser says about the 403 of the wrong password.
    assert [line for line in watched.problems if "403" not in line] == []


def test_every_page_is_quiet(ada: Watched):
    for path in PAGES:
        ada.open(path)
        ada.page.wait_for_timeout(300)
    assert ada.problems == []


def test_hostile_text_stays_text(ada: Watched):
    ada.open("/explorer?media_type=image")
    ada.page.wait_for_selector(".ds-tile")
    ada.page.fill("input[data-search]", "onerror")
    # It was in sight before: what was clicked then would go with the list that comes.
    ada.page.wait_for_selector(".chip:has-text('onerror')")
    ada.page.wait_for_function("location.search.includes('onerror')")
    ada.page.wait_for_function("document.querySelectorAll('.ds-tile').length === 1")
    assert ada.page.inner_text(".ds-title") == HOSTILE
    ada.page.click(".ds-tile:has-text('onerror')")
    ada.page.wait_for_selector(".look h2:has-text('onerror')")
    assert ada.page.inner_text(".look h2") == HOSTILE
    ada.page.click("text=All about it")
    ada.page.wait_for_selector("h1:has-text('onerror')")
    assert ada.page.inner_text("h1") == HOSTILE
    assert ada.page.evaluate("window.hacked") is None
    assert ada.problems == []


def test_the_search_field_takes_words_authors_and_kinds(ada: Watched):
    page = ada.page
    ada.open("/explorer")
    field = "input[data-search]"
    page.fill(field, "type:image onerr")
    page.wait_for_selector(".chip:has-text('type: image')")
    page.wait_for_selector(".chip:has-text('onerr*')")
    page.wait_for_function("document.querySelectorAll('.ds-tile').length === 1")
    page.press(field, "Enter")
    # No word any more that only begins like that.
    page.wait_for_selector(".chip:has-text('\"onerr\"')")
    page.wait_for_selector("text=0 nodes")
    page.fill(field, "author:nobody_has_this_name ")
    page.wait_for_selector(".chip:has-text('nobody_has_this_name')")
    page.wait_for_selector("text=0 nodes")
    page.fill(field, "")
    page.wait_for_function("!location.search.includes('words')")
    page.fill(field, "type:nonsense ")
    page.wait_for_selector("text=nonsense")
    assert ada.problems == []


def test_the_address_holds_the_filters(ada: Watched):
    page = ada.page
    ada.open("/explorer")
    page.click(".facet-value:has-text('jpg')")
    page.wait_for_selector(".chip:has-text('extension: jpg')")
    page.wait_for_selector("text=9 nodes")
    address = page.url
    page.wait_for_selector(".ds-tile >> nth=8")
    assert page.locator(".ds-tile").count() == 9
    page.goto(address)
    page.wait_for_selector(".chip:has-text('extension: jpg')")
    page.click(".chip button")
    page.wait_for_selector("text=No filter")
    page.go_back()
    page.wait_for_selector(".chip:has-text('extension: jpg')")
    assert ada.problems == []


def test_yaml_with_a_mistake_is_explained(ada: Watched):
    page = ada.page
    ada.open("/explorer")
    page.click("button:has-text('YAML')")
    page.fill(".dialog textarea", "version: 1\nwhere: {extention: jpg}")
    page.click("button:has-text('Apply')")
    page.wait_for_selector("text=did you mean extension?")
    page.fill(".dialog textarea", "version: 1\nwhere: {extension: jpg}")
    page.click("button:has-text('Apply')")
    page.wait_for_selector(".chip:has-text('extension: jpg')")


def test_a_view_is_saved_and_removed(ada: Watched):
    page = ada.page
    ada.open("/explorer")
    page.click("button:has-text('Save view')")
    page.fill(".dialog input[type=text]", "mine")
    page.click(".dialog button:has-text('Save')")
    page.wait_for_selector("text=mine is saved")
    page.click("button:has-text('Remove view')")
    page.click(".dialog .q-select")
    page.click(".q-item:has-text('mine')")
    page.click(".dialog button:has-text('Remove')")
    page.wait_for_selector("text=mine is removed")
    page.wait_for_selector("button:has-text('Remove view')", state="detached")
    assert ada.problems == []


def test_the_keyboard_is_enough(ada: Watched):
    page = ada.page
    ada.open("/")
    page.wait_for_selector("text=Needs attention")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_selector(".ds-tile")
    page.focus(".ds-tile[tabindex='0']")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.place") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector(".look >> text=All about it")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.dataset.place === '1'")
    page.keyboard.press("t")
    page.wait_for_selector("body.body--dark")
    page.reload()
    page.wait_for_selector("body.body--dark")


def test_a_phone_shows_everything_in_its_width(chromium, served: Scene):
    phone = Watched(chromium, served, viewport={"width": 360, "height": 740}, is_mobile=True)
    phone.log_in("ada")
    packed = served.database.explore.page(images(), newest_first=False, limit=1)[0]
    for path in (*PAGES, f"/node/{packed.node_id}"):
        phone.open(path)
        phone.page.wait_for_timeout(200)
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360, path
        # What a frame cuts off nobody presses; tables are lists here, and none scrolls.
        assert phone.page.evaluate(CUT_OFF) == [], path
    phone.page.click("text=Menu")
    phone.page.click("nav >> text=Storage")
    phone.page.wait_for_selector("h1:has-text('Storage')")
    assert phone.problems == []
    phone.close()


def test_a_disk_is_drained_after_a_question(ada: Watched):
    ada.open("/storage")
    ada.page.click(".disk:has-text('d1') >> text=Drain")
    ada.page.wait_for_selector("text=Empty disk d1?")
    ada.page.click("button:has-text('Cancel')")
    ada.page.wait_for_selector("text=Empty disk d1?", state="detached")
    assert ada.served.store.client.disks()[0].state == "online"
    ada.page.click(".disk:has-text('d1') >> text=Drain")
    ada.page.click("button:has-text('Drain it')")
    ada.page.wait_for_selector(".disk:has-text('d1') >> text=draining")
    ada.page.click(".disk:has-text('d1') >> text=Take it back")
    ada.page.wait_for_selector(".disk:has-text('d1') >> text=online")


def test_an_engine_that_is_down_is_said_and_the_pages_stay(ada: Watched):
    ada.open("/storage")
    ada.page.wait_for_selector(".disk:has-text('d1')")
    daemon.stop_engine(ada.served.store.config)
    try:
        ada.page.wait_for_selector(".banner:has-text('The engine does not answer since')")
        assert ada.page.is_visible(".disk:has-text('d1')")
        ada.open("/explorer?media_type=image")
        ada.page.wait_for_selector(".ds-tile")
    finally:
        ada.served.store.start()
    ada.page.wait_for_selector(".banner", state="detached")
    assert ada.problems == []


def test_a_redis_that_is_down_is_said_on_every_page(ada: Watched):
    jobs = load_jobs_config(ada.served.store.config_path)
    ada.open("/explorer?media_type=image")
    redis_server.stop(jobs)
    try:
        ada.page.wait_for_selector(".banner:has-text('Redis does not answer since')")
    finally:
        redis_server.start(jobs)
    ada.page.wait_for_selector(".banner", state="detached")
    assert ada.problems == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """The text of axe-core; skips where npm cannot get it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, so axe-core cannot be had")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        [npm, "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, timeout=90
    )
    archives = [name for name in os.listdir(folder) if name.endswith(".tgz")]
    if packed.returncode or not archives:
        pytest.skip("npm cannot get axe-core here")
    subprocess.run(["tar", "-xzf", archives[0]], cwd=folder, check=True)
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


def barriers(page, axe: str) -> list[str]:
    """Return what axe-core finds on a page, of any weight."""
    # Through the debugger: the login page's policy allows no script at all.
    page.evaluate(axe)
    result = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {json.dumps([node['html'][:160] for node in one['nodes'][:3]])}"
        for one in result["violations"]
    ]


def test_the_list_has_every_page_that_needs_to_be_told_nothing():
    from gui.pages.registry import found_pages

    assert {one.path for one in found_pages() if "{" not in one.path} <= {
        path.partition("?")[0] for path in ALL_PAGES
    }


@pytest.fixture
def webhook_message(served: Scene) -> Iterator[str]:
    """The address of a message that was not taken, of a webhook that is failing."""
    book = served.database.webhooks
    webhook_id = book.add(
        NewWebhook(
            name="barrier", user_id=None, url="https://example.org/hook", types=("a.b", "c.d"),
            selector=None, authentication="none", credential="", authorities="", batch_max=1,
            signing="whsec_c2VjcmV0", after=0,
        )
    )  # fmt: skip
    events, position = served.database.events.feed(0)
    book.plan(webhook_id, book.webhook("barrier").position, [[events[0].position]], position)
    taken = book.take(webhook_id, 1, 60.0)
    assert taken is not None
    (message,) = taken.messages
    said = Try('{"subject": "run 7"}', 500, "because", 0.25, "the webhook answered 500")
    book.postpone(taken, [], message, said, lambda _: 3_600.0, 1e9)
    yield f"/webhooks?name=barrier&message={message.delivery_id}"
    book.remove(webhook_id)


def rest(page: Any) -> None:
    """Wait until a page says the same for a moment; one that changes on is looked at as it is."""
    before = ""
    for _ in range(20):
        now = page.inner_text("body")
        if now == before:
            return
        before = now
        page.wait_for_timeout(300)


@pytest.mark.parametrize("screen", SCREENS)
def test_no_page_has_a_barrier(
    chromium, served: Scene, axe: str, screen: str, webhook_message: str
):
    width, height, scheme = SCREENS[screen]
    made = Watched(chromium, served, color_scheme=scheme,
                   viewport={"width": width, "height": height})  # fmt: skip
    page, found = made.page, dict[str, list[str]]()
    made.open("/login")
    found["/login"] = barriers(page, axe)
    made.log_in("ada")
    for path in (*ALL_PAGES, webhook_message):
        made.open(path)
        rest(page)
        found[path] = barriers(page, axe)
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            found[path].append(f"{wider} pixels wider than the screen")
    # Also with something chosen, and with a node over the grid.
    made.open("/explorer?extension=jpg")
    page.wait_for_selector(".ds-tile >> nth=1")
    page.wait_for_selector("text=Black-listed")
    page.focus(".ds-tile[tabindex='0']")
    page.keyboard.press("Space")
    page.locator(".chosen-bar", has_text="1 chosen").wait_for()
    found["chosen"] = barriers(page, axe)
    page.keyboard.press("Escape")
    page.locator(".chosen-bar").wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.wait_for_selector(".look .look-facts")
    found["look"] = barriers(page, axe)
    made.close()
    assert {path: lines for path, lines in found.items() if lines} == {}
