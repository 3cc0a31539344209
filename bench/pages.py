"""How fast the explorer is in a browser: tiles, scrolling, thumbnails, and search as one types.

    python -m bench.pages [--nodes 1000000] [--tiles 100000] [--folder /var/tmp] [--json]

Owns the world of bench/words.py in a fresh database, a store without its engine, and a Chromium
(`apt-get install chromium`; playwright is among the packages of `./drystone test`). Measured in the
page itself, as a viewer at 1440 x 900: from the navigation to the first tiles; frames per second
while 100,000 tiles that were loaded are scrolled; how long thumbnails take that exist; and how long
the answer to a search takes after each word. The goals are below; a busy machine misses them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Generator
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bench.words import VOCABULARY, WORLD
from fsd.engine.setup import init_store
from gui.access.people import add_user
from gui.core.config import load_gui_config
from gui.core.server_process import api_process, pages_process
from sql import Database, parse_selector
from sql.server import server

GOALS = {
    "first tiles, ms: p95": (300, "at most"),
    "frames/s": (55, "at least"),
    "thumbnails, ms: p95": (100, "at most"),
    "search as one types, ms: p95": (150, "at most"),
}
ROUNDS = 20
PICTURES = 600
PASSWORD = "correct horse battery staple"
EXPLORER = "/explorer?media_type=image"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]

_FIRST = """new Promise((told) => {
    const look = () => document.querySelectorAll('.ds-tile').length >= 12
        ? told(performance.now()) : requestAnimationFrame(look);
    look();
})"""
_LOAD = """async (wanted) => {
    const places = () => [...document.querySelectorAll('.ds-tile')].map((t) => +t.dataset.place);
    const last = () => Math.max(...places());
    while (last() < wanted) {
        scrollTo(0, document.body.scrollHeight);
        await new Promise(requestAnimationFrame);
    }
    return last();
}"""
_SCROLL = """(seconds) => new Promise((told) => {
    const begin = performance.now();
    let frames = 0;
    const step = (now) => {
        if (now - begin > seconds * 1000) return told(frames / (now - begin) * 1000);
        frames += 1;
        scrollBy(0, -50);
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""
_TAKEN = """(part) => performance.getEntriesByType('resource')
    .filter((one) => one.name.includes(part)).map((one) => one.duration)"""


def p95(taken: list[float]) -> float:
    return round(sorted(taken)[int(0.95 * (len(taken) - 1))], 1)


@contextlib.contextmanager
def served(folder: str, nodes: int) -> Generator[str]:
    """Yield the address of pages over a database of so many nodes."""
    place = server.Place(os.path.join(folder, "data"), os.path.join(folder, "run"))
    server.start(place)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, place)
        root = os.path.join(folder, "store")
        config = init_store(root, [os.path.join(folder, one) for one in ("d1", "d2")], None)
        path = os.path.join(config.root, "drystone.toml")
        with open(path, "a", encoding="utf-8") as file:
            dsn = json.dumps(server.dsn(place))
            file.write(f"\n[database]\ndsn = {dsn}\n\n[gui]\nport = 0\n")
        gui = load_gui_config(path)
        with Database.connect(server.dsn(place)) as database:
            with open(WORLD, encoding="utf-8") as file:
                statements = file.read().format(nodes=nodes, words=VOCABULARY).split(";\n")
            with database.connection() as connection:
                for statement in filter(str.strip, statements):
                    connection.execute(statement.encode())
            database.read_words()
            add_user(database, "vera", "viewer", PASSWORD)
            newest = database.explore.page(
                parse_selector("{version: 1, where: {media_type: image}}"), limit=500
            )
        for number, node in enumerate(newest[:PICTURES]):
            path = os.path.join(gui.thumbnail_dir, node.key[:2], f"{node.key}-small.webp")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Image.effect_noise((320, 240), 40 + number % 60).save(path, "WEBP")
        pages_process(gui).start()
        stack.callback(pages_process(gui).stop)
        running, _ = api_process(gui).start()
        stack.callback(api_process(gui).stop)
        yield running.address


def measure(page: Page, address: str, tiles: int, seconds: float) -> dict[str, float]:
    """Return the figures of one browser."""
    page.goto(f"{address}/login")
    page.fill("#name", "vera")
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    first: list[float] = []
    thumbnails: list[float] = []
    for _ in range(ROUNDS):
        page.goto(address + EXPLORER, wait_until="commit")
        first.append(page.evaluate(_FIRST))
        page.wait_for_load_state("networkidle")
        thumbnails += page.evaluate(_TAKEN, "/thumbnail/")
    loaded = page.evaluate(_LOAD, tiles)
    frames = page.evaluate(_SCROLL, seconds)
    return {
        "first tiles, ms: p95": p95(first),
        "thumbnails, ms: p95": p95(thumbnails),
        "tiles that were loaded": loaded,
        "frames/s": round(frames, 1),
        "search as one types, ms: p95": p95(_searched(page, address)),
    }


def _searched(page: Page, address: str) -> list[float]:
    generator = random.Random(1)
    taken: list[float] = []
    for _ in range(ROUNDS):
        page.goto(address + EXPLORER)
        page.wait_for_selector(".ds-tile")
        page.evaluate("performance.clearResourceTimings()")
        for word in (
            f"w{generator.randrange(5, 50)}",
            f"w{generator.randrange(1_000, VOCABULARY)}",
        ):
            with page.expect_response(lambda answer: "/explorer/nodes" in answer.url):
                page.locator("input[data-search]").press_sequentially(f"{word} ", delay=60)
        page.wait_for_load_state("networkidle")
        taken += page.evaluate(_TAKEN, "/explorer/nodes")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument(
        "--tiles", type=int, default=100_000, help="so many are loaded and scrolled"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="so long they are scrolled")
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        os.chmod(folder, 0o755)  # as root the server runs as another user
        with served(folder, given.nodes) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(120_000)
            figures: dict[str, Any] = {"nodes": given.nodes}
            figures |= measure(page, address, min(given.tiles, given.nodes // 2), given.seconds)
            browser.close()
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        goal = " ".join(map(str, GOALS[name][::-1])) if name in GOALS else ""
        print(f"{name:36}{value:>14}  {goal}")


if __name__ == "__main__":
    main()
