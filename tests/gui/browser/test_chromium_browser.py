"""A browser test that fails says what was seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from command import ROOT

HERE = os.path.join(ROOT, "tests", "kit", "pages")
PAGE = re.compile(r"^-+ Page data:[^\n]*\n(.*?)^[_=]", re.DOTALL | re.MULTILINE)
FAILS = """
import pytest


@pytest.fixture
def shown(chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto("data:text/html,<h1>In sight</h1><p hidden>Out of sight</p>")
    page.evaluate("console.error('said to the console'); console.log('chatter')")
    page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    page.wait_for_timeout(200)
    yield page
    context.close()


def test_it_goes_well(shown):
    shown.set_content("All is well")


def test_it_fails(shown):
    assert shown.inner_text("h1") == "Something else"


@pytest.fixture
def logged_in(shown):
    raise ValueError("nobody can log in")


def test_it_does_not_begin(logged_in):
    pass
"""


def test_a_test_that_fails_says_what_its_page_showed(chromium, tmp_path):
    (tmp_path / "test_pages.py").write_text(FAILS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "chromium_browser", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": HERE},
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    pages = PAGE.findall(done.stdout)
    assert len(pages) == 2, "of the one that fails, and of the one that does not begin"
    for page in pages:
        for words in ("In sight", "console error: said to the console", "error: thrown"):
            assert words in page, done.stdout
        for words in ("Out of sight", "chatter"):
            assert words not in page, done.stdout
    assert "All is well" not in done.stdout
