"""The pages in a real Chromium: what a person sees and presses, and that nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from gui_harness import HOSTILE, PASSWORD, Scene

from fsd.cli import daemon
from jobs import load_jobs_config
from jobs.queues import redis_server

PAGES = ("/", "/explorer?media_type=image", "/storage", "/backups", "/users", "/account")
SERIOUS = ("serious", "critical")


class Watched:
    """A page of a browser, and everything about it that should not be."""

    def __init__(self, browser, served: Scene, **options) -> None:
        self.served = served
        self.problems: list[str] = []
        self.context = browser.new_context(**options)
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

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        self.open("/login")
        self.page.fill("#name", name)
        self.page.fill("#password", password)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")


@pytest.fixture
def watched(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of nobody yet."""
    made = Watched(chromium, served)
    yield made
    made.context.close()


@pytest.fixture
def ada(watched: Watched) -> Watched:
    """A browser of the admin."""
    watched.log_in("ada")
    watched.page.wait_for_selector("text=Needs attention")
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
    ada.page.wait_for_selector("h1:has-text('onerror')")
    assert ada.page.inner_text("h1") == HOSTILE
    assert ada.page.evaluate("window.hacked") is None
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


def test_the_keyboard_is_enough(ada: Watched):
    page = ada.page
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
    page.wait_for_selector("text=Copies on disks")
    page.keyboard.press("t")
    page.wait_for_selector("body.body--dark")
    page.reload()
    page.wait_for_selector("body.body--dark")


def test_a_phone_shows_everything_in_its_width(chromium, served: Scene):
    phone = Watched(chromium, served, viewport={"width": 360, "height": 740}, is_mobile=True)
    phone.log_in("ada")
    for path in PAGES:
        phone.open(path)
        phone.page.wait_for_timeout(200)
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360, path
    phone.page.click("text=Menu")
    phone.page.click("nav >> text=Storage")
    phone.page.wait_for_selector("h1:has-text('Storage')")
    assert phone.problems == []
    phone.context.close()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier(chromium, served: Scene, axe: str, scheme: str):
    made = Watched(chromium, served, color_scheme=scheme)
    found: dict[str, list[str]] = {}
    made.open("/login")
    for path in ("/login", *PAGES, "/node/1"):
        if path == PAGES[0]:
            made.log_in("ada")
        made.open(path)
        made.page.wait_for_timeout(300)
        # Through the debugger: the login page's policy allows no script at all.
        made.page.evaluate(axe)
        result = made.page.evaluate("axe.run()")
        found[path] = [
            f"{one['id']}: {json.dumps([node['html'][:160] for node in one['nodes'][:3]])}"
            for one in result["violations"]
            if one["impact"] in SERIOUS
        ]
    made.context.close()
    assert {path: lines for path, lines in found.items() if lines} == {}
