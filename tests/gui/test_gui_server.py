"""The door: who comes in, with what, and what the answers carry."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from urllib.parse import urlencode

import pytest
from gui_harness import PASSWORD, Scene
from store_checks import until

from base.errors import UsageError
from base.processes import process
from fsd.cli.daemons import daemon
from gui.access.secret import storage_secret
from gui.core.server_process import api_process, pages_process

NODES = json.dumps({"selector": {"version": 1, "where": {"extension": "jpg"}}}).encode()
JSON = "application/json"


def form(name: str, password: str, wanted: str = "/") -> bytes:
    return urlencode({"name": name, "password": password, "next": wanted}).encode()


@pytest.mark.parametrize("path", ["/", "/explorer", "/storage", "/users", "/node/1", "/rq/"])
def test_pages_ask_to_log_in(served: Scene, path: str):
    answer = served.ask("GET", path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "path", ["/api/v1/me", "/api/v1/openapi.json", "/_nicegui_ws/socket.io/?transport=polling"]
)
def test_others_are_told_to_log_in(served: Scene, path: str):
    assert served.ask("GET", path).status == 401


def test_answers_carry_the_headers_of_a_careful_server(served: Scene):
    for answer in (served.ask("GET", "/login"), served.ask("GET", "/"), served.ask("POST", "/x")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers.get("server") is None
    cookie = served.ask("POST", "/login", form("vera", PASSWORD)).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1:1"])
def test_nothing_changes_from_another_page(served: Scene, origin: str | None):
    cookie = served.log_in("ada")
    for path in ("/login", "/logout", "/api/v1/storage/scrub", "/_nicegui_ws/socket.io/"):
        assert served.ask("POST", path, Cookie=cookie, Origin=origin).status == 403
    assert served.ask("GET", "/api/v1/me", Cookie=cookie).status == 200


def test_websockets_come_from_our_pages_only(served: Scene):
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Cookie": served.log_in("ada"),
    }  # fmt: skip
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert served.ask("GET", path, **headers, Origin="http://evil.example").status == 403
    assert served.ask("GET", path, **{**headers, "Cookie": None}).status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "[::1", "127.0.0.1.evil"])
def test_a_foreign_name_is_refused(served: Scene, host: str):
    answer = served.ask("GET", "/login", Host=host)
    assert answer.status in (400, 403)


def test_large_bodies_are_refused(served: Scene):
    assert served.ask("POST", "/login", b"x" * 2_100_000).status == 413
    assert served.ask("POST", "/login", b"x" * 30_000).status == 413


def test_wrong_passwords_are_refused_and_slowed(served: Scene):
    statuses = [
        served.ask("POST", "/login", form("guessed", f"wrong-{number}")).status
        for number in range(6)
    ]
    assert statuses == [403] * 5 + [429]
    answer = served.ask("POST", "/login", form("guessed", "x"))
    assert b"Too many attempts" in answer.body


def test_the_form_escapes_what_was_typed(served: Scene):
    answer = served.ask("POST", "/login", form("<script>x</script>", "y", '"><b>'))
    assert b"<script>" not in answer.body and b"<b>" not in answer.body


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil", "/\t/evil", "javascript:x"]
)
def test_nobody_is_sent_elsewhere(served: Scene, wanted: str):
    answer = served.ask("POST", "/login", form("vera", PASSWORD, wanted))
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_logging_out_ends_the_session(served: Scene):
    cookie = served.log_in("vera")
    assert served.ask("GET", "/api/v1/me", Cookie=cookie).document["name"] == "vera"
    assert served.ask("POST", "/logout", Cookie=cookie).status == 303
    assert served.ask("GET", "/api/v1/me", Cookie=cookie).status == 401


def test_roles_bound_what_a_token_may_do(served: Scene):
    viewer, operator = served.token("ada", "viewer"), served.token("oto", "operator")
    assert served.ask("GET", "/api/v1/me", Authorization=viewer).document["role"] == "viewer"
    for path in ("/api/v1/storage/scrub", "/api/v1/storage/rebalance", "/api/v1/runs"):
        assert served.ask("POST", path, Authorization=viewer).status == 403
    disk = json.dumps({"path": "/mnt/x"}).encode()
    replace = served.ask(
        "POST", "/api/v1/storage/disks/d1/replace", disk, Authorization=operator, Content_Type=JSON
    )
    assert replace.status == 403
    assert served.ask("GET", "/rq/", Cookie=served.log_in("vera")).status == 403
    assert served.ask("GET", "/api/v1/me", Authorization="Bearer drystone_wrong").status == 401
    # A token is for the API; pages want a person.
    assert served.ask("GET", "/storage", Authorization=operator).status == 303


def test_probes_tell_strangers_little_and_viewers_what_is_down(served: Scene):
    def ready() -> tuple[int, dict]:
        answer = served.ask("GET", "/ready")
        return answer.status, answer.document

    assert served.ask("GET", "/live").body == b"ok"
    well = {"ready": True, "waits_for": [], "reasons": {}}
    until(lambda: ready() == (200, well), "probes")
    assert served.ask("GET", "/api/v1/health").status == 401
    viewer = served.token("vera", "viewer")

    def states() -> dict[str, str]:
        found = served.ask("GET", "/api/v1/health", Authorization=viewer).document
        return {one["name"]: one["state"] for one in found}

    until(lambda: states()["engine"] == "up", "probes")
    daemon.stop_engine(served.store.config)
    try:
        reasons = {"engine": "Start it with: drystone up"}
        ill = {"ready": False, "waits_for": ["engine"], "reasons": reasons}
        until(lambda: ready() == (503, ill), "probes")
        down = served.ask("GET", "/api/v1/health", Authorization=viewer).document[0]
        assert (down["name"], down["state"]) == ("engine", "down")
        assert down["since"] and down["reason"] and "drystone up" in down["advice"]
    finally:
        served.store.start()
    until(lambda: ready()[0] == 200, "probes")


def test_a_backup_is_a_run(served: Scene):
    headers = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    asked = b'{"workflow": "backup"}'
    first = served.ask("POST", "/api/v1/runs", asked, **headers).document
    again = served.ask("POST", "/api/v1/runs", asked, **headers).document
    assert first["run_id"] == again["run_id"] and not again["created"]
    run = served.database.runs.run(first["run_id"])
    assert (run.workflow, run.requested_by) == ("backup", "oto")
    assert served.ask("GET", "/api/v1/backups", **headers).document == []
    assert served.ask("POST", "/api/v1/backups", **headers).status == 405


def test_a_token_needs_no_origin(served: Scene):
    answer = served.ask(
        "POST", "/api/v1/facets", NODES, Authorization=served.token("vera", "viewer"),
        Content_Type=JSON, Origin=None,
    )  # fmt: skip
    assert answer.status == 200 and answer.document["nodes"] == 9


def test_the_api_pages_through_nodes(served: Scene):
    header = served.token("vera", "viewer")
    seen, cursor = [], ""
    for _ in range(4):
        answer = served.ask(
            "POST", f"/api/v1/nodes?limit=4{cursor}", NODES, Authorization=header, Content_Type=JSON
        )
        seen += [node["node_id"] for node in answer.document["nodes"]]
        if answer.document["next"] is None:
            break
        cursor = f"&cursor={answer.document['next']}"
    assert len(seen) == 9 and seen == sorted(seen, reverse=True)
    node = served.ask("GET", f"/api/v1/nodes/{seen[0]}", Authorization=header)
    assert node.document["node"]["extension"] == "jpg"
    assert served.ask("GET", "/api/v1/nodes/999999999", Authorization=header).status == 404
    wrong = json.dumps({"selector": {"version": 1, "wher": 1}}).encode()
    refused = served.ask("POST", "/api/v1/nodes", wrong, Authorization=header, Content_Type=JSON)
    assert refused.status == 400 and "wher" in refused.document["detail"]


def test_the_api_describes_itself(served: Scene):
    answer = served.ask("GET", "/api/v1/openapi.json", Authorization=served.token("vera", "viewer"))
    paths = answer.document["paths"]
    assert "/api/v1/nodes" in paths and all(path.startswith("/api/v1/") for path in paths)


def test_pictures_come_by_key_only(served: Scene):
    cookie = served.log_in("vera")
    page = served.ask("GET", "/explorer/nodes", Cookie=cookie).document["nodes"]
    tile = next(node for node in page if node["picture"] and node["title"].startswith("Picture"))
    first = served.ask("GET", tile["picture"], Cookie=cookie)
    assert (first.status, first.headers["content-type"]) == (200, "image/webp")
    assert first.body[8:12] == b"WEBP"
    assert "sandbox" in first.headers["content-security-policy"]
    key = tile["picture"].split("/")[2].partition("?")[0]
    content = served.ask("GET", f"/content/{key}", Cookie=cookie)
    assert content.body.startswith(b"\xff\xd8") and "attachment" in content.headers[
        "content-disposition"
    ]  # fmt: skip
    for path in ("/content/..%2f..%2fetc%2fpasswd", "/thumbnail/../drystone.toml", "/content/abc"):
        assert served.ask("GET", path, Cookie=cookie).status in (404, 422)
    assert served.ask("GET", "/static/..%2fserver.py").status == 404
    unknown = served.ask("GET", "/content/" + "0" * 64, Cookie=cookie)
    assert unknown.status == 404


# Pictures that are whole come in by other tests.
_PNG_OF_DEMO = {"version": 1, "where": {"extension": "png", "ingest_batch": "demo"}}


def test_a_broken_picture_is_shown_as_broken(served: Scene):
    cookie = served.log_in("vera")
    path = "/explorer/nodes?" + urlencode({"s": json.dumps(_PNG_OF_DEMO)})
    (tile,) = served.ask("GET", path, Cookie=cookie).document["nodes"]
    answer = served.ask("GET", tile["picture"], Cookie=cookie)
    assert answer.headers["x-drystone-picture"] == "broken"
    assert answer.headers["content-type"].startswith("image/svg")


def test_the_secret_is_private_and_stays(scene: Scene):
    first = storage_secret(scene.config.run_dir)
    path = os.path.join(scene.config.run_dir, "gui.secret")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert storage_secret(scene.config.run_dir) == first and len(first) >= 64


def test_only_one_server_runs(served: Scene):
    again, started = api_process(served.config).start()
    assert not started and again.address == served.address
    assert not pages_process(served.config).start()[1]


def test_who_only_looks_whether_a_server_runs_keeps_none_from_starting(
    scene: Scene, monkeypatch, tmp_path
):
    config = scene.config.model_copy(update={"root": str(tmp_path)})
    os.makedirs(config.run_dir)
    with open(os.path.join(config.run_dir, "gui.lock"), "a+", encoding="ascii") as look:
        fcntl.flock(look, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # It met the look, and goes on when that has ended.
        monkeypatch.setattr(process.time, "sleep", lambda _: look.close())
        with pages_process(config).only_one():
            assert look.closed
            monkeypatch.setattr(process.time, "sleep", lambda _: None)
            with (
                pytest.raises(UsageError, match="served already"),
                pages_process(config).only_one(),
            ):
                pass
