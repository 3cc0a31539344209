"""A real Chromium for tests, and what its pages showed when one failed.

Browser tests fail elsewhere, where nobody can look: the report has to say what was seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or ""
"""The same browser without its own windows: these cost a second of a processor for each page."""
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
TEXT_LENGTH_MAX = 4_000
MESSAGES_MAX = 40
LOOK_TIMEOUT_MS = 5_000
TROUBLE = ("error", "warning")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium; skips where there is none.

    Of a module, not of the session: its event loop would be in the way of other tests' loops.
    """
    if not CHROMIUM:
        pytest.skip("chromium is not installed (apt install chromium-headless-shell)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a test that failed what its browser shows."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("chromium")
    if report.failed and report.when != "teardown" and browser is not None:
        for context in browser.contexts:
            for page in context.pages:
                report.sections.append((f"Page {page.url}", shown_on(page)))
    return report


def shown_on(page: Page) -> str:
    """Return the text in sight on a page, and what it said to nobody."""
    from playwright.sync_api import Error

    try:
        text = page.inner_text("body", timeout=LOOK_TIMEOUT_MS)[:TEXT_LENGTH_MAX]
        said = [
            f"console {one.type}: {one.text}"
            for one in page.console_messages()
            if one.type in TROUBLE
        ]
        errors = [f"error: {error}" for error in page.page_errors()]
    except Error as error:  # It hangs, or is gone.
        return f"It cannot be looked at: {error}"
    return "\n".join([text, *said[-MESSAGES_MAX:], *errors[-MESSAGES_MAX:]])
