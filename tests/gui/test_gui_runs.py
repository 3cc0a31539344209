"""Runs and scheduler: the pages' logic, with NiceGUI's simulated browser and no worker."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import gui_harness
import pytest
from gui_harness import HOSTILE, Scene
from nicegui.testing import User

import jobs
from gui.pages.runs.filters import RunQuery, query_of
from gui.reading.poller import Poller
from jobs import RunControl
from sql import NewTask, Outcome, Successors

pytestmark = pytest.mark.asyncio


def make_run(scene: Scene, workflow: str = "audit", **parameters) -> int:
    """Enter a run as the scheduler does; nobody works on it."""
    task = NewTask(step="audit", queue="nobody", attempts_max=1)
    key = f"{workflow}:{datetime.now(UTC).isoformat()}"
    run, _ = scene.database.runs.start_run(
        workflow, parameters, task, run_key=key, requested_by="ann"
    )
    return run.run_id


def fail_run(scene: Scene, reason: str, **parameters) -> int:
    """Enter a run that fails at once."""
    run_id = make_run(scene, **parameters)
    task = scene.database.runs.show(run_id).tasks[0]
    claim = scene.database.runs.claim(task.task_id, "worker-1", lambda *ids: f"{ids[0]}/1-1.log")
    assert claim is not None
    outcome = Outcome(state="failed", error=reason, retry=False)
    scene.database.runs.finish(task.task_id, claim.token, outcome, lambda *_: Successors())
    return run_id


async def test_the_list_is_filtered_by_its_address(scene: Scene):
    failed = fail_run(scene, "disk 7 of 9 is full", sample=1)
    queued = make_run(scene, sample=2)
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open("/runs?state=failed&workflow=audit")
        await user.should_see(f"{failed}")
        await user.should_see("disk 7 of 9 is full")
        await user.should_not_see(f"/runs/{queued}")
        for words in ("What went wrong", "audit: disk # of # is full"):
            await user.should_see(words)
        await user.should_not_see("Retry")
        await user.open("/runs?q=nothing-has-these-words")
        await user.should_see("No run fits these filters.")
        # What an address says wrongly is left out.
        await user.open("/runs?state=nonsense&before=x&since=never&period=9y")
        await user.should_see(f"{queued}")


async def test_labellers_and_viewers_see_what_they_may(scene: Scene):
    from gui.access.people import add_user

    run_id = make_run(scene, sample=3)
    if all(one.name != "lea" for one in scene.database.users.users()):
        add_user(scene.database, "lea", "labeller", gui_harness.PASSWORD)
    pages = ("/runs", f"/runs/{run_id}", "/scheduler", "/pipelines", "/gates")
    async with gui_harness.simulated(scene, "lea") as (user, _):
        for path in (*pages, "/scheduler/start/audit", "/pipelines/batch/1"):
            answer = await user.http_client.get(path)
            assert answer.status_code == 403, path
    async with gui_harness.simulated(scene, "vera") as (user, _):
        for path in pages:
            answer = await user.http_client.get(path)
            assert answer.status_code == 200, path
        assert (await user.http_client.get("/scheduler/start/audit")).status_code == 403
        await user.open(f"/runs/{run_id}")
        await user.should_not_see("Cancel")


def press(user: User, words: str) -> None:
    """Click the button of these words: an advice may name it."""
    found = user.find(words)
    found.elements = {one for one in found.elements if one.props.get("type") == "button"}
    found.click()


async def test_what_was_done_is_said_before_all_is_read_anew(scene: Scene, monkeypatch):
    run_id = fail_run(scene, "it broke", sample=4)
    may_read, read = asyncio.Event(), Poller._read

    async def read_later(poller: Poller, *given: Any) -> None:
        await may_read.wait()
        await read(poller, *given)

    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open(f"/runs/{run_id}")
        await user.should_see("it broke")
        monkeypatch.setattr(Poller, "_read", read_later)
        press(user, "Retry from failure")
        try:
            await user.should_see(f"Run {run_id} begins anew with 1 task")
        finally:
            may_read.set()
        await user.should_not_see("Retry from failure")


async def test_an_act_that_fails_as_nobody_thought_is_told_and_logged(
    scene: Scene, monkeypatch, caplog
):
    run_id = fail_run(scene, "it broke again", sample=5)
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open(f"/runs/{run_id}")
        monkeypatch.setattr(RunControl, "retry", lambda *_: 1 / 0)
        press(user, "Retry from failure")
        await user.should_see("This went wrong in a way that nobody thought of")
        assert "ZeroDivisionError" in caplog.text


async def test_a_run_that_is_not_there_says_so(scene: Scene):
    async with gui_harness.simulated(scene, "ada") as (user, _):
        answer = await user.http_client.get("/runs/999999")
        assert answer.status_code == 404
        assert "there is no run 999999" in answer.text
        answer = await user.http_client.get("/runs/0")
        assert answer.status_code == 404


async def test_strangers_text_in_runs_stays_text(scene: Scene):
    run_id = fail_run(scene, HOSTILE, folder=HOSTILE)
    async with gui_harness.simulated(scene, "ada") as (user, _):
        for path in ("/runs", f"/runs/{run_id}"):
            answer = await user.http_client.get(path)
            assert "<img src=x onerror" not in answer.text
            await user.open(path)
            await user.should_see("onerror")


async def test_an_act_is_refused_to_whoever_may_not(scene: Scene):
    from gui.pages.runs import acts as run_acts
    from gui.widgets.acts import act

    run_id = make_run(scene, sample=4)
    async with gui_harness.simulated(scene, "vera") as (user, desk):
        await user.open("/runs")
        with user:
            await run_acts.retry(desk, run_id)
            await run_acts.approve(desk, run_id)
            assert await act(desk, "operator", "", lambda: desk.control().cancel(run_id)) is None
        await user.should_see("this needs the role operator")
    assert scene.database.runs.run(run_id).state == "queued"


async def test_a_form_comes_from_the_workflows_model(scene: Scene):
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open("/scheduler/start/audit")
        for words in ("Compare database and store", "Sample", "Dry run"):
            await user.should_see(words)
        user.find("Dry run").click()
        await user.should_see("Exactly this is started.")
        await user.should_see("Steps: ")
        answer = await user.http_client.get("/scheduler/start/no_such_workflow")
        assert "there is no workflow" in answer.text


async def test_a_dry_run_that_fails_as_nobody_thought_counts_no_more(scene: Scene, monkeypatch):
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open("/scheduler/start/audit")
        monkeypatch.setattr("jobs.dry_run_request", lambda *_: 1 / 0)
        user.find("Dry run").click()
        await user.should_see("This went wrong in a way that nobody thought of")
        await user.should_see("Press Dry run")
        await user.should_not_see("Counting…")


async def test_the_answer_to_a_form_that_was_changed_meanwhile_starts_nothing(
    scene: Scene, monkeypatch
):
    may_answer, asked, answered = (threading.Event() for _ in range(3))
    dry_run = jobs.dry_run_request

    def answer_later(*given: Any) -> dict[str, Any]:
        asked.set()
        may_answer.wait(60)
        try:
            return dry_run(*given)
        finally:
            answered.set()

    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open("/scheduler/start/audit")
        monkeypatch.setattr("jobs.dry_run_request", answer_later)
        user.find("Dry run").click()
        try:
            await asyncio.to_thread(asked.wait, 60)
            (element,) = user.find(kind=_number()).elements
            element.set_value(3)
            await user.should_see("Press Dry run")
        finally:
            may_answer.set()
        assert await asyncio.to_thread(answered.wait, 60)
        with pytest.raises(AssertionError):
            await user.should_see("Exactly this is started.", retries=20)
        user.find("Dry run").click()
        await user.should_see("Exactly this is started.")


async def test_what_was_cloned_is_filled_in(scene: Scene):
    run_id = make_run(scene, sample=77)
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open(f"/scheduler/start/audit?run={run_id}")
        (element,) = user.find(kind=_number()).elements
        assert element.value == 77


def _number():
    from nicegui import ui

    return ui.number


async def test_the_board_and_the_batch_show_where_things_stand(scene: Scene):
    database = scene.database
    for number, name in ((9001, "first_look"), (9002, "second_look")):
        database.actions.declare_action(number, name, "AC2")
    database.action_context.declare_pipeline("looks", [9001, 9002], "")
    nodes = [node.node_id for node in database.explore.page(_jpegs(), limit=4)]
    batch = database.action_context.make_sealed_batch(nodes)
    now = datetime.now(UTC)
    database.actions.record_action_history(9001, batch, "done", now, now)
    loose = database.action_context.make_sealed_batch(nodes[:1])
    database.pipelines.enrol("looks", [batch])
    database.actions.declare_action(101, "image_probe", "AC2")
    steps = '"stages": [{"action": "image_probe"}]'
    text = f'{{"pipeline": 1, "name": "probes", "advance": "auto", {steps}}}'
    database.action_context.declare_pipeline("probes", [101], text)
    cards = {one.action_batch_id: one for one in database.run_summary.board()}
    assert (cards[batch].pipeline, cards[batch].stage_id, cards[batch].nodes) == ("looks", 2, 4)
    assert cards[loose].pipeline == "" and cards[loose].run_id is None
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open("/pipelines")
        for words in ("looks", "1 first_look", "2 second_look", f"Batch {batch}", "sealed",
                      "0 of 4 nodes through second_look", "Start second_look", "Begin looks",
                      "2 stages, each begins when somebody says so",
                      "1 stage, each begins by itself"):  # fmt: skip
            await user.should_see(words)
        await user.open(f"/pipelines/batch/{loose}")
        await user.should_see("In no pipeline; a run that names one puts it there.")
        await user.open(f"/scheduler/start/ua_2?action_batch_id={loose}&pipeline=probes")
        await user.should_see("probes; the batch is put into it")
        await user.open(f"/pipelines/batch/{batch}")
        for words in ("Pipeline looks", "4 of 4", "comes next", "first_look", "Some of its nodes"):
            await user.should_see(words)


async def test_filters_go_through_an_address_and_back():
    query = RunQuery(("failed", "cancelled"), "ua_2", "7d", "", "", "cats & dogs", None)
    text = query.address.partition("?")[2]
    from urllib.parse import parse_qsl

    # States come back in the order in which all pages name them.
    assert query_of(dict(parse_qsl(text))) == query
    assert RunQuery().address == "/runs"
    assert query.toggled("failed").states == ("cancelled",)
    wanted = RunQuery(since="2026-01-02", until="2026-01-02").filter()
    assert wanted.since and wanted.until and (wanted.until - wanted.since).days == 1
    assert query_of({"q": "a\0b\ud800", "before": "9" * 30}) == RunQuery(text="ab")


async def test_many_are_retried_and_what_is_refused_is_said(scene: Scene):
    from gui.pages.runs import acts as run_acts

    failed, queued = fail_run(scene, "no", sample=5), make_run(scene, sample=6)
    async with gui_harness.simulated(scene, "oto") as (user, desk):
        await user.open("/runs")
        with user:
            await run_acts._each(desk, "begun anew", [failed, queued], desk.control().retry)
        await user.should_see("1 of 2 runs are begun anew")
        await user.should_see(f"{queued}: ")
    assert scene.database.runs.run(failed).round == 2


def _jpegs():
    from sql import parse_selector

    return parse_selector("{version: 1, where: {extension: jpg}}")
