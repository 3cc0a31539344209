"""Runs, queues and schedules at the public port: what people and scripts ask, right and wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from command import run
from far_harness import door_over, store_yard, token_of
from jobs_harness import Yard
from served_app import Served


class Asker:
    """Asks a served application, as whoever the token says."""

    def __init__(self, served: Served, token: str) -> None:
        self._host = served.address.removeprefix("http://")
        self._token = token

    def __call__(
        self, method: str, path: str, document: Any = None, more: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"content-type": "application/json", **self._bearer(), **(more or {})}
        with contextlib.closing(http.client.HTTPConnection(self._host)) as connection:
            connection.request(method, path, None if document is None else body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def text(self, path: str) -> tuple[tuple[int, str], str]:
        """Return (status, type of content) and the text of an answer that is no JSON."""
        with contextlib.closing(http.client.HTTPConnection(self._host)) as connection:
            connection.request("GET", path, headers=self._bearer())
            answer = connection.getresponse()
            return (answer.status, answer.headers["content-type"]), answer.read().decode()

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"}


@pytest.fixture
def quiet_yard(store, database_url: str) -> Iterator[Yard]:
    """A store's configuration whose Redis runs, and nothing else."""
    with store_yard(store(2, started=False), database_url, "trial_workflows") as yard:
        yard.start_redis()
        yield yard


@pytest.fixture
def ask(quiet_yard: Yard) -> Iterator[Asker]:
    with door_over(quiet_yard) as app:
        served = Served(app)
        yield Asker(served, token_of(quiet_yard, "admin"))
        served.stop()


def start(ask: Asker, workflow: str = "nothing", **parameters: Any) -> int:
    asked = {"workflow": workflow, "parameters": {"folder": "/x", **parameters}}
    status, answer = ask("POST", "/api/v1/runs", asked)
    assert status == 200, answer
    return answer["run_id"]


def test_runs_are_started_listed_shown_cancelled_and_retried(ask: Asker, quiet_yard: Yard):
    first = start(ask)
    status, again = ask(
        "POST", "/api/v1/runs", {"workflow": "nothing", "parameters": {"folder": "/x"}}
    )
    assert (status, again["created"], again["run_id"]) == (200, False, first)
    other = start(ask, "refuse", tag="\u202e'; DROP TABLE run; --")
    _, page = ask("GET", "/api/v1/runs?limit=1")
    assert [run["run_id"] for run in page["runs"]] == [other]
    _, page = ask("GET", f"/api/v1/runs?before={page['next_before']}&state=queued&workflow=nothing")
    assert [run["run_id"] for run in page["runs"]] == [first]
    assert ask("GET", "/api/v1/runs?text=DROP%20TABLE")[1]["runs"][0]["run_id"] == other
    assert ask("GET", "/api/v1/runs?text=%00%25_")[1]["runs"] == []
    status, detail = ask("GET", f"/api/v1/runs/{first}")
    assert [task["step"] for task in detail["tasks"]] == ["nothing"]
    assert ask("POST", f"/api/v1/runs/{first}/cancel", {"reason": "no"})[1]["state"] == "cancelled"
    assert ask("POST", f"/api/v1/runs/{first}/cancel", {})[0] == 400
    assert ask("POST", f"/api/v1/runs/{first}/retry")[1] == {"run_id": first, "tasks": 1}
    assert quiet_yard.state(first) == "queued"
    assert ask("GET", "/api/v1/runs/999999")[0] == 404
    assert ask("POST", "/api/v1/runs/999999/cancel", {})[0] == 404


def test_names_that_are_no_utf8_come_back_as_they_were_given(ask: Asker):
    odd = {"folder": "/x\udcff"}
    run_id = start(ask, **odd)
    assert ask("GET", f"/api/v1/runs/{run_id}")[1]["run"]["parameters"]["folder"] == odd["folder"]
    (run,) = ask("GET", "/api/v1/runs")[1]["runs"]
    assert run["parameters"]["folder"] == odd["folder"]
    asked = {"workflow": "nothing", "parameters": odd}
    assert ask("POST", "/api/v1/runs/plan", asked)[0] == 200
    assert ask("POST", "/api/v1/schedules", {**asked, "name": "odd", "cron": "@daily"})[0] == 200
    (schedule,) = ask("GET", "/api/v1/schedules")[1]
    assert schedule["parameters"] == odd
    for replayed in (None, "true"):
        status, answer = ask("POST", "/api/v1/runs", asked, {"idempotency-key": "odd"})
        assert (status, answer["run_id"]) == (200, run_id), replayed


@pytest.mark.parametrize("levels", [100, 300, 700, 900, 950, 5_000])
def test_a_document_of_many_levels_is_refused_with_a_key_too(ask: Asker, levels: int):
    deep = "[" * levels + "]" * levels
    body = f'{{"workflow": "nothing", "parameters": {{"folder": {deep}}}}}'.encode()
    for headers in ({}, {"idempotency-key": "deep"}):
        assert ask("POST", "/api/v1/runs", body, headers)[0] == 400
    assert ask("GET", "/api/v1/runs")[1]["runs"] == []


def test_figures_of_runs_and_queues_are_those_of_the_database(ask: Asker, quiet_yard: Yard):
    first = start(ask)
    start(ask, tag="another")
    ask("POST", f"/api/v1/runs/{first}/cancel", {"reason": "no"})
    quiet_yard.database.runs.limit_queue("io", 3)
    quiet_yard.database.runs.set_queue("io", paused=True)
    quiet_yard.control.gpu_ready('big "host"')
    (task,) = quiet_yard.database.runs.show(start(ask, tag="begun")).tasks
    assert quiet_yard.database.runs.claim(task.task_id, "w") is not None
    with quiet_yard.database.connection() as connection:
        connection.execute(
            "UPDATE run_attempt SET wait_s = 7, end_time = start_time + interval '2 seconds'"
        )
    (kind, told), text = ask.text("/metrics")
    assert (kind, told) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = text.splitlines()
    for expected in (
        'drystone_runs{state="cancelled"} 1.0',
        'drystone_runs{state="queued"} 1.0',
        'drystone_runs{state="failed"} 0.0',
        'drystone_tasks{queue="default",state="queued"} 1.0',
        'drystone_queue_tasks_max{queue="io"} 3.0',
        'drystone_queue_closed{queue="io"} 1.0',
        'drystone_queue_wait_p95_seconds{lane="normal",queue="default"} 7.0',
        'drystone_queue_work_p95_seconds{lane="normal",queue="default"} 2.0',
        'drystone_gpu_state{host="big \\"host\\"",state="ready"} 1.0',
    ):
        assert expected in lines, text


def test_a_wrong_request_says_what_is_wrong(ask: Asker):
    status, answer = ask("POST", "/api/v1/runs", {"workflow": "none"})
    assert (status, answer["error"]) == (400, "UsageError")
    assert "take one of" in answer["message"]
    status, answer = ask(
        "POST", "/api/v1/runs", {"workflow": "trial", "parameters": {"parts": "x"}}
    )
    assert status == 400
    assert "folder: Field required" in answer["message"]
    status, answer = ask("POST", "/api/v1/runs", {"workflow": "trial", "priority": 1000, "x": 1})
    assert status == 422
    assert sorted(line.partition(":")[0] for line in answer["problems"]) == [
        "body.priority", "body.x",
    ]  # fmt: skip
    asked = {"workflow": "nothing", "parameters": {"folder": "/x"}}
    status, answer = ask("POST", "/api/v1/runs/plan", asked)
    assert (status, answer["steps"]) == (200, ["nothing"])
    assert ask("GET", "/api/v1/runs")[1]["runs"] == []


def test_gates_queues_and_workflows(ask: Asker, quiet_yard: Yard):
    waiting = start(ask, "infer")
    assert quiet_yard.state(waiting) == "waiting"
    assert ask("POST", "/api/v1/gpu/ready", {"host": "box"})[1] == {"queued": 1}
    assert quiet_yard.state(waiting) == "queued"
    assert [gate["state"] for gate in ask("GET", "/api/v1/gpu")[1]["machines"]] == ["ready"]
    assert ask("POST", "/api/v1/gpu/done", {"host": "box"})[1] == {"waiting": 1}
    assert ask("POST", "/api/v1/queues/gpu/pause")[1]["paused"] is True
    assert {one["queue"]: one["paused"] for one in ask("GET", "/api/v1/queues")[1]}["gpu"] is True
    assert ask("POST", "/api/v1/queues/none/pause")[0] == 400
    _, workflows = ask("GET", "/api/v1/workflows")
    assert {"ua_1", "backup", "scrub", "audit", "trial"} <= {one["name"] for one in workflows}
    assert ask("POST", f"/api/v1/runs/{waiting}/approve", {})[0] == 400


def test_logs_come_in_pieces(ask: Asker, quiet_yard: Yard):
    folder = os.path.join(quiet_yard.config.log_dir, "7")
    os.makedirs(folder)
    with open(os.path.join(folder, "8-1.log"), "wb") as file:
        file.write(b"one\xff" + b"x" * (1 << 20))
    _, piece = ask("GET", "/api/v1/runs/7/tasks/8/attempts/1/log")
    assert piece["text"].startswith("one\ufffdxx")
    _, rest = ask("GET", f"/api/v1/runs/7/tasks/8/attempts/1/log?offset={piece['next_offset']}")
    assert (rest["text"], rest["next_offset"]) == ("x" * 4, rest["size_bytes"])
    assert ask("GET", "/api/v1/runs/7/tasks/8/attempts/1/log?offset=99999999")[1]["text"] == ""
    assert ask("GET", "/api/v1/runs/7/tasks/8/attempts/2/log")[0] == 404
    assert ask("GET", "/api/v1/runs/7/tasks/..%2f8/attempts/2/log")[0] in (404, 422)


def test_schedules(ask: Asker, quiet_yard: Yard):
    new = {
        "name": "nightly", "workflow": "nothing", "parameters": {"folder": "/x"},
        "cron": "30 3 * * *", "zone": "Europe/Berlin",
    }  # fmt: skip
    status, answer = ask("POST", "/api/v1/schedules", new)
    assert status == 200, answer
    assert answer["text"] == "at 03:30 every day (Europe/Berlin)"
    assert len(answer["upcoming"]) == 5
    assert answer["built_in"] is False
    assert ask("POST", "/api/v1/schedules", {**new, "built_in": True})[0] == 422
    assert ask("POST", "/api/v1/schedules", new)[0] == 400
    status, answer = ask("PATCH", "/api/v1/schedules/nightly", {"cron": "0 * * * *"})
    assert answer["cron"] == "0 * * * *"
    assert ask("PATCH", "/api/v1/schedules/nightly", {"cron": "0 * * *"})[0] == 400
    assert ask("POST", "/api/v1/schedules/nightly/disable")[1]["upcoming"] == []
    status, [firing] = ask("POST", "/api/v1/schedules/nightly/fire")
    assert (firing["outcome"], firing["cause"]) == ("fired", "hand")
    assert quiet_yard.database.runs.run(firing["run_id"]).requested_by == "ada"
    span = {"since": "2024-11-01T00:00:00+01:00", "until": "2024-11-01T02:00:00+01:00"}
    assert len(ask("POST", "/api/v1/schedules/nightly/backfill/plan", span)[1]) == 2
    assert len(ask("POST", "/api/v1/schedules/nightly/backfill", span)[1]) == 2
    for since in ("1926-11-01T00:00:00+01:00", "0001-01-01T00:00"):
        span["since"] = since
        assert ask("POST", "/api/v1/schedules/nightly/backfill", span)[0] == 400
    future = {"since": "2290-01-01T00:00", "until": "2290-01-03T00:00"}
    assert ask("POST", "/api/v1/schedules/nightly/backfill", future) == (200, [])
    _, history = ask("GET", "/api/v1/schedules/nightly/history?limit=2")
    assert len(history) == 2
    assert [one["name"] for one in ask("GET", "/api/v1/schedules")[1]] == ["nightly"]
    assert ask("DELETE", "/api/v1/schedules/nightly")[1] == {"removed": "nightly"}
    for path in ("nightly", "x" * 100, "%00", "%F0%9F%98%80"):
        assert ask("GET", f"/api/v1/schedules/{path}")[0] == 404
    assert ask("GET", "/api/v1/schedules/" + "x" * 101)[0] == 422


def test_hostile_bodies(ask: Asker):
    for name in ("runs", "schedules", "schedules/x/backfill", "queues/x/limit"):
        path = f"/api/v1/{name}"
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b'"\\ud800"', b"1e999", b"{}"):
            status, answer = ask("POST", path, body)
            assert status in (400, 404, 413, 422), (path, body[:10], answer)
    status, answer = ask("POST", "/api/v1/runs", b" " * (2 << 20))
    assert (status, answer["code"]) == (413, "body_too_large")
    deep = b'{"workflow": "trial", "parameters": {"folder": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"
    assert ask("POST", "/api/v1/runs", deep)[0] in (400, 422)


@pytest.mark.parametrize(
    ("words", "instead"),
    [(["run", "serve", "--tcp-port", "8421"], "--api"), (["db", "serve"], "/api/v1/database")],
)
def test_a_server_that_is_gone_says_what_took_its_place(words: list[str], instead: str):
    ended = run(*words)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"is gone" in ended.stderr and instead in ended.stderr.decode()
