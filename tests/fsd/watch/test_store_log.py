"""The engine's log: jobs, disks and losses with their ids, and what of it `health` shows."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

from store_checks import until
from store_harness import Store

from base.logging.ids import bind
from base.network.http import connection

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CANARY = "c4nary-9f2b7e51"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))


def test_jobs_disks_start_and_stop_stand_in_the_log_with_their_ids(
    store: Callable[..., Store], source: str
):
    made = store()
    made.put(source, "pets")
    until(lambda: made.logged("job.ended"), "the end of the put")
    started, ended = made.logged("job.started"), made.logged("job.ended")
    assert ended[0]["state"] == "done" and "pets" in ended[0]["message"]
    assert ended[0]["level"] == "INFO" and ended[0]["job"] == started[0]["job"]

    identity = os.path.join(made.disks[0], "drystone-disk.json")
    os.rename(identity, identity + ".away")
    until(lambda: made.logged("disk.missing"), "the loss of a disk")
    lost = made.logged("disk.missing")[0]
    assert (lost["level"], lost["disk"]) == ("WARNING", "d1")
    shown = made.client.health().last_errors
    assert any(line.endswith(lost["message"]) for line in shown), shown
    os.rename(identity + ".away", identity)
    until(lambda: [one for one in made.logged("disk.online") if one["disk"] == "d1"], "its return")
    shown = made.client.health().last_errors
    assert any(line.endswith("d1 is online") for line in shown), shown
    # What is no trouble of the store is in the log alone.
    assert not any("starts" in line for line in shown)

    made.stop()
    assert [one["daemon"] for one in made.logged("daemon.started")] == ["engine"]
    assert len(made.logged("daemon.stopped")) == 1


def ask(made: Store, method: str, path: str, document: object = None) -> tuple[int, str, object]:
    """Ask the engine as the request `mine` of a trace; returns status, id and document."""
    given = {"X-Request-Id": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    given["Content-Type"] = "application/json"
    with contextlib.closing(connection(made.config.socket_path, 60)) as opened:
        opened.request(method, path, json.dumps(document) if document else None, given)
        answer = opened.getresponse()
        return answer.status, answer.headers["X-Request-Id"], json.loads(answer.read())


def test_a_request_its_job_and_its_refusal_have_one_id(filled: Store):
    status, request_id, job = ask(filled, "POST", "/v1/storage/fsck")
    assert (status, request_id) == (200, "mine")
    filled.client.wait(job["job_id"])
    until(lambda: [one for one in filled.logged("job.ended") if one["kind"] == "fsck"], "its end")
    for event in ("job.started", "job.ended"):
        told = next(one for one in filled.logged(event) if one["kind"] == "fsck")
        assert (told["request_id"], told["trace_id"]) == ("mine", TRACE)
    status, request_id, refusal = ask(filled, "GET", "/v1/storage/batches/none")
    assert (status, request_id, refusal["request_id"]) == (404, "mine", "mine")
    # What carries a client's own ids on: the context that it is called in.
    with bind(request_id="carried"):
        filled.client.wait(filled.client.fsck().job_id)
    assert [one for one in filled.logged("job.started") if one.get("request_id") == "carried"]


def test_a_key_that_the_engine_cannot_keep_is_refused(filled: Store):
    with contextlib.closing(connection(filled.config.socket_path, 60)) as opened:
        opened.request("POST", "/v1/storage/fsck", None, {"Idempotency-Key": "one"})
        answer = opened.getresponse()
        assert answer.status == 400 and "Idempotency-Key" in json.loads(answer.read())["message"]


def test_a_mistake_of_ours_stands_in_the_log_by_the_id_that_the_answer_names(filled: Store):
    job = filled.client.wait(filled.client.fsck().job_id)
    (report,) = pathlib.Path(filled.root).rglob(f"{job.job_id}.jsonl")
    report.unlink()
    status, _, refusal = ask(filled, "GET", f"/v1/storage/jobs/{job.job_id}/report")
    assert status == 500 and "`drystone log --request mine` tells more" in refusal["message"]
    # The server logs what it raises after it has answered.
    until(lambda: filled.logged("uvicorn.error"), "the mistake")
    (failed,) = filled.logged("uvicorn.error")
    assert failed.get("request_id") == "mine" and "FileNotFoundError" in failed["exception"]


def test_an_engine_that_cannot_start_says_why_once_on_stderr_and_in_its_log(
    store: Callable[..., Store],
):
    made = store(2)
    second = subprocess.run(
        [sys.executable, "-m", "fsd.engine_main", "--config", made.config_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = made.logged("daemon.failed")
    assert second.returncode == 2 and len(failed) == 1 and failed[0]["level"] == "ERROR"
    reason = failed[0]["message"].removeprefix("engine failed: ")
    assert second.stderr.count(reason) == 1
    assert second.stderr.splitlines()[-1] == f"drystone: {reason}"


def test_what_an_alert_command_says_has_no_secret_in_the_log(store: Callable[..., Store]):
    made = store(started=False)
    said = f"print('sent Authorization: Bearer {CANARY} to db://ann:{CANARY}@db, ok')"
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[alerts]\ncommand = {json.dumps([sys.executable, '-c', said])}\n")
    made.start()
    assert made.client.alerts_test()
    until(lambda: made.logged("alert.command_said"), "the words of the command")
    assert "Authorization: *** to db://ann:***@db, ok" in made.log() and CANARY not in made.log()
