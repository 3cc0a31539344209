"""A run in the logs: by its request from the API to the horse, and with no secret in them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from far_harness import ENDED, Process, start_api, store_yard, token_of
from jobs_harness import Yard, until

from base.network.http import connection

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CANARY = "c4nary-51c6e02d"


@pytest.fixture
def yard(store, database_url: str) -> Iterator[Yard]:
    """Jobs in the folder of a store, which the public port needs."""
    with store_yard(store(2, started=False), database_url, "trial_workflows") as made:
        made.start_redis()
        yield made


@pytest.fixture
def served(yard: Yard) -> Iterator[tuple[Process, str]]:
    """The process and the address of the public port."""
    api, address = start_api(yard)
    yield api, address
    assert api.end() in ENDED, api.said()


def logged(yard: Yard, daemon: str) -> list[dict[str, Any]]:
    path = os.path.join(yard.root, "run", "log", f"{daemon}.jsonl")
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]
    return []


def ask(address: str, path: str, document: object, token: str) -> tuple[int, Any]:
    headers = {
        "X-Request-Id": "mine",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
    }
    with contextlib.closing(connection(address, 60)) as opened:
        opened.request("POST", path, json.dumps(document), headers)
        answer = opened.getresponse()
        assert answer.headers["X-Request-Id"] == "mine"
        return answer.status, json.loads(answer.read())


def test_a_run_is_logged_under_the_request_that_asked_for_it(
    yard: Yard, served: tuple[Process, str]
):
    _, address = served
    token = token_of(yard, "admin")
    folder = os.path.join(yard.root, "traces")
    os.makedirs(folder)
    parameters = {"folder": folder, "parts": 2, "fail_parts": [2]}
    status, run = ask(
        address, "/api/v1/runs", {"workflow": "trial", "parameters": parameters}, token
    )
    assert status == 200, run
    run_id = run["run"]["run_id"] if "run" in run else run["run_id"]
    yard.start_worker()
    until(lambda: any(one["event"] == "task.failed" for one in logged(yard, "worker-one")))
    asked = [one for one in logged(yard, "api") if one["event"] == "run.asked_for"]
    assert [(one["run"], one["request_id"], one["trace_id"]) for one in asked] == [
        (run_id, "mine", TRACE)
    ]
    tasks = [one for one in logged(yard, "worker-one") if one["event"].startswith("task.")]
    assert {one["step"] for one in tasks} >= {"plan", "work"}
    assert {(one["run"], one["request_id"], one["trace_id"]) for one in tasks} == {
        (run_id, "mine", TRACE)
    }
    broken = next(one for one in tasks if one["event"] == "task.failed")
    assert "RuntimeError: part 2 is broken" in broken["exception"]
    # The same stands in the log of the attempt, where a person looks first.
    name = f"{run_id}/{broken['task']}-{broken['attempt']}.log"
    path = Path(yard.config.log_dir, name)
    until(lambda: "RuntimeError: part 2 is broken" in path.read_text(encoding="utf-8"))
    status, refusal = ask(address, "/api/v1/runs", {"workflow": "nope", "parameters": {}}, token)
    assert (status, refusal["request_id"]) == (400, "mine"), refusal


def test_no_daemon_logs_a_secret_that_it_knows_or_is_sent(yard: Yard, served: tuple[Process, str]):
    """A step that fails quotes all that it can lay its hands on; a stranger tries tokens."""
    api, address = served
    token = token_of(yard, "admin")
    assert ask(address, "/api/v1/runs", {"workflow": "none"}, token)[0] == 400
    status, refusal = ask(address, "/api/v1/runs", {}, CANARY)
    assert status == 401 and CANARY not in json.dumps(refusal)
    said = f"postgresql://ann:{CANARY}@db/x Authorization: Bearer {CANARY} password={CANARY}"
    yard.start(fail_parts=[1], tag=said)
    yard.start_worker()
    yard.start_scheduler()
    until(lambda: any(one["event"] == "task.failed" for one in logged(yard, "worker-one")))
    assert api.end() in ENDED, api.said()
    yard.stop()
    paths = [str(path) for kind in ("*.jsonl", "*.log") for path in Path(yard.root).rglob(kind)]
    names = {os.path.basename(path) for path in paths}
    assert names >= {"worker-one.jsonl", "scheduler.jsonl", "api.jsonl", "worker-one.log"}
    assert any("/task-logs/" in path for path in paths)
    text = "".join(Path(path).read_text(encoding="utf-8", errors="replace") for path in paths)
    assert "postgresql://ann:***@db/x Authorization: *** password=***" in text
    for secret in (CANARY, token):
        assert secret not in text
        assert secret not in api.said()
