"""Tokens over HTTP and from the shell: scopes, ends, and whose they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from gui_harness import Answer, Scene
from typer.testing import CliRunner

from base.errors import UsageError
from gui.cli.app import app
from gui.core.errors import ForbiddenError

JSON = "application/json"


def made(scene: Scene, bearer: str, **asked: object) -> Answer:
    body = json.dumps(asked).encode()
    return scene.ask(
        "POST", "/api/v1/tokens", body, Authorization=bearer, Content_Type=JSON, Origin=None
    )


def shell(scene: Scene, *words: str):
    return CliRunner().invoke(app, ["token", *words, "--config", scene.store.config_path])


def asked(scene: Scene, bearer: str, method: str = "GET", path: str = "/api/v1/me") -> Answer:
    return scene.ask(method, path, Authorization=bearer, Content_Type=JSON, Origin=None)


def test_a_token_is_made_used_listed_and_revoked_at_once(served: Scene):
    admin = served.token("ada", "admin")
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = made(served, admin, name="a/b", owner="oto", scopes=["read"], until=later)
    assert answer.status == 200, answer.body
    bearer = f"Bearer {answer.document['token']}"
    me = asked(served, bearer).document
    assert me == {"name": "oto", "role": "viewer", "scopes": ["read"]}
    assert asked(served, bearer, "POST", "/api/v1/storage/fsck").status == 403
    of_oto = asked(served, admin, path="/api/v1/tokens?owner=oto").document
    shown = next(one for one in of_oto if one["name"] == "a/b")
    assert (shown["scopes"], shown["used"] is None) == (["read"], False)
    assert "token" not in shown
    gone = asked(served, admin, "DELETE", "/api/v1/tokens/a/b?owner=oto")
    assert gone.status == 200, gone.body
    assert asked(served, bearer).status == 401, "revoked a moment ago"


def test_another_process_revokes_and_the_next_request_is_refused(served: Scene):
    created = shell(served, "create", "from-shell", "--owner", "ada", "--scope", "admin")
    assert created.exit_code == 0, created.output
    bearer = f"Bearer {created.stdout.strip()}"
    assert asked(served, bearer, path="/api/v1/people").status == 200
    assert shell(served, "revoke", "from-shell", "--owner", "ada").exit_code == 0
    assert asked(served, bearer, path="/api/v1/people").status == 401


def test_what_cannot_be_is_refused_with_one_sentence(served: Scene):
    admin = served.token("ada", "admin")
    past = made(served, admin, name="late", scopes=["read"], until="2020-01-01T00:00:00Z")
    assert past.status == 400 and "ended already" in past.document["detail"]
    unknown = made(served, admin, name="x", scopes=["fly"])
    assert (unknown.status, unknown.document["code"]) == (422, "wrong_request")
    assert any("'read', 'label'" in line for line in unknown.document["problems"])
    assert made(served, admin, name="x", scopes=[]).status == 400
    assert made(served, admin, name="\n", scopes=["read"]).status == 400
    too_wide = made(served, admin, name="x", owner="vera", scopes=["write"])
    assert too_wide.status == 400 and "vera is viewer" in too_wide.document["detail"]
    nobody = made(served, admin, name="x", owner="nobody")
    assert nobody.status == 404
    assert asked(served, admin, "DELETE", "/api/v1/tokens/none").status == 404
    ownerless = shell(served, "create", "x")
    assert isinstance(ownerless.exception, UsageError) and "--owner" in str(ownerless.exception)
    past_in_shell = shell(served, "create", "x", "--owner", "ada", "--until", "2020-01-01")
    assert isinstance(past_in_shell.exception, UsageError)


def test_tokens_of_others_are_theirs(served: Scene):
    operator = served.token("oto", "operator")
    assert made(served, operator, name="x", owner="ada").status == 403
    assert asked(served, operator, "DELETE", "/api/v1/tokens/x?owner=ada").status == 403
    assert asked(served, operator, path="/api/v1/tokens?owner=ada").status == 403
    own = asked(served, operator, path="/api/v1/tokens").document
    assert own and {one["owner"] for one in own} == {"oto"}
    # A token that was lent makes no other; somebody who is logged in does.
    refused = made(served, operator, name="x", scopes=["read"])
    assert refused.status == 403 and "scope admin" in refused.document["detail"]
    cookie = served.log_in("oto")
    body = json.dumps({"name": "of-oto"}).encode()
    mine = served.ask("POST", "/api/v1/tokens", body, Cookie=cookie, Content_Type=JSON)
    assert (mine.status, mine.document["owner"], mine.document["scopes"]) == (200, "oto", ["read"])
    gone = served.ask("DELETE", "/api/v1/tokens/of-oto", Cookie=cookie)
    assert gone.document == {"name": "of-oto", "owner": "oto"}


@pytest.mark.parametrize("scope", ["worker", "database"])
def test_a_scope_of_programs_gives_no_role(served: Scene, scope: str):
    answer = made(served, served.token("ada", "admin"), name=f"only-{scope}", scopes=[scope])
    bearer = f"Bearer {answer.document['token']}"
    assert asked(served, bearer).document == {"name": "ada", "role": "", "scopes": [scope]}
    for path in ("/api/v1/runs", "/api/v1/people", "/api/v1/storage/disks"):
        refused = asked(served, bearer, path=path)
        assert (refused.status, refused.document["code"]) == (403, "forbidden")
    assert ForbiddenError.__name__ == refused.document["error"]
