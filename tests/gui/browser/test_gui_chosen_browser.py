"""Choosing nodes in the explorer and acting on them, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from gui_harness import Scene
from test_gui_browser import Watched

from sql import (
    CommonMetadata,
    Edge,
    PhysicalNode,
    Relationship,
    SourceMetadata,
    WriteIntent,
    parse_selector,
)
from sql.core.declared import Column, DeclaredTable

BAR = ".chosen-bar"
IMAGES = "/explorer?extension=jpg"


def browser_of(chromium, served: Scene, name: str) -> Iterator[Watched]:
    made = Watched(chromium, served, viewport={"width": 1440, "height": 900})
    made.log_in(name)
    made.open(IMAGES)
    made.page.wait_for_selector(".ds-tile >> nth=8")
    yield made
    assert made.problems == []
    made.close()


@pytest.fixture
def oto(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of an operator, with nine pictures."""
    yield from browser_of(chromium, served, "oto")


@pytest.fixture
def vera(chromium, served: Scene) -> Iterator[Watched]:
    """The same of a viewer."""
    yield from browser_of(chromium, served, "vera")


def tick(page, place: int, **how) -> None:
    page.hover(f".ds-tile[data-place='{place}']")
    page.click(f".ds-tile[data-place='{place}'] .ds-tick", **how)


def said(page, words: str) -> None:
    page.locator(BAR, has_text=words).wait_for()


def count_of(served: Scene, where: str) -> int:
    return served.database.aggregate(parse_selector(f"{{version: 1, where: {where}}}")).count


def test_tiles_are_chosen_by_mouse_and_keys(oto: Watched):
    page = oto.page
    assert page.locator(BAR).count() == 0
    tick(page, 1)
    said(page, "1 chosen")
    page.click(".ds-tile[data-place='4']", modifiers=["Shift"])
    said(page, "4 chosen")
    page.click(".ds-tile[data-place='2']")  # While something is chosen a click chooses.
    said(page, "3 chosen")
    page.keyboard.press("Escape")
    page.locator(BAR).wait_for(state="hidden")
    page.focus(".ds-tile[data-place='0']")
    page.keyboard.press("Space")
    said(page, "1 chosen")
    page.keyboard.press("Control+a")
    said(page, "9 chosen")
    page.click("text=All 9 that match")
    page.locator(f"{BAR} [role=status]", has_text="All 9 that match").wait_for()
    assert page.locator(".ds-tile.chosen").count() == 9
    page.click(f"{BAR} >> text=Nothing")
    page.locator(BAR).wait_for(state="hidden")
    page.click(".ds-tile[data-place='0']")
    page.wait_for_url("**/node/*")


def test_a_count_that_comes_late_leaves_the_buttons_under_the_hand(served: Scene, oto: Watched):
    page = oto.page
    with served.database.connection() as holder:
        holder.execute("LOCK TABLE dataset_member")  # What the count asks, and the tiles do not.
        oto.open("/explorer?extension=jpg&source=web")
        page.wait_for_selector(".ds-tile >> nth=8")
        tick(page, 0)
        said(page, "1 chosen")
        page.evaluate(
            "document.querySelectorAll('.chosen-bar button').forEach(b => (b.dataset.former = 1))"
        )
    page.locator(BAR, has_text="All 9 that match").wait_for()
    assert page.locator(f"{BAR} button[data-former]").count() > 5
    assert page.locator(f"{BAR} button:not([data-former])").count() == 0


def test_presses_on_what_is_replaced_meanwhile_are_heard(served: Scene, oto: Watched):
    page = oto.page
    oto.open("/explorer")
    with served.database.connection() as holder:
        facet = page.locator(".facet-value", has_text="jpg")
        facet.wait_for()
        holder.execute("LOCK TABLE dataset_member")  # What the count asks.
        page.fill("input[data-search]", "picture ")
        page.wait_for_selector(".count:has-text('counting')")
        facet.hover()
        page.mouse.down()
    page.wait_for_selector(".count:not(:has-text('counting'))")
    page.mouse.up()
    page.wait_for_selector(".chip:has-text('extension: jpg')")
    oto.open("/explorer?extension=jpg,png,txt")
    page.wait_for_selector(".chip >> nth=2")
    page.evaluate("document.querySelectorAll('.chip button').forEach(one => one.click())")
    page.wait_for_selector("text=No filter: everything is shown.")


def test_a_press_on_the_bar_before_all_were_chosen_is_heard(oto: Watched):
    page = oto.page
    tick(page, 0)
    said(page, "1 chosen")
    page.evaluate(
        "window.former = [...document.querySelectorAll('.chosen-bar button')]"
        ".find(one => one.textContent.includes('Nothing'))"
    )
    page.click("text=All 9 that match")
    page.wait_for_function("!window.former.isConnected")
    page.evaluate("window.former.click()")
    page.locator(BAR).wait_for(state="hidden")


def test_chosen_nodes_are_tagged_and_collected(served: Scene, oto: Watched):
    page = oto.page
    tick(page, 0)
    tick(page, 1)
    page.click(f"{BAR} >> text='Tag'")
    page.fill(".dialog input", "Two of them")
    page.click(".dialog >> text='Tag'")
    page.wait_for_selector("text=2 nodes tagged with Two of them")
    assert count_of(served, "{words: {tag: two of them}}") >= 2
    page.fill("input[data-search]", 'tag:"two of them" ')
    page.wait_for_function("document.querySelectorAll('.ds-tile').length === 2")
    page.keyboard.press("Escape")
    page.click("h1")
    page.keyboard.press("Control+a")
    said(page, "2 chosen")
    page.click(f"{BAR} >> text=Add to a collection")
    page.fill(".dialog input", "Shelf")
    page.evaluate("document.querySelectorAll('.ds-tile').forEach(t => (t.dataset.former = 1))")
    page.click(".dialog >> text='Add'")
    page.wait_for_selector("text=2 nodes added to Shelf")
    # The list comes anew after it; until then there is nothing to choose.
    page.wait_for_selector(".ds-tile[data-former]", state="detached")
    page.wait_for_function("document.querySelectorAll('.ds-tile').length === 2")
    # The one that is there is offered, and nothing is done twice.
    page.keyboard.press("Control+a")
    page.click(f"{BAR} >> text=Add to a collection")
    page.click(".dialog .chips >> text=Shelf")
    page.click(".dialog >> text='Add'")
    page.wait_for_selector("text=0 nodes added to Shelf; 2 were so before")
    (shelf,) = [row for row in groups(served) if row.name == "Shelf"]
    assert (shelf.nodes, shelf.user) == (2, "oto")


def groups(served: Scene):
    from sql.database import node_groups

    return node_groups.groups(served.database, "collection")


def test_what_is_deleted_is_seen_and_brought_back(served: Scene, oto: Watched):
    page = oto.page
    tick(page, 3)
    page.click(f"{BAR} >> text='Delete'")
    page.wait_for_selector(".dialog:has-text('Delete: 1 file')")
    page.click(".dialog >> text='Delete'")
    page.wait_for_function("document.querySelectorAll('.ds-tile').length === 8")
    assert count_of(served, "{extension: jpg}") == 8
    page.click(".facet-value:has-text('Deleted')")
    page.wait_for_function("document.querySelectorAll('.ds-tile').length === 1")
    tick(page, 0)
    page.click(f"{BAR} >> text=Undelete")
    page.click(".dialog >> text='Undelete'")
    page.wait_for_selector("text=Nothing fits these filters.")
    assert count_of(served, "{extension: jpg}") == 9


def test_chosen_nodes_are_a_selector_wherever_one_is_wanted(oto: Watched):
    page = oto.page
    tick(page, 0)
    tick(page, 2)
    page.click(f"{BAR} >> text=Copy as selector")
    written = page.inner_text(".dialog pre")
    (first, second) = parse_selector(written).where.node_id
    page.click(".dialog >> text=Close")
    with page.expect_download() as download:
        page.click(f"{BAR} >> text='List'")
    with open(download.value.path(), encoding="utf-8") as file:
        heading, *rows = file.read().splitlines()
    assert heading.startswith("node_id,key,")
    assert {int(row.partition(",")[0]) for row in rows} == {first, second}
    page.click(f"{BAR} >> text=Make a dataset")
    page.wait_for_url("**/datasets/new?*")
    assert str(first) in page.input_value("textarea[aria-label='Definition as YAML']")
    page.go_back()
    page.wait_for_selector(".ds-tile >> nth=8")
    tick(page, 1)
    page.click(f"{BAR} >> text=Run an action, or label")
    page.wait_for_url("**/scheduler/start/ua_2?*")
    (selector,) = parse_qs(urlsplit(page.url).query)["selector"]
    assert len(json.loads(selector)["where"]["node_id"]) == 1


def make_part(served: Scene) -> int:
    """Make a picture out of another, as an action does; return its number."""
    parent = served.database.explore.page(parse_selector("{version: 1, where: {extension: jpg}}"))[
        4
    ]
    key = "ab" * 32
    served.database.apply_intent(
        WriteIntent(
            intent_id="part",
            physical_nodes=(PhysicalNode(key=key, size_bytes=10, extension="webp"),),
            common_metadata=(
                CommonMetadata(key=key, source="web", is_raw=False, is_root=False, title="8x8"),
            ),
            relationships=(Relationship(description="smaller", forms_tree=True),),
            edges=(Edge(parent=parent.key, child=key, relationship="smaller"),),
        )
    )
    return served.database.explore.node(key).node["node_id"]


def test_what_is_said_of_a_node_leads_to_all_of_it(served: Scene, oto: Watched):
    page = oto.page
    oto.open(f"/node/{make_part(served)}")
    page.wait_for_selector("h1:has-text('Picture 5 · 8x8')")
    page.click(".crumbs >> text='Picture 5'")
    page.wait_for_selector("h1:text-is('Picture 5')")
    page.click("dd a[title*='ann' i]")
    page.wait_for_selector(".chip:has-text('author: ')")
    page.wait_for_selector("text=18 nodes")
    # The same from the side: counts of what else there is, and out again.
    page.click(".facet:has(h3:text-is('Author')) .facet-value")
    page.wait_for_selector("text=No filter")
    page.click(".facet:has(h3:text-is('Author')) .facet-value:has-text('Ann')")
    page.wait_for_selector(".chip:has-text('author: ')")
    page.wait_for_selector("text=18 nodes")


def mark(served: Scene, key: str) -> None:
    """Mark a picture with a box, a polygon, a mask and a key point, as sources do."""
    columns = [Column(name=name, type="double precision", comment="Test")
               for name in ("x", "y", "width", "height")]  # fmt: skip
    label = Column(name="label", type="text", comment="Test")
    geometry = Column(name="geometry", type="jsonb", comment="Test")
    served.database.declare(
        DeclaredTable(
            kind="source", name="marks", version=1, comment="Test",
            columns=(label, *columns, geometry),
        )
    )  # fmt: skip
    mask = {"mask": {"width": 10, "height": 10, "counts": [0, 50, 50]}}
    said = (
        {"label": "cat", "x": 12.0, "y": 9.0, "width": 24.0, "height": 45.0},
        {"label": "tail", "geometry": json.dumps({"polygons": [[0, 0, 60, 0, 0, 45]]})},
        {"label": "nose", "geometry": json.dumps({"points": [30, 30, 2, 9, 9, 0]})},
        {"label": "fur", "geometry": json.dumps(mask)},
    )
    rows = tuple(SourceMetadata(key=key, source="marks", values=values) for values in said)
    served.database.apply_intent(WriteIntent(intent_id="marks", source_metadata=rows))


def test_a_node_shows_what_is_marked_and_leads_on_by_keys(served: Scene, oto: Watched):
    page = oto.page
    tile = page.locator(".ds-tile[data-place='2']")
    mark(
        served, served.database.explore.node(tile.get_attribute("href").split("/")[-1]).node["key"]
    )
    tile.click()
    page.wait_for_url("**/node/*")
    page.wait_for_selector(".marks polygon >> nth=1")
    page.wait_for_function("document.querySelector('.marked img').naturalWidth > 0")
    picture = page.locator(".marked img").bounding_box()
    cat = page.locator(".marks span:text-is('cat')").bounding_box()
    # Picture 7 is 127 x 90 pixels, the box begins at (12, 9).
    assert cat["x"] - picture["x"] == pytest.approx(12 / 127 * picture["width"], abs=2)
    assert cat["y"] - picture["y"] == pytest.approx(9 / 90 * picture["height"], abs=2)
    assert page.locator(".marks i").count() == page.locator(".marks canvas").count() == 1
    page.click("text=from marks (4)")
    page.wait_for_selector(".marks polygon", state="detached")
    page.wait_for_selector("text=3 of 9")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=4 of 9")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("text=3 of 9")
    # The same on its page.
    page.click("text=All about it")
    page.wait_for_selector("text=Copies on disks")
    page.wait_for_selector(".marks polygon >> nth=1")
    page.wait_for_selector("text=3 of 9")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=4 of 9")
    page.wait_for_selector("text=Copies on disks")
    page.keyboard.press("Escape")
    page.wait_for_url("**/explorer?*")
    page.wait_for_selector(".ds-tile >> nth=8")


@pytest.fixture
def vera_too(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of a viewer, beside the operator's."""
    yield from browser_of(chromium, served, "vera")


@pytest.fixture
def no_views(served: Scene) -> Iterator[None]:
    """What is saved in the test is gone after it: others look at the same store."""
    yield
    users = served.database.users
    for one in users.views(users.user("oto").user_id, "explorer"):
        users.remove_view(None, one.saved_view_id)


@pytest.mark.usefixtures("no_views")
def test_a_saved_view_has_an_address_for_others(oto: Watched, vera_too: Watched):
    page, other = oto.page, vera_too.page
    for name, is_shared in (("Mine alone", False), ("All photos", True)):
        page.click("text=Save view")
        page.fill(".dialog input:not([type=checkbox])", name)
        if is_shared:
            page.click(".dialog >> text=Everybody sees it")
        page.click(".dialog >> text='Save'")
        page.wait_for_selector(f"text={name} is saved")
        page.wait_for_url("**/explorer?view=*")
        address = urlsplit(page.url)
        vera_too.open(f"{address.path}?{address.query}")
        if is_shared:
            other.wait_for_selector(".chip:has-text('extension: jpg')")
        else:
            other.wait_for_selector("text=that you may see")
            assert other.locator(".chip").count() == 0
    # It says the same after a reload, and what is filtered on is another address.
    page.reload()
    page.wait_for_selector(".chip:has-text('extension: jpg')")
    page.click(".chip button")
    page.wait_for_url("**/explorer")
    vera_too.open("/explorer?view=Peter")
    other.wait_for_selector("text=is no number of a view")


def test_a_viewer_changes_nothing(vera: Watched):
    page = vera.page
    tick(page, 0)
    said(page, "Copy as selector")
    assert page.locator(BAR).get_by_text("Delete").count() == 0
    assert page.locator(BAR).get_by_text("Tag", exact=True).count() == 0


def test_back_keeps_the_place(oto: Watched):
    page = oto.page
    page.set_viewport_size({"width": 700, "height": 400})
    tile = page.locator(".ds-tile[data-place='7']")
    tile.scroll_into_view_if_needed()
    page.wait_for_selector("text=Black-listed")
    place = tile.bounding_box()["y"]
    tile.evaluate("(tile) => tile.click()")
    page.click("text=All about it")
    page.wait_for_selector("text=Copies on disks")
    page.go_back()
    page.wait_for_selector("text=Black-listed")
    tile.wait_for()
    assert page.evaluate("window.scrollY") > 100
    assert abs(tile.bounding_box()["y"] - place) < 40
