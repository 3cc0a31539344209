"""Datasets in a real Chromium: from a mistake in a definition to a tree, a diff and an end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import label_harness
import pytest
import runs_harness
from gui_harness import HOSTILE
from runs_harness import Workshop
from test_gui_browser import Watched

from sql import CommonMetadata, DatasetVersion, WriteIntent, parse_selector

DEFINITION = """version: 1
name: shades
selector: {version: 1, where: {extension: jpg}}
labels: {from: {metadata: {field: source}}}
splits: {fractions: {train: 0.6, val: 0.4}, seed: 3, missing_class: allow}
layout: imagefolder
mode: view
"""


@pytest.fixture(scope="module")
def work(database_server: str, database_template: str) -> Iterator[Workshop]:
    """A store with a worker, photographs, and the pages."""
    with runs_harness.workshop(database_server, database_template) as made:
        label_harness.add_files(made, "photographs", label_harness.pictures(12))
        yield made


@pytest.fixture
def oto(chromium, work: Workshop) -> Iterator[Watched]:
    """A browser of an operator."""
    made = Watched(chromium, work, viewport={"width": 1300, "height": 900})
    made.log_in("oto")
    yield made
    made.close()


def write(oto: Watched, text: str) -> None:
    oto.page.fill("textarea", text)


def ended(oto: Watched, work: Workshop) -> None:
    """Wait for the run whose page comes next."""
    oto.page.wait_for_url("**/runs/*")
    found = re.search(r"/runs/(\d+)", oto.page.url)
    assert found
    work.yard.wait(int(found.group(1)), "done")


def newest(work: Workshop) -> DatasetVersion:
    """Return the newest version; it is built where no other test has done so in this process."""
    if not work.database.datasets.versions():
        wanted = {"definition": DEFINITION, "export": False, "mode": None}
        work.yard.wait(work.yard.control.start("ua_3", wanted)[0].run_id)
    return work.database.datasets.version("shades")


def test_from_a_definition_to_a_tree_and_its_end(work: Workshop, oto: Watched):
    page = oto.page
    oto.open("/datasets")
    page.wait_for_selector("text=There is no dataset yet.")
    page.click("a:has-text('New dataset')")
    page.wait_for_selector("h1:has-text('New dataset')")
    # Mistakes are explained with their lines, all at once; markup in them is text.
    write(
        oto,
        DEFINITION.replace("layout:", "layuot:").replace("seed: 3", f"seed: {json.dumps(HOSTILE)}"),
    )
    page.click("button:has-text('Check')")
    page.wait_for_selector(".notice:has-text('did you mean layout?')")
    page.wait_for_selector(".notice:has-text('splits.seed')")
    assert page.evaluate("window.hacked") is None
    # What was uploaded stands in the field.
    page.set_input_files(
        "input[type=file]",
        {"name": "d.yaml", "mimeType": "text/plain", "buffer": DEFINITION.encode()},
    )
    page.wait_for_function(
        "() => document.querySelector('textarea').value.startsWith('version: 1\\nname: shades')"
    )
    page.click("button:text-is('Preview')")
    page.wait_for_selector("h2:has-text('What shades would be')")
    for words in ("Class by split", "no leakage", "Samples", "Paths of the samples"):
        page.get_by_text(words).first.wait_for()
    assert page.inner_text(".metric:has-text('Files') .metric-value") == "12"
    assert work.database.datasets.versions() == []
    page.click("button:has-text('Build and export as view')")
    ended(oto, work)

    oto.open("/datasets")
    page.wait_for_selector("a:has-text('shades@1')")
    page.wait_for_selector(".badge:has-text('view sealed')")
    page.click("a:has-text('shades@1')")
    page.wait_for_selector("h1:has-text('shades@1')")
    (version,) = work.database.datasets.versions()
    again = f"drystone dataset reproduce {version.manifest_key}"
    assert page.inner_text(".command") == again
    assert page.get_attribute("[data-copy]", "data-copy") == again
    page.click("button:has-text('Export as copy')")
    ended(oto, work)
    oto.open("/datasets/of/shades")
    page.wait_for_selector("td:has-text('shades-v1') >> nth=0")
    copies = [one for one in work.database.datasets.exports() if one.mode == "copy"]
    assert copies[0].state == "sealed" and os.path.isdir(copies[0].target_root or "")

    # Another version of the same, and what is different.
    page.click("a:has-text('New version from it')")
    page.wait_for_selector("h1:has-text('New dataset')")
    text = page.input_value("textarea")
    assert "name: shades" in text and "seed: 3" in text
    write(oto, text.replace("below_min: error", "below_min: error\n  total_max: 9"))
    page.click("button:text-is('Build')")
    ended(oto, work)
    oto.open("/datasets/of/shades@2")
    page.click("a:has-text('Compare with @1')")
    page.wait_for_selector("h1:has-text('shades@1 and shades@2')")
    assert page.inner_text(".metric:has-text('Removed') .metric-value") == "3"
    assert page.locator("td:has-text('removed')").count() == 3

    oto.open("/datasets/of/shades@1")
    page.click("button:has-text('Retire')")
    page.click(".dialog button:has-text('Retire it')")
    page.wait_for_selector("text=Type shades@1 to go on.")
    page.fill(".dialog input", "shades@1")
    page.click(".dialog button:has-text('Retire it')")
    page.wait_for_selector("text=shades@1 is retired")
    page.wait_for_selector(".badge:text-is('retired')")
    oto.open("/datasets")
    page.wait_for_selector("a:has-text('shades@2')")
    assert page.locator("a:has-text('shades@1')").count() == 0
    oto.open("/datasets?retired=1")
    page.wait_for_selector("a:has-text('shades@1')")
    assert oto.problems == []


def test_a_form_writes_the_definition_and_reads_it(work: Workshop, oto: Watched):
    page = oto.page

    def text_has(words: str) -> None:
        found = "(w) => document.querySelector('textarea').value.includes(w)"
        page.wait_for_function(found, arg=words)

    oto.open("/datasets/new")
    page.fill("[aria-label='Name']", "by-form")
    text_has("name: by-form")
    for name, share in (("train", "50"), ("val", "30"), ("test", "20")):
        page.fill(f"[aria-label='{name}, in percent (may be left empty)']", share)
        text_has(f"{name}: 0.{share[0]}")
    page.wait_for_selector("td:text-is('50 %')")
    # What is written is read back; what the form does not show stays.
    text = page.input_value("textarea").replace("by-form", "by-hand") + "\ndescription: mine\n"
    write(oto, text)
    page.wait_for_function("document.querySelector(\"[aria-label='Name']\").value === 'by-hand'")
    page.fill("[aria-label='Name']", "by-form")
    text_has("name: by-form")
    text_has("description: mine")
    # A preview that says why it cannot be built is believed.
    write(oto, text.replace("media_type: image", "size_bytes: 1"))
    page.wait_for_selector("text=The selector finds 0 files")
    page.click("button:text-is('Preview')")
    page.wait_for_selector("text=the selector finds nothing")
    page.click("button:text-is('Build')")
    page.wait_for_selector("text=The preview said why this cannot be built")
    write(oto, text)
    page.click("button:text-is('Preview')")
    page.wait_for_selector("h2:has-text('What by-hand would be')")
    assert oto.problems == []


def test_a_build_that_fails_shows_its_own_reason(work: Workshop, oto: Watched):
    page = oto.page

    def begin(text: str) -> int:
        oto.open("/datasets/new")
        write(oto, text)
        page.click("button:text-is('Build')")
        page.wait_for_url("**/runs/*")
        return int(page.url.rpartition("/")[2])

    # What cannot be made of what is there is not tried again, and says why.
    run_id = begin(DEFINITION.replace("extension: jpg", "media_type: video"))
    page.locator(".notice.bad", has_text="the selector finds nothing").wait_for()
    page.wait_for_selector(".badge:text-is('failed')")
    detail = work.database.runs.show(run_id)
    assert [one.outcome for one in detail.attempts] == ["failed"]
    # While another process builds the dataset a build waits, and fails for what is wrong with it.
    with work.database.connection() as builds:
        builds.execute("SELECT pg_advisory_lock(hashtext('dataset'), hashtext('awaited'))")
        try:
            empty = DEFINITION.replace("extension: jpg", "media_type: sound")
            run_id = begin(empty.replace("name: shades", "name: awaited"))
            page.wait_for_selector("td >> text=is being built by another process")
        finally:
            builds.execute("SELECT pg_advisory_unlock_all()")
    page.locator(".notice.bad", has_text="the selector finds nothing").wait_for()
    assert page.locator(".notice", has_text="another process").count() == 0
    detail = work.database.runs.show(run_id)
    assert [one.outcome for one in detail.attempts].count("failed") == 1
    assert detail.tasks[0].failures == 1
    assert oto.problems == []


def test_a_dry_run_is_told_in_words(work: Workshop, oto: Watched):
    page = oto.page
    oto.open("/scheduler/start/ua_3")
    turned = "splits: {fractions: {test: 0.25, val: 0.25, train: 0.5}"
    write(oto, DEFINITION.replace("splits: {fractions: {train: 0.6, val: 0.4}", turned))
    page.click("button:text-is('Dry run')")
    page.wait_for_selector("h2:has-text('What shades would be')")
    # Splits are named in one order, whatever the definition's.
    names = page.locator("[aria-label='Splits'] tbody tr td:first-child").all_inner_texts()
    assert names == ["train", "val", "test"]
    for workflow in ("scrub", "inbox", "backup", "audit"):
        oto.open(f"/scheduler/start/{workflow}")
        page.click("button:text-is('Dry run')")
        page.wait_for_selector("main >> text=/^Steps: /")
        assert '{"' not in page.inner_text("main") and '": ' not in page.inner_text("main")
    assert oto.problems == []


def test_lineage_goes_both_ways_and_never_by_a_path(work: Workshop, oto: Watched):
    page = oto.page
    version = newest(work)
    member = next(work.database.datasets.members(version.dataset_version_id))
    work.database.apply_intent(
        WriteIntent(
            version=1,
            intent_id="hostile-member",
            common_metadata=(
                CommonMetadata(key=member.key, source="file", is_raw=True, is_root=True,
                               title=HOSTILE),
            ),
        )
    )  # fmt: skip
    oto.open("/datasets")
    page.fill("input[placeholder^='key']", member.key)
    page.click("button:has-text('Show lineage')")
    page.wait_for_selector("h1:has-text('Lineage of node')")
    page.wait_for_selector(f"a:has-text('shades@{version.version}')")
    assert page.evaluate("window.hacked") is None
    cookie = work.log_in("oto")
    for path in ("%2Fetc%2Fpasswd", "../../etc/passwd", "/etc/passwd", "0" * 64):
        answer = work.ask("GET", f"/datasets/lineage/{path}", cookie=cookie)
        assert b"root:" not in answer.body
    oto.open("/datasets/lineage//etc/passwd")
    page.wait_for_selector("h1:text-is('Not here')")
    assert [line for line in oto.problems if "404" not in line] == []


def test_an_address_of_nothing_says_so(work: Workshop, oto: Watched):
    for path in ("of/nothing", "of/shades@99", "of/shades@x", "of/a@1@2",
                 "diff/shades@1/nothing", "new?from=nothing"):  # fmt: skip
        oto.open(f"/datasets/{path}")
        oto.page.wait_for_selector("h1:text-matches('^Not (here|possible)$')")
    lines = [line for line in oto.problems if not re.search("40[04]", line)]
    assert lines == []


def test_viewers_look_and_labellers_do_not(chromium, work: Workshop):
    newest(work)
    label_harness.add_labellers(work)
    vera, lea = work.log_in("vera"), work.log_in("lea")
    assert work.ask("GET", "/datasets", cookie=vera).status == 200
    page = work.ask("GET", "/datasets/of/shades", cookie=vera)
    assert page.status == 200
    for words in (b"Retire", b"Export as", b"New version"):
        assert words not in page.body
    assert work.ask("GET", "/datasets/new", cookie=vera).status == 403
    for path in ("/datasets", "/datasets/of/shades", "/datasets/lineage/1", "/datasets/new"):
        assert work.ask("GET", path, cookie=lea).status == 403


def choose_first(page) -> None:
    page.focus(".ds-tile[tabindex='0']")
    page.keyboard.press("Space")
    page.locator(".chosen-bar", has_text="1 chosen").wait_for()


def test_an_admin_purges_what_is_chosen_alone_or_its_batch(chromium, work: Workshop):
    label_harness.add_files(work, "spare", label_harness.pictures(5, "bmp"))
    ada = Watched(chromium, work, viewport={"width": 1300, "height": 900})
    page, client = ada.page, work.store.client
    keys = {file.key for file in client.batch_files("spare")}

    def stored() -> int:
        return len(client.known(sorted(keys)))

    ada.log_in("ada")
    ada.open("/explorer?ingest_batch=spare")
    page.wait_for_selector("text=5 nodes")
    page.wait_for_selector(".ds-tile >> nth=4")
    choose_first(page)
    page.click(".chosen-bar >> text=Purge")
    page.wait_for_selector(".dialog >> text=All of batch spare: 5 nodes, 1 of them chosen")
    page.click(".dialog >> text=Delete only")
    page.click(".dialog:has-text('Delete: 1 file') >> text='Delete'")
    page.wait_for_selector("text=4 nodes")
    assert stored() == 5

    # One file alone: its batch keeps the others, and nothing goes without the word.
    choose_first(page)
    page.click(".chosen-bar >> text=Purge")
    page.wait_for_selector(".dialog >> text=Only what is chosen: 1 file")
    page.click(".dialog >> text=See what would go")
    page.wait_for_selector(".dialog >> text=Purge 1 file?")
    page.wait_for_selector(".dialog >> text=/^Goes: 1 object, /")
    page.wait_for_selector(".dialog >> text=Named by batch spare: 1.")
    page.wait_for_selector(".dialog >> text=Named by ingest batch spare: 1.")
    page.click(".dialog >> text=Purge for good")
    page.wait_for_selector("text=Type purge to go on.")
    assert stored() == 5
    page.fill(".dialog input", "purge")
    page.click(".dialog >> text=Purge for good")
    page.wait_for_selector("text=/^Purged: 1 object, /")
    page.wait_for_selector("text=3 nodes")
    assert stored() == 4
    left = {file.key for file in client.batch_files("spare")}
    assert left < keys and len(left) == 4

    # The same on the page of a node.
    selector = parse_selector("{version: 1, where: {ingest_batch: spare}}")
    one = next(iter(work.database.query_nodes(selector)))
    ada.open(f"/node/{one.node_id}")
    page.click("button:has-text('Purge')")
    page.wait_for_selector(".dialog >> text=Purge 1 file?")
    page.fill(".dialog input", "purge")
    page.click(".dialog >> text=Purge for good")
    page.wait_for_selector(f"text=the object {one.key} was purged")
    assert not client.known([one.key])

    ada.open("/explorer?ingest_batch=spare")
    page.wait_for_selector("text=2 nodes")
    page.wait_for_selector(".ds-tile >> nth=1")
    choose_first(page)
    page.click(".chosen-bar >> text=Purge")
    page.click(".dialog >> text=All of batch spare: 5 nodes, 1 of them chosen")
    page.click(".dialog >> text=See what would go")
    page.wait_for_selector(".dialog >> text=Purge spare?")
    page.wait_for_selector(".dialog >> text=4 of its nodes were not chosen: they go too.")
    page.wait_for_selector(".dialog >> text=/^Goes: \\d+ objects, .* of 5 files in spare\\./")
    page.click(".dialog >> text=Purge for good")
    page.wait_for_selector("text=Type spare to go on.")
    assert "spare" in [one.batch for one in client.batches()]
    page.fill(".dialog input", "spare")
    page.click(".dialog >> text=Purge for good")
    page.wait_for_selector("text=/^Purged: \\d+ objects/")
    page.wait_for_selector("text=Nothing fits these filters.")
    assert "spare" not in [one.batch for one in client.batches()]
    assert stored() == 0
    ada.close()
