"""Tasks over HTTP alone: hostile bodies, odd servers, paths that are called otherwise."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from far_tasks import World, app_over, local
from fastapi import FastAPI, Request, Response
from jobs_harness import full_disk
from served_app import Served

from base.errors import UsageError
from jobs.core.errors import JobsError
from jobs.remote.http import RemoteApi
from jobs.remote.state import PathPrefix, RemoteTaskState
from jobs.remote.worker import LogCarrier
from jobs.runs.local_state import log_path
from sql import (
    Claim,
    Database,
    DatabaseUnavailableError,
    NotFoundError,
    Outcome,
    StaleAttemptError,
)


@pytest.fixture
def far(database: Database, tmp_path) -> Iterator[World]:
    made: list[tuple[str, int]] = []
    served = Served(app_over(database, local(database, str(tmp_path), made)))
    api = RemoteApi(served.address)
    yield World(database, RemoteTaskState(api), str(tmp_path), made, served)
    served.stop()


def test_what_is_not_for_other_machines_is_not_theirs(far: World):
    task = far.start()
    near = far.database.runs.show(far.database.runs.list_runs().runs[0].run_id)
    with far.database.connection() as connection:
        connection.execute("UPDATE run_task SET step = 'near' WHERE task_id = %s", [task])
    assert far.state.claim(task, "w1") is None
    claim = far.database.runs.claim(task, "here")
    assert claim is not None
    for call in (
        lambda: far.state.beat(task, claim.token),
        lambda: far.state.finish(task, claim.token, Outcome(state="done")),
        lambda: far.state.append_log(task, claim.token, "x"),
    ):
        with pytest.raises(Exception, match="machine of the database only"):
            call()
    assert far.database.runs.run(near.run.run_id).state == "running"
    with pytest.raises(NotFoundError):
        far.state.beat(10**12, 1)


def test_only_what_a_step_declares_is_passed_on(far: World):
    """Those who follow believe their spec: a place in it is a place of this machine."""
    plan = far.claimed(far.start())
    for outcome in (
        Outcome(state="done", parts=({"number": 1, "root": "/etc"},)),
        Outcome(state="partial", parts=({"number": 1},), pass_on={"more": 1, "staged": {}}),
    ):
        with pytest.raises(UsageError, match=r"not declare that it passes on '(root|stag)"):
            far.state.finish(plan.task_id, plan.token, outcome)
    far.state.finish(plan.task_id, plan.token, Outcome(state="done", parts=({"number": 1},)))
    (task_id,) = [
        task.task_id for task in far.database.runs.show(plan.run_id).tasks if task.step == "do"
    ]
    part = far.claimed(task_id)
    with pytest.raises(UsageError, match="makes no others"):
        far.state.finish(task_id, part.token, Outcome(state="done", parts=({"number": 2},)))
    with pytest.raises(UsageError, match="'number'"):
        far.state.finish(task_id, part.token, Outcome(state="done", pass_on={"number": 7}))
    far.state.finish(task_id, part.token, Outcome(state="done", result={"number": 7}))
    tasks = far.database.runs.show(plan.run_id).tasks
    assert [(task.step, task.part) for task in tasks] == [("plan", 0), ("do", 1), ("near", 0)]


def test_a_full_disk_of_logs_there_does_not_keep_the_end_away(database: Database, tmp_path):
    here = tmp_path / "here"
    with full_disk(str(tmp_path / "logs"), "size=64k") as log_dir:
        served = Served(app_over(database, local(database, log_dir, [])))
        try:
            far = RemoteTaskState(RemoteApi(served.address))
            carrier = LogCarrier(far, str(here))
            claim = carrier.claim(World(database, far, log_dir).start(), "w1")
            assert claim is not None
            path = here / log_path(claim.run_id, claim.task_id, claim.token)
            path.parent.mkdir(parents=True)
            path.write_text("what it said\n")
            assert carrier.beat(claim.task_id, claim.token) is False
            carrier.finish(claim.task_id, claim.token, Outcome(state="done"))
        finally:
            served.stop()
    (task, _) = database.runs.show(claim.run_id).tasks
    assert (task.step, task.state) == ("plan", "done")


def test_a_dead_horse_gives_back_what_its_own_worker_held(far: World):
    mine, theirs = far.claimed(far.start()), far.start()
    far.database.runs.claim(theirs, "w1")
    assert far.served is not None
    api = RemoteApi(far.served.address)
    assert api.ask("POST", "/worker/lost", {"worker": "w1", "reason": "gone"}) == {"count": 1}
    with pytest.raises(StaleAttemptError):
        far.state.beat(mine.task_id, mine.token)
    assert far.database.runs.run(mine.run_id + 1).state == "running"


HOSTILE = [
    ("claim", b""), ("claim", b"{}"), ("claim", b'{"worker": ""}'), ("claim", b'{"worker": 1}'),
    ("beat", b'{"token": 0}'), ("beat", b'{"token": 1e99}'), ("beat", b'{"token": "x"}'),
    ("finish", b"["), ("finish", b"[" * 100_000), ("finish", b"\xff"),
    ("finish", b'{"token": 1, "outcome": {"state": "queued?"}}'),
    ("finish", b'{"token": 1, "outcome": {"state": "done", "shout": 1}}'),
    ("log", b'{"token": 1}'), ("log", b'{"token": 1, "text": 5}'), ("log", b"NaN"),
]  # fmt: skip


def test_hostile_bodies_are_refused(far: World):
    assert far.served is not None
    claim = far.claimed(far.start())
    host = far.served.address.removeprefix("http://")
    headers = {"content-type": "application/json"}
    for what, body in HOSTILE:
        with contextlib.closing(http.client.HTTPConnection(host)) as connection:
            connection.request("POST", f"/api/v1/tasks/{claim.task_id}/{what}", body, headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        assert answer.status in (400, 422), (what, body[:20])
        assert document["error"] == "UsageError"
        assert len(document["message"]) < 2_000
    assert far.state.beat(claim.task_id, claim.token) is False


def test_nobody_there_is_somebody_to_wait_for():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        RemoteTaskState(RemoteApi(f"http://127.0.0.1:{port}")).claim(1, "w1")
    for address in ("", "host:80", "ftp://host", "redis://x", "/run/jobs.sock"):
        with pytest.raises(UsageError, match="no address"):
            RemoteApi(address)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", JobsError), (200, b'{"task_id": 1}', JobsError), (500, b"", JobsError),
        (503, b'{"message": "busy"}', DatabaseUnavailableError), (302, b"{}", JobsError),
        (400, b'{"error": 7, "message": {}}', JobsError), (200, b"[" * 100_000, JobsError),
        (404, b'{"error": "NotFoundError"}', NotFoundError),
    ],
)  # fmt: skip
def test_odd_servers_are_errors_of_ours(status: int, body: bytes, error: type[Exception]):
    app = FastAPI()

    @app.post("/{path:path}")
    async def answer(_request: Request) -> Response:
        return Response(body, status)

    served = Served(app)
    try:
        with pytest.raises(error):
            RemoteTaskState(RemoteApi(served.address)).claim(1, "w1")
    finally:
        served.stop()


# ---- Paths ---------------------------------------------------------------------------------------


def test_paths_are_translated_there_and_back():
    prefix = PathPrefix("/srv/store/3c/", "/mnt/stage")
    there = {
        "root": "/srv/store/3c/7/a",
        "exactly": "/srv/store/3c",
        "argv": ["tool", "--out=/srv/store/3c/7/a.output", "/srv/store/3c/x:/srv/store/3c/y"],
        "others": ["/srv/store/3cat", "/other/srv/store/3c/1", "x/srv/store/3c/1", 5, None, True],
    }
    claim = Claim(
        task_id=1, run_id=1, token=1, workflow="far", step="do", part=1, round=1, queue="gpu",
        parameters={"text": "see /srv/store/3c/7, please"}, spec=there, requested_by="",
        failures=0, attempts_max=3,
    )  # fmt: skip
    here = prefix.to_here(claim)
    assert here.spec == {
        "root": "/mnt/stage/7/a",
        "exactly": "/mnt/stage",
        "argv": ["tool", "--out=/mnt/stage/7/a.output", "/mnt/stage/x:/mnt/stage/y"],
        "others": there["others"],
    }
    assert here.parameters == {"text": "see /mnt/stage/7, please"}
    back = prefix.to_there(Outcome(state="done", result=here.spec, pass_on={"p": "/mnt/stage/q"}))
    assert back.result == there
    assert back.pass_on == {"p": "/srv/store/3c/q"}
    same = PathPrefix("/mnt/stage", "/mnt/stage/")
    assert same.to_here(claim) is claim
