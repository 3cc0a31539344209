"""The questions before something is given up, in a real Chromium: what they tell and need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from gui_harness import Scene, images
from test_gui_browser import Watched
from test_gui_journeys_browser import disk_of

TOAST = ".q-notification"


@pytest.fixture
def ada(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of the admin, on the page of the disks."""
    made = Watched(chromium, served)
    made.log_in("ada")
    made.open("/storage")
    yield made
    made.close()
    assert made.problems == []


def names_of(served: Scene) -> list[str]:
    """Return the two disks that alone hold a picture, sealed and copied by then."""
    client = served.store.client
    client.wait(client.verify().job_id)
    key = served.database.explore.page(images(), limit=1)[0].key
    return list(client.head(key).disks)


def path_of(served: Scene, name: str) -> str:
    return next(one.path for one in served.store.client.disks() if one.name == name)


def state_of(served: Scene, name: str) -> str:
    return next(one.state for one in served.store.client.disks() if one.name == name)


def press(ada: Watched, name: str, label: str) -> None:
    ada.page.locator(f"{disk_of(name)} >> button:text-is('{label}')").click()


def cancel(ada: Watched) -> None:
    ada.page.click(".dialog >> button:text-is('Cancel')")
    ada.page.wait_for_selector(".dialog", state="detached")


def test_a_disk_is_given_up_only_by_whoever_read_what_is_lost_and_typed_its_name(ada: Watched):
    page, served = ada.page, ada.served
    first, second = names_of(served)
    paths = {name: path_of(served, name) for name in (first, second)}
    lost = ".dialog p:has-text('are on no other disk: they cannot be read until {} is back.')"
    try:
        for path in paths.values():
            os.rename(path, f"{path}.away")
        for name in paths:
            page.wait_for_selector(f"{disk_of(name)} .badge:text-is('missing')")
            # What is away has neither fill nor speed, but a reason.
            page.wait_for_selector(f"{disk_of(name)} .notice")
            assert page.locator(f"{disk_of(name)} .fill").count() == 0
        press(ada, first, "Replace")
        page.wait_for_selector(f".dialog h2:text-is('Replace {first} all the same?')")
        page.wait_for_selector(lost.format(first))
        page.click(".dialog >> button:text-is('Go on')")
        page.wait_for_selector(f"{TOAST}:has-text('Type {first} to go on.')")
        cancel(ada)
        press(ada, second, "Rebuild without it")
        told = page.wait_for_selector(lost.format(second)).inner_text()
        assert not told.startswith("0 objects")
        # The name of another one is not enough either.
        page.get_by_label(f"Type {second} to go on").fill(first)
        page.click(".dialog >> button:text-is('Rebuild')")
        page.wait_for_selector(f"{TOAST}:has-text('Type {second} to go on.')")
        assert state_of(served, second) == "missing"
        cancel(ada)
        assert {state_of(served, name) for name in paths} == {"missing"}
        os.rename(f"{paths[second]}.away", paths[second])
        page.wait_for_selector(f"{disk_of(second)} .badge:text-is('online')")
        # Where the other one has it all, nothing is said of losses.
        press(ada, first, "Rebuild without it")
        page.wait_for_selector(f".dialog p:has-text('{first} is declared dead')")
        assert page.locator(lost.format(first)).count() == 0
        cancel(ada)
        assert state_of(served, first) == "missing"
    finally:
        for path in paths.values():
            if os.path.exists(f"{path}.away"):
                os.rename(f"{path}.away", path)
    for name in paths:
        page.wait_for_selector(f"{disk_of(name)} .badge:text-is('online')")


def test_a_disk_is_retired_only_by_its_name(ada: Watched):
    page, client = ada.page, ada.served.store.client
    (name, _) = names_of(ada.served)
    client.wait(client.disk_drain(name).job_id)
    page.wait_for_selector(f"{disk_of(name)} .badge:text-is('draining')")
    press(ada, name, "Retire")
    page.wait_for_selector(f".dialog h2:text-is('Retire disk {name}?')")
    page.wait_for_selector(".dialog p:text-is('It is never used again.')")
    page.click(".dialog >> button:text-is('Retire it')")
    page.wait_for_selector(f"{TOAST}:has-text('Type {name} to go on.')")
    cancel(ada)
    assert state_of(ada.served, name) == "draining"
    press(ada, name, "Take it back")
    page.wait_for_selector(f"{disk_of(name)} .badge:text-is('online')")
    press(ada, name, "Drain")
    page.wait_for_selector(f".dialog h2:text-is('Empty disk {name}?')")
    page.click(".dialog >> button:text-is('Drain it')")
    page.wait_for_selector(f"{TOAST}:has-text('{name} is being emptied')")
    page.wait_for_selector(f"{disk_of(name)} .badge:text-is('draining')")
    press(ada, name, "Take it back")
    page.wait_for_selector(f"{disk_of(name)} .badge:text-is('online')")


def test_a_disk_that_is_none_is_not_added(ada: Watched):
    page = ada.page
    page.click("button:text-is('Add a disk')")
    page.get_by_label("Path").fill("/no/such/disk")
    page.click(".dialog >> button:text-is('Add it')")
    page.wait_for_selector(f"{TOAST}:has-text('/no/such/disk')")
    assert len(ada.served.store.client.disks()) == 3
