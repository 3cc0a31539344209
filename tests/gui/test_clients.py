"""The small clients in `clients/`, each against a running store: what one can the other can."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import playwright
import pytest
from drystone_client import Drystone, ProblemError
from gui_harness import Scene
from lossy_proxy import cutting, lossy
from operation_rules import all_operations

ROOT = Path(__file__).resolve().parents[2]
NODE = Path(playwright.__file__).parent / "driver" / "node"
IMAGES = {"version": 1, "where": {"media_type": "image"}}
DRIVER = """
import {{ Drystone, ProblemError }} from "{client}";
const {{ address, token, tries, does, name, fields, key }} = JSON.parse(process.argv[1]);
const drystone = new Drystone(address, {{ token, tries }});
try {{
  let answer = [];
  if (does === "operations") answer = [...(await drystone.operations()).keys()];
  if (does === "call") answer = await drystone.call(name, fields, {{ requestKey: key }});
  if (does === "wait") answer = await drystone.wait(fields, 100);
  if (does === "stream") for await (const item of drystone.stream(name, fields)) answer.push(item);
  if (does === "events")
    for await (const item of drystone.events(fields)) if (answer.push(item) >= Number(name)) break;
  console.log(JSON.stringify({{ answer }}));
}} catch (error) {{
  if (!(error instanceof ProblemError)) throw error;
  const {{ status, code, problems, message }} = error;
  console.log(JSON.stringify({{ status, code, problems, message }}));
}}
"""


class Ask(Protocol):
    """What both clients do: an answer, or the problem that there was. Of `events` the name is how
    many."""

    def __call__(
        self, does: str, name: str = "", /, *, key: str = "", tries: int = 5, at: str = "",
        **fields: Any,
    ) -> dict[str, Any]: ...  # fmt: skip


def in_python(address: str, token: str) -> Ask:
    def ask(
        does: str, name: str = "", /, *, key: str = "", tries: int = 5, at: str = "", **fields: Any
    ) -> dict[str, Any]:
        with Drystone(at or address, token, tries=tries) as drystone:
            try:
                if does == "operations":
                    return {"answer": list(drystone.operations)}
                if does == "wait":
                    return {"answer": drystone.wait(fields, every_s=0.1)}
                if does == "stream":
                    return {"answer": list(drystone.stream(name, **fields))}
                if does == "events":
                    told = drystone.events(**fields)
                    return {"answer": list(itertools.islice(told, int(name)))}
                return {"answer": drystone.call(name, request_key=key, **fields)}
            except ProblemError as problem:
                return {"status": problem.status, "code": problem.code,
                        "problems": problem.problems, "message": str(problem)}  # fmt: skip

    return ask


def in_javascript(address: str, token: str) -> Ask:
    script = DRIVER.format(client=(ROOT / "clients/javascript/drystone.js").as_uri())

    def ask(
        does: str, name: str = "", /, *, key: str = "", tries: int = 5, at: str = "", **fields: Any
    ) -> dict[str, Any]:
        told = {"address": at or address, "token": token, "tries": tries, "does": does,
                "name": name, "fields": fields, "key": key}  # fmt: skip
        command = [NODE, "--input-type=module", "--eval", script, json.dumps(told)]
        # A folder of nobody's: what is installed there is no part of the client.
        found = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    return ask


@pytest.fixture(params=[in_python, in_javascript], ids=["python", "javascript"])
def client(request: pytest.FixtureRequest) -> Callable[[str, str], Ask]:
    if request.param is in_javascript and not os.access(NODE, os.X_OK):
        pytest.skip("there is no Node beside playwright")
    return request.param


@pytest.fixture
def ask(client: Callable[[str, str], Ask], served: Scene) -> Ask:
    return client(served.address, served.token("oto", "operator").removeprefix("Bearer "))


def test_the_python_client_needs_httpx_alone():
    source = (ROOT / "clients/python/drystone_client/__init__.py").read_text(encoding="utf-8")
    imports = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.partition(".")[0] for name in imports} - sys.stdlib_module_names == {"httpx"}


def test_every_operation_over_http_is_known(ask: Ask):
    wanted = {one.name for one in all_operations() if not one.is_private}
    assert wanted <= set(ask("operations")["answer"])


def test_fields_go_into_path_query_and_body(ask: Ask):
    tagged = ask("call", "node.tag", name="a / tag?", selector=IMAGES)
    assert "answer" in tagged, tagged
    tags = ask("call", "node.tags")["answer"]
    assert any(one["name"] == "a / tag?" for one in tags)
    run = ask("call", "run.start", workflow="scrub")["answer"]
    shown = ask("call", "run.show", run_id=run["run_id"])["answer"]
    assert shown["run"]["workflow"] == "scrub"
    listed = ask("call", "run.list", workflow="scrub", limit=1)["answer"]
    assert [one["run_id"] for one in listed["runs"]] == [run["run_id"]]
    ask("call", "run.cancel", run_id=run["run_id"])


def test_a_job_is_waited_for_and_its_report_read(ask: Ask):
    asked = ask("call", "storage.verify", sample=1.0)
    assert "answer" in asked, asked
    job = asked["answer"]
    ended = ask("wait", **job)["answer"]
    assert ended["state"] == "done", ended
    report = ask("stream", "job.report", job_id=job["job_id"])
    assert isinstance(report["answer"], list)


def test_a_problem_says_what_is_wrong(ask: Ask, client: Callable[[str, str], Ask], served: Scene):
    cases = (
        (ask("call", "run.show", run_id=9_999_999), 404, "not_found", ""),
        (ask("call", "run.start", workflow="none"), 400, "usage", "none"),
        (ask("call", "run.list", odd=1), 422, "wrong_request", "odd"),
        (ask("call", "run.start", workflow="scrub", odd=1), 422, "wrong_request", "odd"),
        (ask("call", "run.show"), 0, "wrong_request", "run_id"),
        (ask("call", "run.shaw"), 0, "unknown", "run.show"),
        (ask("stream", "job.report", job_id="none"), 404, "not_found", ""),
        (ask("events", "1", after=99_999_999), 410, "events_gone", "begin at 0"),
        (ask("events", "1", odd=1), 422, "wrong_request", "odd"),
        (ask("call", "user.list"), 403, "forbidden", "admin"),
        (client(served.address, "no-token")("call", "run.list"), 401, "not_logged_in", ""),
        (ask("call", "run.list", at="http://127.0.0.1:9", tries=1), 0, "unreachable", "answer"),
    )
    for found, status, code, words in cases:
        assert (found.get("status"), found.get("code")) == (status, code), found
        assert words in found["message"]


def test_a_lost_answer_is_asked_for_again_and_the_change_is_made_once(ask: Ask, served: Scene):
    port = urlsplit(served.address).port or 0
    with lossy(port, losses=2) as network, contextlib.ExitStack() as stack:
        first = ask("call", "run.start", workflow="audit", at=network.address)
        assert network.lost == 2 and first["answer"]["created"], first
        run_id = first["answer"]["run_id"]
        stack.callback(ask, "call", "run.cancel", run_id=run_id)
    # A program that was begun again names its change itself.
    once = [ask("call", "schedule.fire", name="none", key="mine") for _ in range(2)]
    assert once[0] == once[1] and once[0]["status"] == 404


def test_events_go_on_where_a_connection_was_lost(ask: Ask, served: Scene):
    begin = served.database.events.feed()[1]
    for number in range(3):
        served.database.events.add("client.trial", f"run {number}", {})
    with cutting(urlsplit(served.address).port or 0, cuts=2) as network:
        at, asked = network[0].decode(), {"type": ["client.trial"], "after": begin}
        told = ask("events", "3", at=at, **asked)["answer"]
        assert [one["subject"] for one in told] == ["run 0", "run 1", "run 2"]
        assert sum(b"text/event-stream" in request for request in network[1:]) == 3
