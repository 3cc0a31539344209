"""Schedules and alerts with everything running: workers, a real store, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from command import run_text
from far_harness import store_yard
from jobs_harness import Yard, kill, until
from store_harness import write_files

from jobs.core.alert_config import AlertsConfig
from jobs.scheduler.alert_watch import StoreWatch, kind_of
from jobs.scheduler.schedules import BUILT_IN

BATCH = {"a.txt": b"a" * 1000, "b.txt": b"b" * 1000}


@pytest.fixture
def yard(store, database_url: str) -> Iterator[Yard]:
    """A store's configuration, with Redis."""
    with store_yard(store(2, started=False), database_url, "trial_workflows") as found:
        found.start_redis()
        yield found


def ask(yard: Yard, *arguments: str, expect: int = 0) -> str:
    return drystone(yard, *arguments, expect=expect).stdout


def drystone(yard: Yard, *arguments: str, expect: int) -> subprocess.CompletedProcess[str]:
    result = run_text(*arguments, config_path=yard.config_path)
    assert result.returncode == expect, result
    return result


def make_due(yard: Yard, name: str) -> None:
    with yard.database.connection() as connection:
        connection.execute(
            "UPDATE schedule SET next_time = date_trunc('minute', now()) WHERE name = %s", [name]
        )


def story(yard: Yard, name: str) -> str:
    history = yard.database.schedules.history(name)
    return f"{yard.database.schedules.schedule(name)}\n{history}\n{yard.story(1)}"


def documents_of(path: str) -> list[dict]:
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def test_the_clock_starts_runs_and_failures_are_told(yard: Yard):
    told = os.path.join(yard.root, "told")
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    command = json.dumps([sys.executable, "-c", code, told])
    with open(yard.config_path, "a", encoding="utf-8") as file:
        file.write(
            f'\n[[jobs.alerts.channel]]\nname = "log"\nkind = "command"\ncommand = {command}\n'
        )
    folder = os.path.join(yard.root, "traces")
    os.makedirs(folder)
    arguments = ["--cron", "0 3 * * *", "-p", f"folder={folder}"]
    for name, workflow in (("good", "nothing"), ("bad", "refuse")):
        ask(yard, "schedule", "add", name, workflow, *arguments)
        make_due(yard, name)
    scheduler = yard.start_scheduler()
    yard.start_worker()
    until(lambda: len(yard.database.runs.list_runs().runs) == 2)
    good, bad = (
        next(run for run in yard.database.runs.list_runs().runs if run.workflow == workflow)
        for workflow in ("nothing", "refuse")
    )
    yard.wait(good.run_id, "done")
    yard.wait(bad.run_id, "failed")
    assert good.requested_by == "schedule good"
    until(lambda: "run_failed" in {one["kind"] for one in documents_of(told)})
    failed = [one["document"] for one in documents_of(told) if one["kind"] == "run_failed"]
    assert [one["run_id"] for one in failed] == [bad.run_id]
    built_in = {one.name for one in yard.database.schedules.schedules() if one.built_in}
    assert built_in == {one.name for one in BUILT_IN}
    # A scheduler that was killed: the next one fires what became due, once.
    kill(scheduler)
    with yard.database.connection() as connection:
        connection.execute(
            "UPDATE schedule SET next_time = next_time - interval '2 days' WHERE name = 'good'"
        )
    until(lambda: yard.start_scheduler() not in (0, scheduler))
    until(lambda: len(yard.database.runs.list_runs().runs) == 3, lambda: story(yard, "good"))
    yard.wait(yard.database.runs.list_runs().runs[0].run_id, "done")


def test_the_command_line(yard: Yard):
    arguments = ["schedule", "add", "nightly", "nothing", "--cron", "30 3 * * mon-fri"]
    where = ["--zone", "Europe/Berlin", "-p", "folder=/x", "-p", "parts=3"]
    shown = json.loads(ask(yard, *arguments, *where, "--json"))
    assert shown["parameters"] == {"folder": "/x", "parts": 3}
    assert shown["text"] == "at 03:30 on Monday through Friday (Europe/Berlin)"
    assert len(shown["upcoming"]) == 5
    again = drystone(yard, *arguments, *where, expect=2)
    assert "another name" in again.stderr
    assert again.stderr.count("\n") == 1
    assert "nightly" in ask(yard, "schedule", "list")
    assert "every day" in ask(yard, "schedule", "set", "nightly", "--cron", "@daily")
    file = os.path.join(yard.root, "parameters.json")
    for document, left in (({"folder": "/y"}, "/y"), ({}, None)):
        with open(file, "w", encoding="utf-8") as out:
            json.dump(document, out)
        given = ["schedule", "set", "nightly", "--parameters", file]
        if left is None:
            # Taken away, and not left as they were: the workflow misses one.
            assert "folder: Field required" in drystone(yard, *given, expect=2).stderr
        else:
            assert json.loads(ask(yard, *given, "--json"))["parameters"] == {"folder": left}
    assert "(off)" in ask(yard, "schedule", "disable", "nightly")
    fired = json.loads(ask(yard, "schedule", "fire", "nightly", "--json"))
    assert fired[0]["outcome"] == "fired"
    assert "still going on" in ask(yard, "schedule", "fire", "nightly", expect=1)
    span = ["--since", "2024-11-01T00:00", "--until", "2024-11-03"]
    times = json.loads(ask(yard, "schedule", "backfill", "nightly", *span, "--dry-run", "--json"))
    assert times == ["2024-10-31T23:00:00Z", "2024-11-01T23:00:00Z"]
    made = json.loads(ask(yard, "schedule", "backfill", "nightly", *span, "--json"))
    assert [one["outcome"] for one in made] == ["fired", "fired"]
    history = json.loads(ask(yard, "schedule", "history", "nightly", "--json"))
    assert [one["cause"] for one in history] == ["hand", "hand", "backfill", "backfill"]
    ask(yard, "schedule", "remove", "nightly")


MISTAKES = (
    (["add", "x", "nothing", "--cron", "99 * * * *", "-p", "folder=/"], "cron"),
    (["add", "x", "nothing", "--cron", "@daily", "--zone", "Mars/\x1b[2J"], "no time zone"),
    (["add", "x", "nothing", "--cron", "@daily"], "folder: Field required"),
    (["add", "x", "none", "--cron", "@daily"], "no workflow"),
    (["add", "x y", "nothing", "--cron", "@daily"], "name"),
    (["add", "x", "nothing", "--cron", "@daily", "-p", "folder"], "NAME=VALUE"),
    (["add", "x", "nothing", "--cron", "@daily", "--catch-up", "maybe"], "catch_up"),
)


def test_mistakes_are_told_without_a_traceback(yard: Yard):
    for arguments, said in MISTAKES:  # One store for all of them.
        result = drystone(yard, "schedule", *arguments, expect=2)
        assert said in result.stderr
        assert "Traceback" not in result.stderr
        assert "\x1b" not in result.stderr
    assert yard.database.schedules.schedules() == []


def test_alert_test_and_the_list_of_alerts(yard: Yard):
    ask(yard, "run", "alert-test", expect=1)
    with open(yard.config_path, "a", encoding="utf-8") as file:
        file.write(
            '\n[[jobs.alerts.channel]]\nname = "good"\nkind = "command"\ncommand = ["true"]\n'
            '\n[[jobs.alerts.channel]]\nname = "bad"\nkind = "command"\ncommand = ["false"]\n'
        )
    results = json.loads(ask(yard, "run", "alert-test", "--json", expect=1))
    assert results == {"good": "", "bad": "'false' ended with 1: "}
    yard.database.events.add("processing.failed", "run \x1b[2J1", {})
    yard.database.events.plan(lambda _kind: ["good"])
    assert "run \\x1b[2J1" in ask(yard, "run", "alerts")


def test_scrub_and_audit_of_a_real_store(store, tmp_path, database_url: str):
    made = store()
    made.put(write_files(str(tmp_path / "in"), BATCH), "pets")
    with store_yard(made, database_url) as yard:
        yard.start_redis()
        yard.start_worker("io", "io")
        for workflow in ("scrub", "audit"):
            run, _ = yard.control.start(workflow, {})
            assert yard.wait(run.run_id, "done", "partial", "failed").state == "done"
        result = yard.database.runs.result_of(run.run_id, "audit", 0)
        assert result is not None
        assert result["missing_count"] == 0
        # Stopping the store stops what runs beside its engine as well, Redis and workers.
        made.stop()
        yard.start_redis()
        yard.start_worker("io", "io")
        run, _ = yard.control.start("scrub", {})
        until(
            lambda: yard.database.runs.show(run.run_id).tasks[0].failures,
            lambda: yard.story(run.run_id),
        )
        (task,) = yard.database.runs.show(run.run_id).tasks
        assert "was not scrubbed" in (task.error or "")


def test_warnings_of_the_store_become_events_once_a_day(store, tmp_path, database_url: str):
    made = store()
    made.put(write_files(str(tmp_path / "in"), BATCH), "pets")
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)
    with store_yard(made, database_url) as yard:
        watch = StoreWatch(yard.config_path, AlertsConfig(), yard.database)
        before = watch.look(now)
        os.rename(made.disks[0], made.disks[0] + ".away")
        until(lambda: any(one.code == "disk-missing" for one in made.client.warnings()))
        assert watch.look(now) >= 1
        events = yard.database.events.events("disk.missing")
        assert any(event.document["code"] == "disk-missing" for event in events)
        count = len(yard.database.events.events())
        assert watch.look(now) + len(yard.database.events.events()) == count
        assert watch.look(now + timedelta(days=1)) >= 1
        made.stop()
        assert watch.look(now + timedelta(days=1)) == 0, "it may be starting"
        assert watch.look(now + timedelta(days=1, seconds=301)) == 1
        (silent,) = yard.database.events.events("store.warning")
        critical = yard.database.events.events("error.critical")[0]
        assert silent.subject == critical.subject == "engine"
        assert critical.document == {**silent.document, "type": "store.warning"}
        assert before >= 0


def test_bad_and_old_backups_become_events(yard: Yard):
    now = datetime.now(UTC)
    watch = StoreWatch(yard.config_path, AlertsConfig(), yard.database)
    assert watch.look(now) == 0
    with yard.database.connection() as connection:
        connection.execute(
            "INSERT INTO backup_report VALUES ('20261101T000000Z-logical', now(), now(), "
            "'logical', 'incomplete', 1, 5, '{}')"
        )
    assert watch.look(now) == 1
    assert watch.look(now) == 0
    with yard.database.connection() as connection:
        connection.execute(
            "UPDATE backup_report SET state = 'ok', start_time = now() - interval '9 days', "
            "end_time = now() - interval '9 days'"
        )
    assert watch.look(now) == 1
    kinds = [event.kind for event in yard.database.events.events()]
    assert kinds == ["backup.old", "backup.failed"]


def test_warnings_have_their_topics():
    assert kind_of("ssd-area") == kind_of("ssd-full") == kind_of("ssd-partition") == "space.low"
    assert kind_of("disk-missing") == "disk.missing" and kind_of("lost-objects") == "loss.found"
    assert kind_of("disk-failing") == kind_of("smart-pending") == "disk.failing"
    assert kind_of("alerts") == "store.warning"
