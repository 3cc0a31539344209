"""Work in a real Chromium, against real workers: started, gated, watched, repaired."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
import runs_harness
from action_house import MEASURE
from runs_harness import Workshop
from test_gui_browser import Watched


@pytest.fixture(scope="module")
def work(database_server: str, database_template: str) -> Iterator[Workshop]:
    """A store with a worker, served."""
    with runs_harness.workshop(database_server, database_template) as made:
        yield made


@pytest.fixture
def oto(chromium, work: Workshop) -> Iterator[Watched]:
    """A browser of an operator."""
    made = Watched(chromium, work)
    made.log_in("oto")
    yield made
    made.close()


def run_of(oto: Watched) -> int:
    """Return the run whose page is open."""
    oto.page.wait_for_url("**/runs/*")
    found = re.search(r"/runs/(\d+)", oto.page.url)
    assert found
    return int(found.group(1))


def has_ended(oto: Watched, state: str) -> None:
    """Wait until the head of a run's page says that it has ended so."""
    oto.page.wait_for_selector(f"main .card >> nth=0 >> .badge:text-is('{state}')")


def choose(oto: Watched, field: str, words: str) -> None:
    """Choose one of a select's options."""
    oto.page.click(f"[data-field='{field}']")
    oto.page.click(f".q-menu .q-item:has-text('{words}')")


def start(oto: Watched, action: str) -> int:
    """Start an action over everything it can work on, from the scheduler's page."""
    oto.open("/scheduler")
    oto.page.click(".tile:has-text('Run an action')")
    oto.page.wait_for_selector("text=Choose an action")
    choose(oto, "action", action)
    oto.page.wait_for_selector(f"h1:has-text('{action}')")
    oto.page.click("button:has-text('Dry run')")
    oto.page.click("button:has-text('Start')")
    return run_of(oto)


def test_an_action_waits_for_the_gpu_until_somebody_says_it_is_ready(work: Workshop, oto: Watched):
    work.yard.add_action("gated", number=910, gate="gpu_ready")
    page = oto.page
    oto.open("/scheduler/start/ua_2?action=gated")
    page.click("button:has-text('Dry run')")
    for words in ("Nodes to do", "Files staged", "Exact command of the first part", "/bin/sh",
                  "Room in the stage", "a GPU machine that is ready"):  # fmt: skip
        page.get_by_text(words).first.wait_for()
    assert page.inner_text(".metric:has-text('Nodes to do') .metric-value") == "6"
    # Nothing was started by it.
    assert work.database.runs.list_runs().runs == ()
    page.click("button:has-text('Start')")
    run_id = run_of(oto)
    page.wait_for_selector("main >> text=waits for GPU")
    oto.open("/gates")
    page.wait_for_selector(f"a:has-text('Run an action: gated'):has-text('(run {run_id})')")
    page.wait_for_selector("td:has-text('1') >> nth=0")
    page.click("button:has-text('GPU ready')")
    page.wait_for_selector("text=Nothing waits for a GPU machine.")
    page.wait_for_selector(".badge:has-text('ready')")
    oto.open(f"/runs/{run_id}")
    has_ended(oto, "done")
    for words in ("Action batch", "gated, version 1", "Tasks and attempts"):
        page.get_by_text(words).first.wait_for()
    assert page.locator(".gantt-bar").count() >= 4
    work.yard.wait(run_id, "done")
    oto.open("/gates")
    lanes = page.get_by_role("table", name="Waits by queue and lane")
    lanes.locator("tr:has-text('cpu'):has-text('high'):has-text(' s')").wait_for()
    page.click("button:has-text('GPU done')")
    page.wait_for_selector(".badge:has-text('not ready')")
    assert oto.problems == []


def test_a_failed_run_is_explained_and_retried(work: Workshop, oto: Watched):
    page, yard = oto.page, work.yard
    # Both attempts of its second part fail; after the retry the third does not.
    run = yard.start("fragile", fail_parts=[2], fail_tries=2)
    yard.wait(run.run_id, "partial", "failed")
    oto.open("/runs?workflow=fragile")
    page.wait_for_selector("text=What went wrong")
    page.wait_for_selector(".reason:has-text('part # is broken')")
    page.click(f"td >> a:text-is('{run.run_id}')")
    page.wait_for_selector(".notice:has-text('part 2 is broken')")
    page.get_by_text(re.compile("attempt 1 by .*: retry")).wait_for()
    assert page.locator(".gantt-bar.bad").count() == 2
    page.click("button:has-text('Retry from failure')")
    page.wait_for_selector("text=begins anew with 1 task; what was done")
    has_ended(oto, "done")
    yard.wait(run.run_id, "done")
    page.wait_for_selector("text=after retries")
    assert oto.problems == []


def test_a_log_is_followed_and_searched(work: Workshop, oto: Watched):
    page, yard = oto.page, work.yard
    go = os.path.join(yard.root, "go")
    program = (
        "n=0; while [ $n -lt 400 ]; do n=$((n+1)); echo line $n; done\n"
        "printf '<img src=x onerror=alert(1)> \\033[31mred\\033[0m\\n'\n"
        f"until [ -e '{go}' ]; do sleep 0.05; done\necho the last words\n" + MEASURE
    )
    yard.add_action("talking", program, number=912)
    run_id = start(oto, "talking")
    log = page.locator(".log-frame")
    page.wait_for_selector(".log:has-text('line 400')")
    page.wait_for_selector(".log:has-text('<img src=x onerror=alert(1)> red')")
    # The end is in sight without anybody scrolling.
    assert abs(log.evaluate("(e) => e.scrollTop")) < 2
    with open(go, "w", encoding="ascii"):
        pass
    yard.wait(run_id, "done")
    oto.open(f"/runs/{run_id}")
    page.click("label:has-text('Attempt')")
    page.click(".q-menu .q-item:has-text('run, part 1') >> text=(its program)")
    page.wait_for_selector(".log:has-text('the last words')")
    page.get_by_label("Look for").fill("line 39")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=11 lines found")
    page.click("button:has-text('Follow')")
    page.wait_for_selector(".log:has-text('the last words')")
    assert oto.problems == []


def test_an_approval_shows_what_it_would_let_happen(work: Workshop, oto: Watched):
    page, yard = oto.page, work.yard
    yard.add_action("asked", number=913, gate="approval")
    run_id = start(oto, "asked")
    oto.open("/gates")
    page.wait_for_selector(f".approval:has-text('Run {run_id}')")
    page.click(f".approval:has-text('Run {run_id}') >> button:has-text('Preview')")
    page.wait_for_selector(".preview-dialog >> text=Nodes to do")
    page.wait_for_selector(".preview-dialog img")
    page.click(".preview-dialog >> button:has-text('Approve')")
    page.wait_for_selector("text=goes on, with 1 task")
    yard.wait(run_id, "done")
    assert oto.problems == []


def test_several_runs_are_cancelled_after_a_question(work: Workshop, oto: Watched):
    page, database = oto.page, work.database
    work.yard.control.set_queue("io", paused=True)
    try:
        runs = [
            work.yard.control.start("audit", {"sample": number})[0].run_id for number in (11, 12)
        ]
        oto.open("/runs?workflow=audit&state=queued")
        for run_id in runs:
            page.check(f"[aria-label='Choose run {run_id}']")
        page.wait_for_selector("text=2 chosen")
        page.click("button:has-text('Cancel them')")
        page.wait_for_selector("text=Cancel 2 runs?")
        page.click(".dialog >> button:has-text('Cancel them')")
        page.wait_for_selector("text=2 of 2 runs are cancelled")
        assert {database.runs.run(one).state for one in runs} == {"cancelled"}
    finally:
        work.yard.control.set_queue("io", paused=False)
    assert oto.problems == []


def test_a_clone_opens_with_what_the_run_had(work: Workshop, oto: Watched):
    run, _ = work.yard.control.start("audit", {"sample": 7})
    work.yard.wait(run.run_id, "done", "failed", "partial")
    oto.open(f"/runs/{run.run_id}")
    oto.page.click("text=Clone with edits")
    oto.page.wait_for_url("**/scheduler/start/audit*")
    assert oto.page.get_by_label("Sample").input_value() == "7"
    oto.page.get_by_label("Sample").fill("8")
    oto.page.click("button:has-text('Dry run')")
    oto.page.click("button:has-text('Start')")
    assert work.database.runs.run(run_of(oto)).parameters["sample"] == 8


def test_a_schedule_is_made_in_plain_words_fired_and_disabled(work: Workshop, oto: Watched):
    page = oto.page
    oto.open("/scheduler/start/infer?run=0")
    page.get_by_label("Folder").fill(work.yard.root)
    page.click("button:has-text('Dry run')")
    page.click("button:has-text('Schedule it')")
    page.get_by_label("When (cron").fill("99 * * * *")
    page.wait_for_selector(".dialog .notice.bad")
    page.click("button:has-text('on weekdays at 9')")
    page.wait_for_selector("text=Fires at 09:00 on Monday through Friday (UTC). Next:")
    page.get_by_label("Name, such as").fill("mornings")
    page.click("button:has-text('Make the schedule')")
    page.wait_for_selector("h1:has-text('Schedule mornings')")
    assert page.locator(".card:has-text('Next five firings') .mono").count() == 5
    page.click("button:has-text('Fire now')")
    page.wait_for_selector("tr:has-text('a person') >> text=fired")
    # Its first run still waits for a GPU machine.
    page.click("button:has-text('Fire now')")
    page.wait_for_selector("tr:has-text('skipped') >> text=is still going on")
    page.click("button:has-text('Disable')")
    page.wait_for_selector("text=no, it is disabled")
    assert not work.database.schedules.schedule("mornings").enabled
    page.click("button:has-text('Backfill')")
    page.click("button:has-text('Count them')")
    page.wait_for_selector("text=Make up for mornings?")
    page.click(".dialog >> button:has-text('Start the runs')")
    page.wait_for_selector("tr:has-text('made up for') >> text=fired")
    page.click("button:has-text('Remove')")
    page.click(".dialog >> button:has-text('Remove it')")
    page.wait_for_selector("h1:text-is('Scheduler')")
    for run in work.database.runs.list_runs().runs:
        if run.workflow == "infer":
            work.yard.control.cancel(run.run_id)
    assert oto.problems == []
