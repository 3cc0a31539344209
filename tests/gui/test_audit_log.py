"""The audit log: changes over HTTP, on pages and in the shell, for admins alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from gui_harness import Scene, images, simulated

from base.errors import UsageError
from base.operations.operation import Caller
from base.operations.witness import witnessed
from gui.core.server_process import api_process
from gui.reading.desk import Desk
from gui.widgets.acts import act
from sql import Place
from sql.operations import rights
from sql.operations.rights import NewLink

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JSON = "application/json"
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


def log(scene: Scene, query: str = "") -> list[dict]:
    admin = scene.token("ada", "admin")
    answer = scene.ask("GET", f"/api/v1/audit-log{query}", Authorization=admin)
    assert answer.status == 200, answer.body
    return answer.document["entries"]


def test_changes_over_http_are_written_down(served: Scene):
    operator = {"Authorization": served.token("oto", "operator"), "Content_Type": JSON}
    body = json.dumps({"workflow": "scrub"}).encode()
    started = served.ask("POST", "/api/v1/runs", body, **operator, X_Request_Id="audit-1")
    run_id = started.document["run_id"]
    served.ask("POST", f"/api/v1/runs/{run_id}/cancel", **operator)
    served.ask("POST", "/api/v1/runs/9999/cancel", **operator)
    viewer = served.token("vera", "viewer")
    served.ask("POST", "/api/v1/storage/fsck", Authorization=viewer, Origin=None)
    served.ask("GET", "/api/v1/runs", **operator)
    forbidden, missing, cancelled, begun = log(served, "?limit=4")
    assert (begun["name"], begun["role"], begun["way"]) == ("oto", "operator", "api")
    assert begun["token"].startswith("test-") and begun["address"] == "127.0.0.1"
    assert (begun["operation"], begun["outcome"]) == ("run.start", "done")
    assert begun["request_id"] == "audit-1" and "scrub" in begun["request"]
    assert (cancelled["operation"], cancelled["outcome"]) == ("run.cancel", "done")
    assert missing["outcome"] == "refused" and "9999" in missing["request"]
    assert (forbidden["name"], forbidden["outcome"]) == ("vera", "refused")
    assert forbidden["operation"] == "storage.fsck" and "operator" in forbidden["detail"]
    older = log(served, f"?limit=2&before={missing['number']}")
    assert [one["number"] for one in older] == [cancelled["number"], begun["number"]]
    assert {one["operation"] for one in log(served, "?operation=run.start")} == {"run.start"}


def test_no_secret_is_written_down(served: Scene):
    admin = {"Authorization": served.token("ada", "admin"), "Content_Type": JSON}
    body = json.dumps({"name": "yves", "password": "correct horse battery"}).encode()
    assert served.ask("POST", "/api/v1/people", body, **admin).status == 200
    made = served.ask("POST", "/api/v1/tokens", b'{"name": "audited"}', **admin)
    assert made.status == 200
    with served.database.connection() as connection:
        rows = connection.execute("SELECT request FROM audit_entry").fetchall()
    text = json.dumps(rows)
    assert "yves" in text and "audited" in text
    assert "correct horse" not in text and made.document["token"] not in text


@pytest.mark.parametrize(("name", "role"), [("vera", "viewer"), ("oto", "operator")])
def test_only_admins_see_it(served: Scene, name: str, role: str):
    for query in ("", "?name=" + name):
        path = f"/api/v1/audit-log{query}"
        refused = served.ask("GET", path, Authorization=served.token(name, role))
        assert (refused.status, refused.document["code"]) == (403, "forbidden")
    cookie = served.log_in(name)
    assert served.ask("GET", "/api/v1/audit-log", Cookie=cookie).status == 403
    assert b"Audit log" not in served.ask("GET", "/users", Cookie=cookie).body
    assert served.ask("DELETE", "/api/v1/audit-log", Cookie=cookie).status in (404, 405)


def drystone(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, os.path.join(ROOT, "drystone.py"), *words]
    return subprocess.run(
        [*command, "--config", scene.store.config_path], capture_output=True, text=True
    )


def test_changes_in_the_shell_are_written_down(served: Scene):
    assert drystone(served, "unpin", "audited").returncode != 0
    assert drystone(served, "disk", "drain", "none").returncode == 2
    added = drystone(served, "token", "create", "shelled", "--owner", "ada", "--scope", "read")
    assert added.returncode == 0, added.stderr
    shown = drystone(served, "audit-log", "list", "--json")
    assert shown.returncode == 0, shown.stderr
    made, drained, pinned, *_ = json.loads(shown.stdout)["entries"]
    assert (made["operation"], made["way"], made["outcome"]) == ("token.create", "shell", "done")
    assert (made["role"], made["address"], made["token"]) == ("admin", "", "")
    assert (drained["operation"], drained["outcome"]) == ("disk.drain", "refused")
    assert "the disks are" in drained["detail"]
    assert pinned["operation"] == "pin.remove" and pinned["outcome"] != "done"
    assert added.stdout.strip() not in shown.stdout
    table = drystone(served, "audit-log", "list", "--name", made["name"]).stdout
    assert "disk.drain" in table and "shell" in table


@pytest.mark.asyncio
async def test_acts_of_pages_are_written_down(scene: Scene):
    async with simulated(scene, "ada") as (user, desk):
        await user.open("/users")
        await user.should_see("Audit log")

        def disk_touch(name: str) -> str:
            return name

        with user:
            assert await act(desk, "admin", "touched", disk_touch, "d1") == "d1"
        (entry,) = desk.database().audit.entries(operation="page.disk_touch")
        assert (entry.name, entry.way, entry.outcome) == ("ada", "page", "done")
        assert json.loads(entry.request) == {"done": "touched"}


def test_who_lets_people_in_on_a_page_asks_for_what_everybody_else_does(scene: Scene):
    """The page hands the names of operations to `operate`, which finds them and is a witness."""
    path = os.path.join(ROOT, "gui", "pages", "users", "page.py")
    with open(path, encoding="utf-8") as file:
        source = file.read()
    names = re.findall(r'"(user\.\w+)"', source)
    assert names == ["user.add", "user.role", "user.password"] and 'f"user.{verb}"' in source
    desk = Desk(scene.config)
    try:
        for name in (*names, "user.disable", "user.enable"):
            assert desk.operation(name).role == "admin"
        add = desk.operation("user.add")
        asked = add.request_of({"name": "vera", "role": "viewer", "password": "never-in-a-log"})
        caller = Caller("ada", "admin", 1, address="")
        # She is there already, so that nothing comes of it but the entry.
        with pytest.raises(UsageError), witnessed(desk.witness, add, caller, asked, "page"):
            add(desk.place(add), caller, asked)
    finally:
        desk.close()
    (entry,) = scene.database.audit.entries(operation="user.add", limit=1)
    assert (entry.name, entry.way, entry.outcome) == ("ada", "page", "refused")
    assert '"vera"' in entry.request and "never-in-a-log" not in entry.request


@pytest.mark.usefixtures("no_grants")
def test_reads_of_originals_are_written_down_where_that_is_wanted(served: Scene):
    key = served.database.explore.page(images(), limit=1)[0].key
    vera, cookie = served.token("vera", "viewer"), served.log_in("vera")
    served.ask("GET", f"/content/{key}", Authorization=vera)
    assert log(served, "?operation=content.read") == []
    with audited(served):
        for headers in (
            {"Authorization": vera}, {"Cookie": cookie}, {"Cookie": cookie, "Range": "bytes=0-3"},
        ):  # fmt: skip
            assert served.ask("GET", f"/content/{key}", **headers).status in (200, 206)
        # Nothing of it is sent.
        served.ask("HEAD", f"/content/{key}", Cookie=cookie)
        served.ask("GET", f"/content/{key}", Cookie=cookie, If_None_Match=f'"{key}"')
        served.ask("GET", f"/content/{key}", Cookie=cookie, Range="bytes=999999999-")
        served.ask("GET", f"/content/{'0' * 64}", Cookie=cookie)
        served.ask("GET", f"/thumbnail/{key}", Cookie=cookie)
        shared = rights.link(
            Place("", lambda: served.database),
            Caller("ada", "admin"),
            NewLink(node=key, until=UNTIL),
        )
        assert served.ask("GET", f"{shared.path}/content/{key}").status == 200
        linked, part, whole, token = log(served, "?operation=content.read")
    assert (linked["name"], linked["role"], linked["way"]) == ("a link", "guest", "page")
    assert [one["way"] for one in (part, whole, token)] == ["page", "page", "api"]
    assert token["token"].startswith("test-") and whole["name"] == "vera"
    assert json.loads(whole["request"]) == {"key": key} and whole["outcome"] == "done"
    assert whole["address"] == "127.0.0.1"


@contextlib.contextmanager
def audited(served: Scene) -> Iterator[None]:
    """Serve the port with `audit_reads`."""
    path = served.store.config_path
    with open(path, encoding="utf-8") as file:
        before = file.read()

    def restart(text: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        api_process(served.config).stop()
        served.address = api_process(served.config).start()[0].address

    restart(before.replace("[gui]\n", "[gui]\naudit_reads = true\n"))
    try:
        yield
    finally:
        restart(before)
