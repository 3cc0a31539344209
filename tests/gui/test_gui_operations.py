"""Operations over the pages' port: who may ask for what, and how refusals look."""

from __future__ import annotations

import json
import re

from gui_harness import Scene
from operation_rules import all_operations

from sql import ROLES

JSON = "application/json"
SAMPLES = {"run_id": "9999", "task_id": "9999", "attempt": "1", "queue": "nothing", "name": "none"}


def test_a_role_may_what_the_operation_says(served: Scene):
    tokens = {"viewer": served.token("vera", "viewer"), "operator": served.token("oto", "operator")}
    tokens["admin"] = served.token("ada", "admin")
    for one in all_operations():
        path = "/api/v1" + re.sub(r"{(\w+)}", lambda found: SAMPLES[found[1]], one.path)
        assert served.ask(one.method, path).status == 401
        for role, token in tokens.items():
            # Fields that no request has: who may ask is told so, and nothing is done.
            body = b'{"no_such_field": 1}' if one.method in ("POST", "PATCH") else b""
            answer = served.ask(
                one.method, path, body, Authorization=token, Content_Type=JSON, Origin=None
            )
            may = ROLES.index(role) >= ROLES.index(one.role)
            assert (answer.status != 403) is may, (one.name, role, answer.status, answer.body)
            assert answer.status < 500, (one.name, answer.body)


def test_a_run_is_started_and_cancelled_over_http(served: Scene):
    header = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    asked = json.dumps({"workflow": "scrub"}).encode()
    run = served.ask("POST", "/api/v1/runs", asked, **header).document
    assert (run["workflow"], run["created"], run["requested_by"]) == ("scrub", True, "oto")
    again = served.ask("POST", "/api/v1/runs", asked, **header).document
    assert (again["run_id"], again["created"]) == (run["run_id"], False)
    listed = served.ask("GET", "/api/v1/runs?workflow=scrub&state=queued", **header).document
    assert [one["run_id"] for one in listed["runs"]] == [run["run_id"]]
    cancel = served.ask("POST", f"/api/v1/runs/{run['run_id']}/cancel", **header)
    assert cancel.document["state"] == "cancelled"
    shown = served.ask("GET", f"/api/v1/runs/{run['run_id']}", **header).document
    assert shown["run"]["reason"] == "scrub: cancelled by oto"


def test_refusals_are_problems(served: Scene):
    header = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    cases = (
        ("GET", "/api/v1/runs/9999", b"", 404, "not_found"),
        ("GET", "/api/v1/runs?limit=0", b"", 422, "wrong_request"),
        ("POST", "/api/v1/runs", b'{"workflow": "none"}', 400, "usage"),
        ("POST", "/api/v1/runs", b"[", 422, "wrong_request"),
        ("GET", "/api/v1/nothing", b"", 404, "not_found"),
        ("POST", "/api/v1/storage/disks/d1/replace", b'{"path": "/x"}', 403, "forbidden"),
    )
    for method, path, body, status, code in cases:
        answer = served.ask(method, path, body, **header)
        assert answer.status == status, answer.body
        assert answer.headers["content-type"].startswith("application/problem+json")
        problem = answer.document
        assert (problem["status"], problem["code"]) == (status, code)
        assert problem["detail"] and problem["title"]
    problem = served.ask("POST", "/api/v1/runs", b'{"priority": 1000, "x": 1}', **header).document
    assert sorted(line.partition(":")[0] for line in problem["problems"]) == [
        "body.priority", "body.workflow", "body.x",
    ]  # fmt: skip


def test_a_key_makes_a_change_happen_once(served: Scene):
    header = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    key = {"Idempotency_Key": "a-key"}
    asked = json.dumps({"workflow": "audit"}).encode()
    first = served.ask("POST", "/api/v1/runs", asked, **header, **key)
    assert first.status == 200 and first.document["created"], first.body
    served.ask("POST", f"/api/v1/runs/{first.document['run_id']}/cancel", **header)
    # Without its key this would be another run.
    again = served.ask("POST", "/api/v1/runs", asked, **header, **key)
    assert (again.status, again.document) == (200, first.document)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = json.dumps({"workflow": "scrub"}).encode()
    refused = served.ask("POST", "/api/v1/runs", other, **header, **key)
    assert (refused.status, refused.document["code"]) == (422, "key_reused")
    # What is refused may be asked again, put right, with its key.
    wrong = json.dumps({"workflow": "none"}).encode()
    assert served.ask("POST", "/api/v1/runs", wrong, **header, Idempotency_Key="b").status == 400
    right = served.ask("POST", "/api/v1/runs", asked, **header, Idempotency_Key="b")
    assert right.status == 200 and right.document["run_id"] != first.document["run_id"]
    served.ask("POST", f"/api/v1/runs/{right.document['run_id']}/cancel", **header)
