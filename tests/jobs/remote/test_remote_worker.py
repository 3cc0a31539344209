"""A worker with Redis, the API and the stage area under another path; no database, no store."""

from __future__ import annotations

import glob
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from far_harness import ENDED, Process, start, start_api, start_far_worker, store_yard, write_secret
from jobs_harness import Yard, kill, until
from trace_receiver import Collector, collector

from base.logging.ids import bind
from jobs.runs.local_state import program_log


@pytest.fixture
def yard(store, database_url: str) -> Iterator[Yard]:
    """A store's configuration whose Redis and scheduler run."""
    with store_yard(store(2, started=False), database_url, "far_workflows") as found:
        found.start_redis()
        found.start_scheduler()
        yield found


@dataclass
class Far:
    """The API's process and address, and the stage area under another name."""

    api: Process
    address: str
    stage: str


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, for all that is started after this."""
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.address)
        yield found


@pytest.fixture
def far(yard: Yard) -> Iterator[Far]:
    stage = os.path.join(yard.root, "ssd", "3c")
    folder = os.path.join(stage, "7", "layout")
    os.makedirs(folder)
    with open(os.path.join(folder, "input"), "w", encoding="utf-8") as file:
        file.write("some text")
    elsewhere = os.path.join(yard.root, "elsewhere")
    os.symlink(stage, elsewhere)
    api, address = start_api(yard)
    made = Far(api, address, elsewhere)
    yield made
    assert made.api.end() in ENDED, made.api.said()


@pytest.fixture
def workers() -> Iterator[list[Process]]:
    """Workers that are ended with the test."""
    started: list[Process] = []
    yield started
    for worker in started:
        worker.end(signal.SIGKILL)


def stage_of(yard: Yard) -> str:
    return os.path.join(yard.root, "ssd", "3c", "7", "layout")


def test_what_is_computed_far_away_comes_back(yard: Yard, far: Far, workers):
    worker = start_far_worker(yard, far.address, far.stage)
    workers.append(worker)
    yard.start_worker("io", "io")
    stage = stage_of(yard)
    run, _ = yard.control.start("far_away", {"stage": stage})
    yard.wait(run.run_id, "done")
    computed = yard.database.runs.results(run.run_id, "compute")
    assert [one.result for one in computed] == [
        {
            "wrote": f"{stage}/output-{part}",
            "database": "this worker is on another machine and has no database",
            "config": "",
        }
        for part in (1, 2)
    ]
    collected = yard.database.runs.results(run.run_id, "collect")
    assert [one.result for one in collected] == [{"text": "SOME TEXT", "here": True}] * 2
    detail = yard.database.runs.show(run.run_id)
    (attempt,) = [
        one for one in detail.attempts
        if one.worker.startswith("remote ") and one.outcome == "done"
    ][:1]  # fmt: skip
    assert attempt.log_path is not None
    with open(os.path.join(yard.config.log_dir, attempt.log_path), "rb") as file:
        log = file.read()
    assert b"computing part" in log
    assert log.count(b"x") >= 100_000
    words = program_log(os.path.join(yard.config.log_dir, attempt.log_path))
    with open(words, encoding="utf-8") as file:
        assert file.read().startswith("said by the program of part ")
    assert worker.end() == 0
    assert "Traceback" not in worker.said()


def test_its_spans_arrive_as_those_of_the_trace(yard: Yard, traced: Collector, far: Far, workers):
    worker = start_far_worker(yard, far.address, far.stage)
    workers.append(worker)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with bind(request_id="asked", trace_id=trace_id):
        run, _ = yard.control.start("far_alone", {"stage": stage_of(yard)})
    yard.wait(run.run_id, "done")
    until(lambda: traced.named("far_alone think"), worker.said)
    until(lambda: traced.named("run far_alone"), far.api.said)
    (attempt,), (whole,) = traced.named("far_alone think"), traced.named("run far_alone")
    assert {one.trace_id.hex() for one in (attempt, whole)} == {trace_id}
    assert attempt.parent_span_id == whole.span_id and whole.parent_span_id
    daemon_of = {span.name: daemon for daemon, span in traced.spans}
    assert daemon_of["far_alone think"] == "worker" and daemon_of["run far_alone"] == "api"
    assert worker.end() == 0


def test_a_killed_process_is_told_and_its_task_done_again(yard: Yard, far: Far, workers):
    workers.append(start_far_worker(yard, far.address, far.stage))
    yard.start_worker("io", "io")
    stage = stage_of(yard)
    run, _ = yard.control.start("far_away", {"stage": stage, "hold": True})
    first = [os.path.join(stage, f"output-{part}.1.pid") for part in (1, 2)]
    until(lambda: any(map(os.path.exists, first)), workers[0].said)
    (begun,) = [path for path in first if os.path.exists(path)]
    with open(begun, encoding="ascii") as file:
        kill(int(file.read()))
    again = begun.replace(".1.pid", ".2.pid")
    with open(os.path.join(stage, "go"), "w", encoding="ascii"):
        pass
    yard.wait(run.run_id, "done")
    assert os.path.exists(again)
    yard.check_done_once(run.run_id)


def test_a_cancel_reaches_it(yard: Yard, far: Far, workers):
    workers.append(start_far_worker(yard, far.address, far.stage))
    yard.start_worker("io", "io")
    stage = stage_of(yard)
    run, _ = yard.control.start("far_away", {"stage": stage, "hold": True})
    until(lambda: any(name.endswith(".pid") for name in os.listdir(stage)), workers[0].said)
    yard.control.cancel(run.run_id)
    yard.wait(run.run_id, "cancelled")
    assert not os.path.exists(os.path.join(stage, "output-1"))


def test_the_api_may_be_killed_and_come_back(yard: Yard, far: Far, workers):
    workers.append(start_far_worker(yard, far.address, far.stage))
    yard.start_worker("io", "io")
    stage = stage_of(yard)
    run, _ = yard.control.start("far_away", {"stage": stage, "hold": True})
    until(lambda: any(name.endswith(".pid") for name in os.listdir(stage)), workers[0].said)
    far.api.end(signal.SIGKILL)
    with open(os.path.join(stage, "go"), "w", encoding="ascii"):
        pass
    # What was computed meanwhile waits to be told; or it was taken back, and is done again.
    far.api, _ = start_api(yard, far.address.rpartition(":")[2])
    yard.wait(run.run_id, "done")
    yard.check_done_once(run.run_id)


def test_what_is_done_here_only_is_left_to_others(yard: Yard, far: Far, workers):
    workers.append(start_far_worker(yard, far.address, far.stage))
    run, _ = yard.control.start("near_by", {"stage": stage_of(yard)})
    # The far worker gets its number first, and nobody else is there.
    until(lambda: yard.database.runs.queues(("gpu",)) and _was_delivered(yard), workers[0].said)
    yard.start_worker("gpu", "gpu")
    yard.wait(run.run_id, "done")
    (attempt,) = yard.database.runs.show(run.run_id).attempts
    assert not attempt.worker.startswith("remote ")
    # What it leaves behind when it is killed is removed by the next one.
    left = os.path.join(yard.root, "drystone-worker-*")
    until(lambda: glob.glob(left), workers[0].said)
    (former,) = glob.glob(left)
    workers[0].end(signal.SIGKILL)
    workers.append(start_far_worker(yard, far.address, far.stage))
    until(lambda: not os.path.exists(former), workers[1].said)


def _was_delivered(yard: Yard) -> bool:
    with yard.database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM run_task WHERE delivered_time IS NOT NULL")
        return row.fetchone()[0] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--api": "host:80"}, "is no address"),
        ({"--stage-root": "/nowhere/at/all"}, "mount the stage area"),
        ({"--token-file": "/nowhere/token"}, "cannot be read"),
        ({"--redis": "http://x"}, "--redis is not usable"),
        ({"--redis-password-file": "/nowhere/secret"}, "cannot be read"),
    ],
)
def test_a_wrong_place_is_one_line(short_tmp: str, change: dict[str, str], said: str):
    token = write_secret(os.path.join(short_tmp, "token"), "staple-correct-horse")
    given = {
        "--api": "http://127.0.0.1:9", "--token-file": token, "--redis": "redis://127.0.0.1:9",
        "--stage-root": short_tmp, **change,
    }  # fmt: skip
    arguments = [part for pair in given.items() for part in pair]
    worker = start(short_tmp, "far", "worker", "--queues", "gpu", *arguments)
    assert worker.popen.wait(60) == 2, worker.said()
    assert said in worker.said()
    assert worker.said().count("\n") == 1
