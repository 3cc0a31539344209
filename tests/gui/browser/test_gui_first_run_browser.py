"""The first run in a real Chromium: where nothing is, pages say what to do and do it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import label_harness
import pytest
import runs_harness
from jobs_harness import until
from runs_harness import Workshop
from store_harness import write_files
from test_gui_browser import Watched, axe, barriers

from sql import ReceivedRow

__all__ = ["axe"]

BUTTONS = {
    "/": "Bring files in",
    "/explorer": "Choose files",
    "/received": "Choose files",
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
    # Files are called as they were, not by their hashes.
    names = page.locator(".ds-title").all_inner_texts()
    assert sorted(names) == sorted(
        os.path.basename(name) for name in label_harness.pictures(2, "bmp")
    )
    assert oto.problems == []
    oto.close()


def interrupted(page, pieces: int) -> list[str]:
    """Let the connection break behind so many pieces; return the offsets that are sent."""
    offsets: list[str] = []

    def answer(route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        offsets.append(route.request.headers["upload-offset"])
        route.abort() if len(offsets) > pieces else route.continue_()

    page.route("**/api/v1/uploads/**", answer)
    return offsets


def test_a_large_file_goes_on_where_it_was(chromium, work: Workshop, tmp_path: Path):
    data = os.urandom(20 << 20)
    path = tmp_path / "large.bin"
    path.write_bytes(data)
    oto = browser(chromium, work, "oto")
    page = oto.page
    oto.open("/received")
    offsets = interrupted(page, 1)
    page.set_input_files("[aria-label='Choose files']", path)
    until(lambda: page.locator("progress").count() and len(offsets) > 1)
    # The page is left, and the same file chosen again.
    page.unroute("**/api/v1/uploads/**")
    oto.open("/received")
    offsets = interrupted(page, 99)
    page.set_input_files("[aria-label='Choose files']", path)
    page.wait_for_selector("[role=status] >> text=1 files are in.")
    assert offsets == [str(8 << 20), str(16 << 20)]
    assert work.store.client.head(hashlib.sha256(data).hexdigest())
    page.wait_for_selector("[aria-label='Requests'] tr:has-text('upload') >> text=done")
    # A thing that aborts is told by the browser, too.
    assert [one for one in oto.problems if "ERR_FAILED" not in one] == []
    oto.close()


def test_dead_letters_are_looked_at_and_replayed(chromium, work: Workshop, axe: str):
    """A payload that is markup stays text; what could be read comes in."""
    hostile = b'{"note": "<img src=x onerror=window.hacked=1>"}'
    lost = b'{"note": "nobody has it any more"}'
    keys = [hashlib.sha256(data) for data in (hostile, lost)]
    request = "0" * 20 + "deadbeef1234"
    row = ReceivedRow(
        request_id=request, account="oto", owner="", source="letters", time_s=time.time(),
        keys=b"".join(key.digest() for key in keys), about="{}", batch="received-dead",
        first_place=0,
    )  # fmt: skip
    book = work.database.received
    book.tell([row], book.progress())
    inbox = work.store.config.area_path("3a")
    write_files(os.path.join(inbox, "received-dead", "letters"), {"000001.json": hostile})
    folder = os.path.join(inbox, "received-dead")
    work.database.ingests.open("received-dead", "json", "oto", folder, 2, len(hostile + lost))
    work.database.ingests.set_state("received-dead", "stopped", "no luck")
    paths = ["letters/000001.json", "letters/000002.json"]
    book.failed("received-dead", "<b>no luck</b>", lambda _: paths)
    first, _ = book.letters(request_id=request)
    vera = browser(chromium, work, "vera")
    assert vera.page.goto(work.address + "/received").status == 403
    vera.close()
    for width in (390, 1440):
        oto = Watched(chromium, work, viewport={"width": width, "height": 900})
        oto.log_in("oto")
        oto.open(f"/received?sent={request}&letter={first.letter_id}")
        page = oto.page
        page.wait_for_selector("[aria-label='Payload'] >> text=onerror=window.hacked=1")
        page.wait_for_selector("[aria-label='States of the request']")
        assert page.locator("[aria-label='Dead letters'] tbody tr").count() == 2
        assert page.locator("text=<b>no luck</b>").count() > 0
        page.wait_for_selector("[aria-label='Parts of the request'] >> text=failed")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert barriers(page, axe) == []
        assert oto.problems == []
        if width == 390:
            oto.close()
    page.click("button:text-is('Replay all')")
    page.click(".dialog button:text-is('Replay them')")
    page.wait_for_selector("text=1 part in the inbox again; its payload cannot be read")
    page.wait_for_selector("[aria-label='Dead letters'] tbody tr:has-text('cannot be read')")
    until(lambda: [one.state for one in book.letters(request_id=request)] == ["done", "open"])
    assert work.store.client.head(keys[0].hexdigest())
    write_files(os.path.join(inbox, "received-dead", "letters"), {"000002.json": lost})
    page.click("[aria-label='Dead letters'] tbody tr >> text=Replay")
    page.wait_for_selector("text=Everything that was sent came in.")
    until(lambda: not os.path.exists(os.path.join(inbox, "received-dead")))
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
