"""The first run in a real Chromium: where nothing is, pages say what to do and do it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import label_harness
import pytest
import runs_harness
from jobs_harness import until
from runs_harness import Workshop
from store_harness import write_files
from test_gui_browser import Watched, axe, barriers

__all__ = ["axe"]

BUTTONS = {
    "/": "Bring files in",
    "/explorer": "Choose files",
    "/runs": "Start something",
    "/scheduler": "Schedule an action",
    "/pipelines": "Write a pipeline",
    "/labelling": "Ask the first question",
    "/datasets": "Make the first dataset",
}
"""What each page has where it is empty, and does the first step."""


@pytest.fixture(scope="module")
def work(database_server: str, database_template: str) -> Iterator[Workshop]:
    """An empty store with a worker and a scheduler, served."""
    with runs_harness.workshop(database_server, database_template, pictures=0) as made:
        yield made


def browser(chromium, work: Workshop, name: str) -> Watched:
    made = Watched(chromium, work, viewport={"width": 1440, "height": 900})
    made.log_in(name)
    return made


def upload(data: bytes) -> dict:
    return {"name": "same.jpg", "mimeType": "image/jpeg", "buffer": data}


def state_of(work: Workshop, batch: str) -> str:
    known = {one.name: one.state for one in work.database.ingests.batches()}
    return known.get(batch, "")


def test_empty_pages_lead_to_the_first_files(chromium, work: Workshop, axe: str):
    vera = browser(chromium, work, "vera")
    vera.open("/explorer?media_type=image,video")
    vera.page.wait_for_selector("text=An operator brings files in")
    assert vera.page.locator("input[type=file]").count() == 0
    vera.close()
    oto = browser(chromium, work, "oto")
    page = oto.page
    for address, words in BUTTONS.items():
        oto.open(address)
        page.locator("main").get_by_text(words).first.wait_for()
        assert barriers(page, axe) == [], address
    oto.open("/")
    page.click("text=Bring files in")
    page.wait_for_selector("h2:has-text('Bring the first files in')")
    # Files of one name, of a person who has no shell, are found a moment later.
    files = [upload(data) for data in label_harness.pictures(3).values()]
    page.set_input_files("[aria-label='Choose files']", files)
    page.wait_for_selector("[role=status] >> text=3 files are in.")
    page.click("text=Look at them")
    page.wait_for_selector(".ds-tile >> nth=2")
    assert page.locator("text=Bring the first files in").count() == 0
    # What fits no filter is said with the way out.
    oto.open("/explorer?extension=flac")
    page.click("text=Show everything")
    page.wait_for_selector(".ds-tile >> nth=2")
    # The inbox is started from here, too; a folder of it is chosen in a form.
    folder = write_files(os.path.join(work.store.config.area_path("3a"), "scraped"),
                         label_harness.pictures(2, "bmp"))  # fmt: skip
    write_files(folder, {"_READY.json": b'{"format": "plain-folder", "batch": "scraped"}'})
    page.click("text=Add files")
    page.click(".dialog >> text=Bring in all that is ready")
    page.wait_for_url("**/runs/*")
    # Each folder comes in by a run of its own, which that run only begins.
    until(lambda: state_of(work, "scraped") in ("described", "packed"))
    oto.open("/explorer?ingest_batch=scraped")
    page.wait_for_selector(".ds-tile >> nth=1")
    assert oto.problems == []
    oto.close()


def test_a_pipeline_is_written_by_a_form(chromium, work: Workshop):
    oto = browser(chromium, work, "oto")
    page = oto.page
    oto.open("/pipelines")
    page.click("button:text-is('Write a pipeline')")
    page.fill(".dialog [aria-label^='Name']", "pictures")
    page.fill(".dialog [aria-label='What it is for']", "Each new picture")
    page.fill(".dialog textarea", "image_probe\nimage_prob")
    page.click(".dialog button:text-is('Declare it')")
    page.wait_for_selector("text=/image_prob\\b.*did you mean/")
    page.click("button:text-is('Write a pipeline')")
    page.fill(".dialog [aria-label^='Name']", "pictures")
    page.fill(".dialog [aria-label='What it is for']", "Each new picture")
    page.fill(".dialog textarea", "image_probe\nnear_duplicates")
    page.click(".dialog button:text-is('Declare it')")
    page.wait_for_selector("h2:text-is('pictures')")
    page.wait_for_selector("h3:text-is('2 near_duplicates')")
    assert oto.problems == []
    oto.close()
