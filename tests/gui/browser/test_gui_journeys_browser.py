"""Whole journeys in a real Chromium: a scrape from inbox to explorer, a dead disk made whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256

import pytest
import runs_harness
from gui_harness import picture
from jobs_harness import until
from runs_harness import Workshop
from store_harness import write_files
from test_gui_browser import Watched
from test_gui_runs_browser import choose, has_ended, run_of

from sql import parse_selector

DISKS = ("d1", "d2", "d3")
WHOLE = ".metric:has-text('Verdict') .metric-value:text-is('Whole')"
UNREADABLE = ".metric:has-text('Verdict') .metric-value:text-is('Unreadable parts')"
NOT_WHOLE = ".metric:has-text('Verdict') .metric-value:text-is('Not whole')"


@pytest.fixture(scope="module")
def house(database_server: str, database_template: str) -> Iterator[Workshop]:
    """A store that is whole again without one of its disks, with a worker, served."""
    with runs_harness.workshop(database_server, database_template, disks=len(DISKS)) as made:
        yield made


@pytest.fixture
def oto(chromium, house: Workshop) -> Iterator[Watched]:
    """A browser of an operator."""
    made = Watched(chromium, house)
    made.log_in("oto")
    yield made
    made.close()


def scraped(house: Workshop) -> str:
    """Put three pictures into the inbox, as gallery-dl leaves them; returns the folder."""
    files: dict[str, bytes] = {}
    for number in (31, 32, 33):
        told = {"category": "example", "id": number, "title": f"Cat {number}", "num": 1}
        files[f"{number}.jpg"] = picture(number)
        files[f"{number}.jpg.json"] = json.dumps(told).encode()
    return write_files(os.path.join(house.store.config.area_path("3a"), "cats"), files)


def test_a_scrape_comes_in_and_is_found(house: Workshop, oto: Watched):
    page = oto.page
    scraped(house)
    oto.open("/scheduler")
    page.click(".tile:has-text('Bring a folder in')")
    page.wait_for_url("**/scheduler/start/ua_1*")
    choose(oto, "folder", "cats")
    name = page.get_by_label("Name of the batch")
    page.wait_for_function("(e) => e.value === 'cats'", arg=name.element_handle())
    page.click("button:has-text('Dry run')")
    page.get_by_text("Exactly this is started.").wait_for()
    # Nothing was started by it.
    assert house.database.runs.list_runs().runs == ()
    page.click("button:has-text('Start')")
    run_id = run_of(oto)
    has_ended(oto, "done")
    run = house.database.runs.run(run_id)
    assert (run.state, run.requested_by, run.parameters["batch"]) == ("done", "oto", "cats")
    page.click("nav >> text=Explorer")
    page.click(".facet-value:has-text('jpg')")
    page.wait_for_selector("text=3 nodes")
    page.wait_for_selector(".ds-tile")
    titles = page.locator(".ds-tile .ds-title")
    assert sorted(titles.all_inner_texts()) == ["Cat 31", "Cat 32", "Cat 33"]
    page.click(".ds-tile:has-text('Cat 32')")
    page.click("text=All about it")
    page.wait_for_selector("h1:has-text('Cat 32')")
    page.wait_for_selector("text=Copies on disks")
    preview = page.wait_for_selector("img.preview")
    page.wait_for_function("(image) => image.naturalWidth > 0", arg=preview)
    assert oto.problems == []


def stored_keys(house: Workshop) -> list[str]:
    """Return the keys of the pictures that the house began with."""
    pictures = parse_selector("{version: 1, where: {extension: png}}")
    return [one.key for one in house.database.explore.page(pictures, limit=20)]


def test_copies_are_made_at_once_while_a_disk_is_away(house: Workshop, oto: Watched):
    """The engine waits for the disk for a while; a person need not."""
    page, client = oto.page, house.store.client
    # Shards that are still open are given another disk at once: they are sealed first.
    client.wait(client.verify().job_id)
    away = client.head(stored_keys(house)[0]).disks[0]
    path = house.store.disks[DISKS.index(away)]
    oto.open("/storage")
    page.wait_for_selector(WHOLE)
    assert page.locator("[aria-label='To repair']").count() == 0
    os.rename(path, f"{path}.away")
    repair = page.locator("[aria-label='To repair']")
    repair.locator(f".notice.bad:has-text('disk {away} is missing')").wait_for()
    repair.locator("button:has-text('Make the copies whole now')").click()
    page.wait_for_selector("tr:has-text('rebuild') .badge:text-is('done')")
    page.wait_for_selector(".metric:has-text('Replication lag') .metric-value:text-is('none')")
    assert client.disks()[DISKS.index(away)].state == "missing", "it is not given up"
    os.rename(f"{path}.away", path)
    page.wait_for_selector(f"{disk_of(away)} .badge:text-is('online')")
    page.wait_for_selector(WHOLE)
    repair.wait_for(state="detached")
    assert oto.problems == []


def test_a_button_stays_the_same_while_the_figures_change(house: Workshop, oto: Watched):
    """Or nobody could press it while the store works: it would be replaced with every reading."""
    page = oto.page
    oto.open("/storage")
    page.wait_for_selector(WHOLE)
    figures = "[...document.querySelectorAll('.disk-facts')].map((e) => e.innerText).join()"
    before = page.evaluate(figures)
    drain = page.locator("button:has-text('Drain')").element_handles()
    stored = {f"{number}.bin": os.urandom(400_000) for number in range(9)}
    house.store.put(write_files(os.path.join(house.store.root, "more"), stored), "more")
    page.wait_for_function(f"(before) => {figures} !== before", arg=before)
    assert len(drain) == len(DISKS) and all(one.evaluate("(e) => e.isConnected") for one in drain)
    assert oto.problems == []


def damage_everywhere(house: Workshop, data: bytes) -> None:
    """Overwrite the beginning of a stored object on every disk that has it."""
    folders = [found for disk in house.store.disks for found in os.walk(f"{disk}/shards")]
    for path in [os.path.join(folder, name) for folder, _, names in folders for name in names]:
        with open(path, "r+b") as file:
            if (place := file.read().find(data[:64])) > 0:
                file.seek(place)
                file.write(bytes(64))


def test_what_cannot_be_repaired_is_said_with_the_reason(house: Workshop, oto: Watched):
    page, client = oto.page, house.store.client
    data = os.urandom(30_000)
    folder = write_files(os.path.join(house.store.root, "doomed"), {"doomed.bin": data})
    house.store.put(folder, "doomed")
    client.wait(client.verify().job_id)
    damage_everywhere(house, data)
    client.wait(client.verify().job_id)
    oto.open("/storage")
    repair = page.locator("[aria-label='To repair']")
    repair.locator(f".notice.bad:has-text('{sha256(data).hexdigest()}')").first.wait_for()
    repair.locator(".notice.bad:has-text('cannot be made whole')").wait_for()
    repair.locator(".notice.bad:has-text('doomed: doomed.bin')").wait_for()
    page.wait_for_selector(UNREADABLE)
    # The file comes again, and the shard that lost it is made whole from where it lies now.
    house.store.put(write_files(os.path.join(house.store.root, "again"), {"again": data}), "again")
    page.wait_for_selector(WHOLE)
    repair.wait_for(state="detached")
    assert oto.problems == []


def test_a_disk_dies_and_the_store_is_made_whole_without_it(
    chromium, house: Workshop, oto: Watched
):
    page, client = oto.page, house.store.client
    keys = stored_keys(house)
    # One that holds something: not every disk of so small a store does.
    dead = client.head(keys[0]).disks[0]
    others = set(DISKS) - {dead}
    oto.open("/storage")
    page.wait_for_selector(WHOLE)
    path = house.store.disks[DISKS.index(dead)]
    os.rename(path, f"{path}.away")
    page.wait_for_selector(f"{disk_of(dead)} .badge:text-is('missing')")
    page.wait_for_selector(NOT_WHOLE)
    oto.open("/")
    page.wait_for_selector("main .badge:text-is('Not whole')")
    page.wait_for_selector(f"tr:has-text('{dead}') .badge:text-is('missing')")
    oto.open("/storage")
    rebuild = page.locator(f"{disk_of(dead)} >> button:has-text('Rebuild without it')")
    rebuild.click()
    page.wait_for_selector(f"text=Rebuild without {dead}?")
    # A click alone is not enough: the name of the disk is typed.
    page.click(".dialog >> button:text-is('Rebuild')")
    page.wait_for_selector(f".q-notification:has-text('Type {dead} to go on.')")
    assert client.disks()[DISKS.index(dead)].state == "missing"
    page.get_by_label(f"Type {dead} to go on").fill(dead)
    page.click(".dialog >> button:text-is('Rebuild')")
    page.wait_for_selector("tr:has-text('rebuild') .badge:text-is('done')")
    page.wait_for_selector(f"{disk_of(dead)} .badge:text-is('gone')")
    page.wait_for_selector(WHOLE)
    page.wait_for_selector(".metric:has-text('Rebuild queue') .metric-value:text-is('0')")
    page.wait_for_selector(".metric:has-text('On one disk') .metric-value:text-is('none')")
    assert rebuild.count() == 0
    until(lambda: all(set(client.head(key).disks) == others for key in keys))
    # It comes back after all, and is taken in again.
    os.rename(f"{path}.away", path)
    assert page.locator(".disk").last.locator(".disk-name").inner_text() == dead
    ada = Watched(chromium, house)
    ada.log_in("ada")
    ada.open("/storage")
    ada.page.click(f"{disk_of(dead)} >> button:text-is('Add it again')")
    ada.page.click(".dialog >> button:text-is('Add it')")
    ada.page.wait_for_selector(f"{disk_of(dead)} .badge:text-is('online')")
    assert ada.problems == []
    ada.close()
    page.wait_for_selector(f"{disk_of(dead)} .badge:text-is('online')")
    page.wait_for_selector("dt:text-is('Next') + dd:has-text(' on d')")  # Of the scrub.
    oto.open("/")
    page.wait_for_selector("main .badge:text-is('Whole')")
    # What was stored before is read, and verified, from the disks that are left.
    for key in keys:
        client.read(key, os.path.join(house.store.root, f"read-{key}"))
    assert oto.problems == []


def disk_of(name: str) -> str:
    """Return where a disk stands on the storage page."""
    return f".disk:has(.disk-name:text-is('{name}'))"
