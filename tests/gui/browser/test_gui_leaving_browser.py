"""Looking at a node over the grid, and taking chosen nodes elsewhere, in a real Chromium."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from gui_harness import Scene, picture
from store_checks import until
from test_gui_browser import Watched
from test_gui_chosen_browser import BAR, browser_of, said, tick


@pytest.fixture
def oto(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of an operator, with nine pictures."""
    yield from browser_of(chromium, served, "oto")


@pytest.fixture
def vera(chromium, served: Scene) -> Iterator[Watched]:
    """The same of a viewer."""
    yield from browser_of(chromium, served, "vera")


def test_a_node_opens_over_the_grid_and_has_the_address_of_its_page(vera: Watched):
    page = vera.page
    look = page.locator("dialog.look")
    page.click(".ds-tile[data-place='3']")
    look.get_by_text("4 of 9").wait_for()
    page.wait_for_url("**/node/*")
    assert page.locator(".ds-tile").count() >= 9  # The grid stays below it.
    title = look.locator("h2").inner_text()
    page.keyboard.press("ArrowRight")
    look.get_by_text("5 of 9").wait_for()
    assert look.locator("h2").inner_text() != title
    page.keyboard.press("ArrowLeft")
    look.get_by_text("4 of 9").wait_for()
    look.locator("dt:has-text('Author') + dd", has_text="Ann").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url("**/explorer?*")
    look.wait_for(state="hidden")
    page.wait_for_function("document.activeElement.dataset.place === '3'")
    # The address is that of the page, and from there Back leads to the grid.
    page.keyboard.press("Enter")
    look.get_by_text("4 of 9").wait_for()
    page.click("text=All about it")
    page.wait_for_selector(f"h1:has-text('{title}')")
    page.wait_for_selector("text=Copies on disks")
    page.go_back()
    page.wait_for_selector(".ds-tile >> nth=8")
    page.click(".ds-tile[data-place='3']")
    look.get_by_text("4 of 9").wait_for()
    page.reload()
    page.wait_for_selector(f"h1:has-text('{title}')")
    page.go_back()
    page.wait_for_selector(".ds-tile >> nth=8")
    assert page.url.endswith("extension=jpg")


def test_a_picture_is_seen_from_nearer(vera: Watched):
    page = vera.page
    page.click(".ds-tile[data-place='0']")
    shown = page.locator("dialog.look .marked img")
    page.wait_for_function("document.querySelector('.look .marked img')?.naturalWidth > 0")
    width = shown.bounding_box()["width"]
    page.keyboard.press("+")
    page.wait_for_selector("text=150 %")
    page.click("text=Nearer")
    page.wait_for_selector("text=225 %")
    assert shown.bounding_box()["width"] == pytest.approx(width * 2.25, abs=2)
    page.keyboard.press("0")
    page.wait_for_selector("text=100 %")
    assert shown.bounding_box()["width"] == pytest.approx(width, abs=2)
    # What is there in more detail is fetched: the full picture is another one than the large one.
    full = shown.get_attribute("src").replace("size=large", "size=full")
    answer = page.request.get(vera.served.address + full)
    assert answer.status == 200


def test_a_file_is_downloaded_under_its_own_name(vera: Watched):
    page = vera.page
    page.locator(".ds-tile:has-text('Picture 5')").first.click()
    with page.expect_download() as download:
        page.click("dialog.look >> text=Download")
    assert download.value.suggested_filename == "5.jpg"
    with open(download.value.path(), "rb") as file:
        assert file.read() == picture(5)


def test_tiles_are_chosen_by_dragging(vera: Watched):
    page = vera.page
    first, third = (page.locator(f".ds-tile[data-place='{one}']").bounding_box() for one in (0, 2))
    page.mouse.move(first["x"] + 20, first["y"] + 30)
    page.mouse.down()
    page.mouse.move(third["x"] + 20, third["y"] + 60, steps=4)
    page.mouse.up()
    said(page, "3 chosen")
    assert page.locator("dialog.look[open]").count() == 0
    # With Ctrl it adds to what is chosen.
    fifth = page.locator(".ds-tile[data-place='4']").bounding_box()
    page.keyboard.down("Control")
    page.mouse.move(fifth["x"] + 20, fifth["y"] + 20)
    page.mouse.down()
    page.mouse.move(fifth["x"] + 40, fifth["y"] + 60, steps=4)
    page.mouse.up()
    page.keyboard.up("Control")
    said(page, "4 chosen")


def test_chosen_files_are_downloaded_as_one_zip(vera: Watched):
    page = vera.page
    tick(page, 0)
    tick(page, 1)
    with page.expect_download() as download:
        page.click(f"{BAR} >> text=Download as zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        names = archive.namelist()
        assert len(names) == 2 and all(name.endswith(".jpg") for name in names)
        for name in names:
            assert archive.read(name) == picture(int(name.removesuffix(".jpg")))


def test_a_zip_is_refused_in_words(served: Scene, vera: Watched):
    for selector, words in (
        ("{version: 1, where: {metadata: {title: nobody}}}", "none of these nodes has a file"),
        ("{version: 1, where: {colour: red}}", "colour"),
    ):
        answer = vera.page.request.get(
            f"{served.address}/explorer/zip", params={"s": selector}, max_redirects=0
        )
        assert answer.status in (400, 422) and words in answer.text(), answer.text()


def test_chosen_nodes_become_a_folder(served: Scene, oto: Watched):
    page = oto.page
    tick(page, 0)
    tick(page, 1)
    page.click(f"{BAR} >> text=Make a folder")
    page.fill(".dialog [data-field=folder_id]", "two")
    page.click(".dialog [data-field=mode]")
    page.click("[role=option]:has-text('a copy on the SSD')")
    page.click(".dialog >> text='Make it'")
    page.wait_for_selector("text=The folder is being made")
    root = page.inner_text(".dialog pre").strip()
    page.click(".dialog >> text=Close")
    until(lambda: os.path.isdir(root), "the folder")
    files = [name for name in os.listdir(root) if name.endswith(".jpg")]
    assert len(files) == 2
    for name in files:
        with open(os.path.join(root, name), "rb") as file:
            assert file.read() == picture(int(name.removesuffix(".jpg")))


@pytest.mark.usefixtures("no_grants")
def test_chosen_nodes_are_shared_as_a_collection(served: Scene, oto: Watched):
    page = oto.page
    tick(page, 0)
    tick(page, 1)
    page.click(f"{BAR} >> text='Share'")
    page.fill(".dialog [data-field=collection]", "For Vera")
    page.fill(".dialog [data-field=account]", "nobody-of-this-name")
    page.click(".dialog >> text='Grant it'")
    page.wait_for_selector(".q-notification:has-text('nobody-of-this-name')")
    # Nothing is shared, and what was chosen is still chosen.
    assert served.database.rights.grants() == []
    page.click(".q-notification >> text=Close")
    page.click(f"{BAR} >> text='Share'")
    page.fill(".dialog [data-field=collection]", "For Vera")
    page.fill(".dialog [data-field=account]", "vera")
    page.fill(".dialog [data-field=until]", "2099-05-06T07:08")
    page.click(".dialog >> text='Grant it'")
    page.wait_for_selector("text=2 nodes added to For Vera")
    (grant,) = served.database.rights.grants()
    assert (grant.whom, grant.level, grant.place) == (
        "vera",
        "viewer",
        "people:collection:For Vera",
    )
    assert grant.expires_at == datetime(2099, 5, 6, 7, 8).astimezone(UTC)
    page.click(f"{BAR} >> text=Share by a link")
    page.fill(".dialog [data-field=collection]", "For Vera")
    page.fill(".dialog [data-field=until]", "2099-05-06T07:08")
    page.click(".dialog >> text=Make the link")
    # It is asked, for whoever has the link sees what was in it before, too.
    page.wait_for_selector(".dialog:has-text('For Vera has 2 nodes already')")
    assert len(served.database.rights.grants()) == 1
    page.click(".dialog >> text=Share all of it")
    page.wait_for_selector("text=It is shown now and never again")
    answer = page.request.get(served.address + page.inner_text(".dialog pre").strip())
    assert answer.status == 200 and answer.text().count("<li>") == 2
