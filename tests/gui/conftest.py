"""Fixtures of the pages: one filled store for each worker, its server, and a real browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import gui_harness
import pytest
from gui_harness import Scene

# Before NiceGUI is imported: it decides then where it may keep what it stores.
os.environ.setdefault("NICEGUI_STORAGE_PATH", os.path.join(tempfile.gettempdir(), "ds-no-storage"))

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def scene(database_server: str, database_template: str) -> Iterator[Scene]:
    """A filled store with people, not served."""
    with gui_harness.scene(database_server, database_template) as made:
        yield made


@pytest.fixture(scope="session")
def served(scene: Scene) -> Iterator[Scene]:
    """The same store with its pages served."""
    with gui_harness.served(scene) as made:
        yield made


@pytest.fixture(scope="module")
def chromium():
    """A running Chromium; skips where there is none.

    Of a module, not of the session: its event loop would be in the way of other tests' loops.
    """
    if not os.path.exists(CHROMIUM):
        pytest.skip("chromium is not installed (apt install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
