"""Operations over the pages' port: who may ask for what, and how refusals look."""

from __future__ import annotations

import json
import re

from command import drystone, json_lines
from gui_harness import Answer, Scene
from operation_rules import all_operations

from datasets import build, read_definition
from sql import ROLES, QuarantineRow

JSON = "application/json"
SAMPLES = {
    **dict.fromkeys(("run_id", "task_id", "batch", "saved_view_id"), "9999"),
    "attempt": "1",
    "key": "0" * 64,
}


def test_a_role_may_what_the_operation_says(served: Scene):
    tokens = {"viewer": served.token("vera", "viewer"), "operator": served.token("oto", "operator")}
    tokens["admin"] = served.token("ada", "admin")
    for one in all_operations():
        if one.is_private:
            continue
        path = "/api/v1" + re.sub(
            r"{(\w+)(?::path)?}", lambda found: SAMPLES.get(found[1], "none"), one.path
        )
        path += "?for_s=0" if one.name == "event.follow" else ""
        assert served.ask(one.method, path).status == 401
        for role, token in tokens.items():
            # Fields that no request has: who may ask is told so, and nothing is done.
            body = b'{"no_such_field": 1}' if one.method in ("POST", "PATCH") else b""
            answer = served.ask(
                one.method, path, body, Authorization=token, Content_Type=JSON, Origin=None
            )
            # A token of a viewer only reads, whatever the operation lets viewers change.
            wanted = "operator" if one.changes and one.role == "viewer" else one.role
            may = ROLES.index(role) >= ROLES.index(wanted)
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
    ada = {"Authorization": served.token("ada", "admin"), "Content_Type": JSON}
    hers = served.ask("POST", "/api/v1/runs", asked, **ada, **key)
    assert hers.headers["Idempotent-Replayed"] is None and hers.document["created"]
    served.ask("POST", f"/api/v1/runs/{hers.document['run_id']}/cancel", **ada)
    other = json.dumps({"workflow": "scrub"}).encode()
    refused = served.ask("POST", "/api/v1/runs", other, **header, **key)
    assert (refused.status, refused.document["code"]) == (422, "key_reused")
    # What is refused may be asked again, put right, with its key.
    wrong = json.dumps({"workflow": "none"}).encode()
    assert served.ask("POST", "/api/v1/runs", wrong, **header, Idempotency_Key="b").status == 400
    right = served.ask("POST", "/api/v1/runs", asked, **header, Idempotency_Key="b")
    assert right.status == 200 and right.document["run_id"] != first.document["run_id"]
    served.ask("POST", f"/api/v1/runs/{right.document['run_id']}/cancel", **header)


def test_a_saved_view_is_removed_by_its_owner_or_an_admin(served: Scene):
    people = {"vera": "viewer", "oto": "operator", "ada": "admin"}
    tokens = {name: served.token(name, role) for name, role in people.items()}
    users = served.database.users

    def saved(owner: str, view: str) -> int:
        owner_id = users.user(owner).user_id
        return users.save_view(owner_id, "explorer", view, "/explorer", is_shared=True)

    def remove(name: str, view: int) -> int:
        path = f"/api/v1/views/{view}"
        return served.ask("DELETE", path, Authorization=tokens[name], Origin=None).status

    def by_session(name: str, view: int) -> int:
        return served.ask("DELETE", f"/api/v1/views/{view}", Cookie=served.log_in(name)).status

    of_oto, other, of_ada = saved("oto", "a"), saved("oto", "b"), saved("ada", "c")
    of_vera = saved("vera", "d")
    assert remove("vera", of_vera) == 403, "a token of a viewer only reads"
    assert by_session("vera", of_oto) == 404 and by_session("vera", of_vera) == 200
    assert remove("oto", of_ada) == 404, "it is shared, and another's"
    assert remove("oto", of_oto) == 200 and remove("oto", of_oto) == 404
    assert remove("ada", other) == remove("ada", of_ada) == 200
    shown = ("--config", served.store.config_path)
    left = saved("oto", "e")
    assert b"is removed" in drystone("view", "remove", str(left), *shown).stderr
    assert b"no such view" in drystone("view", "remove", str(left), *shown, expect=1).stderr
    assert users.views(users.user("oto").user_id, "explorer") == []


def test_the_store_is_asked_over_http(served: Scene):
    header = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    disks = served.ask("GET", "/api/v1/storage/disks", **header).document
    assert disks and {disk["state"] for disk in disks} == {"online"}
    first = served.ask("POST", "/api/v1/storage/fsck", **header, Idempotency_Key="look").document
    again = served.ask("POST", "/api/v1/storage/fsck", **header, Idempotency_Key="look")
    assert again.document == first and again.headers["Idempotent-Replayed"] == "true"
    report = served.ask("GET", f"/api/v1/storage/jobs/{first['job_id']}/report", **header)
    assert report.headers["content-type"].startswith("application/x-ndjson")
    assert all(json.loads(line) for line in report.body.splitlines())
    job = served.ask("GET", f"/api/v1/storage/jobs/{first['job_id']}", **header).document
    assert (job["kind"], job["finished"] is not None) == ("fsck", True)
    # What names paths of the server is nobody's over HTTP, and a mistake is told before it is done.
    body = b'{"folder": "/etc", "batch": "b"}'
    other = served.ask("POST", "/api/v1/storage/batches", body, **header)
    assert (other.status, other.headers["allow"]) == (405, "GET"), other.body
    deep = served.ask("POST", "/api/v1/nodes", b"[" * 100_000, **header)
    assert (deep.status, "fewer levels" in deep.document["detail"]) == (400, True)
    refused = served.ask(
        "POST", "/api/v1/storage/pins", b'{"name": ".x", "manifest": "1"}', **header
    )
    assert refused.status == 422 and len(refused.document["problems"]) == 2, refused.body
    gone = served.ask("POST", "/api/v1/storage/disks/none/drain", **header)
    assert (gone.status, gone.document["code"]) == (400, "usage")
    assert "the disks are" in gone.document["detail"]


def test_a_secret_is_told_once(served: Scene):
    header = {"Authorization": served.token("ada", "admin"), "Content_Type": JSON}
    body = b'{"token_name": "probe", "role": "viewer"}'
    key = {"Idempotency_Key": "one-token"}
    made = served.ask("POST", "/api/v1/people/ada/tokens", body, **header, **key)
    assert made.status == 200, made.body
    bearer = f"Bearer {made.document['token']}"
    assert served.ask("GET", "/api/v1/me", Authorization=bearer).document["role"] == "viewer"
    again = served.ask("POST", "/api/v1/people/ada/tokens", body, **header, **key)
    assert (again.status, again.document["code"]) == (409, "answer_lost")
    people = {one["name"]: one for one in served.ask("GET", "/api/v1/people", **header).document}
    assert "probe" in people["ada"]["tokens"]
    gone = served.ask("DELETE", "/api/v1/people/ada/tokens/probe", **header)
    assert gone.status == 200, gone.body
    assert served.ask("GET", "/api/v1/me", Authorization=bearer).status == 401


def test_nodes_are_counted_and_refused_over_http(served: Scene):
    header = {"Authorization": served.token("vera", "viewer"), "Content_Type": JSON}
    asked = json.dumps({"selector": {"version": 1}}).encode()
    assert served.ask("POST", "/api/v1/nodes/count", asked, **header).document["count"] >= 0
    wrong = json.dumps({"selector": {"version": 1, "wher": {}}}).encode()
    refused = served.ask("POST", "/api/v1/nodes/count", wrong, **header)
    assert (refused.status, refused.document["code"]) == (400, "selector")
    assert "wher" in refused.document["problems"][0]
    dear = json.dumps({"selector": {"version": 1}, "any_cost": True}).encode()
    assert served.ask("POST", "/api/v1/nodes/count", dear, **header).status == 400
    assert served.ask("POST", "/api/v1/nodes/delete", asked, **header).status == 403


def test_what_is_on_its_way_is_told_over_http(served: Scene):
    header = {"Authorization": served.token("vera", "viewer"), "Content_Type": JSON}

    def asked(path: str) -> list[dict]:
        return served.ask("GET", f"/api/v1/{path}", **header).document

    assert {"gallery-dl", "plain-folder"} <= {one["name"] for one in asked("sources")}
    assert "image_probe" in {one["name"] for one in asked("contracts")["contracts"]}
    assert ("demo", "packed") in {(one["folder"], one["state"]) for one in asked("inbox")}
    assert "demo" in [one["batch"] for one in asked("outbox")]
    database = served.database
    database.ingests.open("full", "plain-folder", None, "folder")
    rows = [QuarantineRow(path=f"{number:04}", reason="odd") for number in range(1_005)]
    database.quarantine.add_of_batch("full", rows)
    found = asked("quarantine?batch=full")
    assert [row["path"] for row in found] == [f"{number:04}" for number in range(1_000)]
    assert len(asked("quarantine?batch=full&limit=1005&all_rows=true")) == 1_005
    assert asked("quarantine?batch=%00") == asked("actions/quarantine?action=%00&event=7") == []
    # All are told in the shell, which has a process of its own.
    options = ("--batch", "full", "--json", "--config", served.store.config_path)
    (listed,) = json_lines(drystone("quarantine", "list", *options))
    assert len(listed) == 1_005
    assert served.ask("POST", "/api/v1/inbox/batches/full/abandon", **header).status == 403
    header["Authorization"] = served.token("oto", "operator")
    unknown = served.ask("POST", "/api/v1/inbox/batches/fuller/abandon", **header)
    assert (unknown.status, unknown.document["code"]) == (400, "usage")
    assert served.ask("POST", "/api/v1/inbox/batches/full/abandon", **header).status == 200
    assert database.ingests.batch("full").state_reason == "abandoned"


def test_a_pipeline_is_filled_over_http(served: Scene):
    header = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}

    def asked(method: str, path: str, document: dict | None = None) -> Answer:
        body = None if document is None else json.dumps(document).encode()
        return served.ask(method, f"/api/v1/{path}", body, **header)

    selector = {"version": 1, "where": {"media_type": "image"}}
    plan = asked("POST", "actions/image_probe/dry-run", {"selector": selector, "limit": 2})
    assert plan.status == 200, plan.body
    assert plan.document["nodes"] > 2 == len(plan.document["paths"])
    line = {"name": "over-http", "stages": [{"action": "image_probe", "gate": "approval"}]}
    wrong = asked("POST", "pipelines/check", {"pipeline": {**line, "stages": [{"action": "x"}]}})
    assert (wrong.status, wrong.document["code"]) == (400, "contract")
    assert "there is no action x" in wrong.document["problems"][0]
    # A path is a person's at this machine.
    assert asked("POST", "pipelines", {"pipeline": "/etc/passwd"}).status == 400
    made = asked("POST", "pipelines", {"pipeline": line}).document
    assert (made["name"], made["datasets"]) == ("over-http", [])
    wanted = {"selector": selector, "action": "image_probe"}
    batch = asked("POST", "batches", wanted).document
    assert batch["nodes"] == plan.document["nodes"]
    number = batch["action_batch_id"]
    into = {"batches": [number]}
    assert asked("POST", "pipelines/over-http/enrol", into).document["enrolled"] == 1
    state = asked("GET", f"pipeline-state?batch={number}").document
    assert [one["pipeline"] for one in state["pipelines"]] == ["over-http"]
    (enrolled,) = asked("GET", "pipeline-state?pipeline=over-http").document["batches"]
    assert (enrolled["action_batch_id"], enrolled["enrolled_by"]) == (number, "oto")
    shown = asked("GET", f"batches/{number}").document
    assert shown["next"][0]["gate"] == "approval" and shown["size_bytes"] == batch["size_bytes"]
    assert asked("GET", f"pipelines/over-http?batch={number}").document["next_stage"] == 1
    assert asked("POST", "pipelines/over-http/withdraw", into).document == {"withdrawn": 1}
    assert asked("POST", "pipelines/over-http/withdraw", into).status == 400
    for method, path in (("GET", f"batches/{'9' * 30}"), ("GET", "batches/0")):
        assert asked(method, path).status == 404


def test_datasets_are_told_and_retired_over_http(served: Scene):
    database, header = served.database, {"Content_Type": JSON}
    header["Authorization"] = served.token("oto", "operator")
    # Of what came in: other tests describe pictures that the store has never seen.
    where = "{media_type: image, ingest_batch: demo}"
    text = f"version: 1\nname: told\nselector: {{version: 1, where: {where}}}\n"
    text += "layout: {id: flat}\n"
    made = build(served.store.config_path, read_definition(text), database=database)
    (listed,) = served.ask("GET", "/api/v1/datasets?name=told", **header).document
    assert (listed["version"], listed["definition"]["name"]) == (1, "told")
    shown = served.ask("GET", "/api/v1/datasets/told@1", **header).document
    assert (shown["file_count"], shown["exports"]) == (made.files, [])
    same = served.ask("GET", "/api/v1/datasets/told/diff/told@1", **header).document
    assert same["added"] == same["removed"] == 0
    layouts = served.ask("GET", "/api/v1/dataset-layouts", **header).document
    assert "flat" in {one["id"] for one in layouts}
    key = {"Idempotency_Key": "retire-told"}
    gone = served.ask("POST", "/api/v1/datasets/told@1/retire", **header, **key).document
    assert gone["retired_now"] and database.datasets.version("told", 1).state == "retired"
    again = served.ask("POST", "/api/v1/datasets/told@1/retire", **header, **key)
    assert again.document == gone and again.headers["Idempotent-Replayed"] == "true"
    missing = served.ask("GET", "/api/v1/datasets/nothing", **header)
    assert (missing.status, missing.document["code"]) == (404, "not_found")


def test_alerts_are_told_and_tried_again_over_http(served: Scene):
    header = {"Authorization": served.token("vera", "viewer"), "Content_Type": JSON}
    events = served.database.events
    events.add("probe", "run 1", {})
    events.plan(lambda kind: ["phone"] if kind == "probe" else [])
    (due,) = events.take(channel="phone")
    events.give_up(due, "nobody answers")
    (told,) = served.ask("GET", "/api/v1/alerts?failed=true", **header).document
    assert (told["channel"], told["error"]) == ("phone", "nobody answers")
    assert served.ask("POST", "/api/v1/alerts/retry", **header).status == 403
    assert served.ask("GET", "/api/v1/runs/9999/labels", **header).status == 404
    header["Authorization"] = served.token("oto", "operator")
    again = served.ask("POST", "/api/v1/alerts/retry", b'{"failed": true}', **header).document
    assert again == {"retried": 1, "deliveries": []}
    assert [one.state for one in events.deliveries()] == ["waiting"]
    # Nobody is to be told of anything here.
    assert served.ask("POST", "/api/v1/alerts/test", **header).document == {}


def test_events_are_read_on_and_followed_over_http(served: Scene):
    header = {"Authorization": served.token("vera", "viewer")}
    begin = served.ask("GET", "/api/v1/events", **header).document["next_after"]
    served.database.events.add("processing.trial", "run 1", {"n": 1})
    part = served.ask("GET", f"/api/v1/events?after={begin}&type=processing.trial", **header)
    (event,) = part.document["events"]
    assert (event["type"], event["subject"], event["data"]) == (
        "processing.trial",
        "run 1",
        {"n": 1},
    )
    assert part.document["next_after"] >= event["position"] > begin
    followed = served.ask("GET", f"/api/v1/events/follow?after={begin}&for_s=0.1", **header)
    assert event in [json.loads(line) for line in followed.body.splitlines()]
    gone = served.ask("GET", "/api/v1/events?after=99999999", **header)
    assert (gone.status, gone.document["code"]) == (410, "events_gone")
    assert "begin at 0" in gone.document["detail"]
    gone = served.ask("GET", "/api/v1/events/follow?after=99999999", **header)
    assert (gone.status, gone.document["code"]) == (410, "events_gone")
