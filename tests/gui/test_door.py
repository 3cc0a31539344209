"""The public port: what it serves itself, how it leads to the pages, and whom it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import html
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from gui_harness import PASSWORD, Answer, Scene
from prometheus_client.parser import text_string_to_metric_families
from store_checks import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gui import api_companion, companion
from gui.access.people import make_token
from gui.core.server_process import api_process, pages_process
from jobs.remote.http import RemoteApi
from jobs.remote.state import RemoteTaskState
from sql.intent.intent import load_intent

SOCKET_PATH = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
HANG_S = 90.0
NODES_ASKED = json.dumps({"selector": {"version": 1, "where": {"extension": "jpg"}}}).encode()
NODES = json.dumps({"version": 1, "where": {"extension": "jpg"}}).encode()


def raw(scene: Scene) -> socket.socket:
    parts = urlsplit(scene.address)
    return socket.create_connection((parts.hostname or "", parts.port or 0), HANG_S)


def answer_of(one: socket.socket) -> bytes:
    """Return all that the server says until it closes."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := one.recv(65_536):
            said += piece
    return said


@pytest.fixture
def without_pages(served: Scene) -> Iterator[Scene]:
    pages_process(served.config).stop()
    yield served
    pages_process(served.config).start()


def test_a_websocket_is_led_to_the_pages(served: Scene):
    address = served.address.replace("http", "ws") + SOCKET_PATH

    async def first_word(**headers: str) -> str:
        async with connect(
            address, additional_headers=headers, origin=None, compression=None
        ) as opened:
            return str(await opened.recv())

    cookie = served.log_in("vera")
    word = asyncio.run(first_word(Origin=served.address, Cookie=cookie))
    assert word.startswith("0{") and "sid" in word, "what socket.io says first"
    for headers in (
        {"Origin": served.address},
        {"Origin": "http://evil.example", "Cookie": cookie},
    ):
        with pytest.raises(InvalidStatus) as refused:
            asyncio.run(first_word(**headers))
        assert refused.value.response.status_code == 403


@pytest.mark.fault
def test_the_api_lives_without_the_pages(without_pages: Scene):
    served, viewer = without_pages, without_pages.token("vera", "viewer")
    assert served.ask("GET", "/api/v1/me", Authorization=viewer).document["name"] == "vera"
    page = served.ask("GET", "/login", Accept="text/html")
    assert (page.status, page.headers["retry-after"]) == (503, "3")
    assert b"pages are not up" in page.body
    program = served.ask("GET", "/explorer/nodes")
    assert (program.status, program.document["code"]) == (503, "pages_away")
    states = {
        one["name"]: one["state"]
        for one in served.ask("GET", "/health", Authorization=viewer).document
    }
    assert states["pages"] == "down" and states["engine"] == "up"
    assert served.ask("GET", "/ready").status == 200, "what is needed is there"
    pages_process(served.config).start()
    assert served.ask("GET", "/login", Accept="text/html").status == 200


def test_it_runs_where_the_pages_are_switched_off(served: Scene):
    path, viewer = served.store.config_path, served.token("vera", "viewer")
    with open(path, encoding="utf-8") as file:
        before = file.read()
    api_companion.stop(path)
    companion.stop(path)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before.replace("[gui]\n", "[gui]\nenabled = false\n"))
        said: list[str] = []
        api_companion.start(path, said.append)
        companion.start(path, said.append)
        assert len(said) == 1 and "API is at" in said[0]
        assert companion.status(path) == (True, "switched off (enabled in [gui])")
        running = api_process(served.config).find()
        assert running is not None and running.address in api_companion.status(path)[1]
        alone = Scene(served.store, served.database, running.address)
        health = alone.ask("GET", "/api/v1/health", Authorization=viewer)
        assert {one["name"]: one["state"] for one in health.document}["pages"] == "off"
        assert alone.ask("GET", "/ready").status == 200
        node = alone.ask("POST", "/api/v1/nodes?limit=1", NODES_ASKED, Authorization=viewer,
                         Content_Type="application/json").document["nodes"][0]  # fmt: skip
        content = alone.ask("GET", f"/content/{node['key']}", Authorization=viewer)
        assert hashlib.sha256(content.body).hexdigest() == node["key"]
        drawn = alone.ask("GET", f"/thumbnail/{node['key']}", Authorization=viewer)
        assert drawn.headers["content-type"] == "image/webp"
        assert alone.ask("GET", "/static/drystone.css").status == 200, "of what is shared by links"
        assert alone.ask("GET", "/").document["detail"].startswith("the pages are switched off")
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before)
        api_companion.stop(path)
        companion.start(path)
        served.address = api_process(served.config).start()[0].address


def test_health_tells_states_and_latencies(served: Scene):
    viewer = served.token("vera", "viewer")
    assert served.ask("GET", "/health").status == 401
    for path in ("/health", "/api/v1/health"):
        found = served.ask("GET", path, Authorization=viewer).document
        assert {one["name"]: one["state"] for one in found} == dict.fromkeys(
            ("engine", "database", "redis", "pages"), "up"
        )
        assert all(one["latency_s"] >= 0 and one["read_time"] for one in found)


def test_who_asks_is_told_to_the_pages_by_the_port_alone(served: Scene):
    served.ask(
        "POST", "/login", b"name=liar&password=wrong", X_Forwarded_For="192.0.2.77", Forwarded="x"
    )
    with served.database.connection() as connection:
        rows = connection.execute("SELECT address FROM login_attempt WHERE name = 'liar'")
        assert rows.fetchall() == [("127.0.0.1",)]


def problem(said: bytes) -> dict:
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, said[:500]
    return json.loads(body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /live HTTP/1.1\r\nHost: test\r\n" + b"A: b\r\n" * 1_000 + b"\r\n", 431),
        (b"GET /live HTTP/1.1\r\nHost: test\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 431),
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: test\r\nHost: evil\r\n\r\n", 403),
        (b"POST /api/v1/nodes HTTP/1.1\r\nHost: test\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /api/v1/nodes HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n", 413),
        (
            b"POST /api/v1/database/intents HTTP/1.1\r\nHost: test\r\n"
            b"Content-Length: 999999999\r\n\r\n",
            413,
        ),
        (
            b"POST /api/v1/tasks/1/claim HTTP/1.1\r\nHost: test\r\nContent-Length: 9999999\r\n\r\n",
            413,
        ),
        (
            b"POST /api/v1/database/action-history HTTP/1.1\r\nHost: test\r\n"
            b"Content-Length: 9999999\r\n\r\n",
            413,
        ),
        (
            b"POST /api/v1/nodes HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n"
            b"Content-Length: 6\r\n\r\n12345",
            400,
        ),
    ],
)
def test_a_request_out_of_bounds_gets_one_answer(served: Scene, sent: bytes, status: int):
    with raw(served) as one:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            one.sendall(sent)
        one.shutdown(socket.SHUT_WR)
        said = answer_of(one)
    assert said.startswith(b"HTTP/1.1 %d " % status), said[:300]
    assert problem(said)["status"] == status


@pytest.mark.seconds(20)
def test_half_requests_end_and_keep_nobody_waiting(served: Scene):
    halves = {
        "nothing": b"",
        "half a head": b"GET /live HTTP/1.1\r\nHost: te",
        "a body that stalls": (
            b"POST /api/v1/people HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer "
            + served.token("ada", "admin").removeprefix("Bearer ").encode()
            + b"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        ),
        "a form that stalls": (
            b"POST /login HTTP/1.1\r\nHost: test\r\nOrigin: http://test\r\n"
            b"Content-Length: 100\r\n\r\nname"
        ),
    }
    said: dict[str, bytes] = {}

    def wait(name: str) -> None:
        with raw(served) as one:
            one.sendall(halves[name])
            said[name] = answer_of(one)

    waiting = [threading.Thread(target=wait, args=(name,)) for name in halves]
    dripping = raw(served)
    for thread in waiting:
        thread.start()
    with dripping:
        # Whoever drips a head gets no more time by it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            dripping.sendall(b"GET /live HTTP/1.1\r\nHost: test\r\n")
            while any(thread.is_alive() for thread in waiting):
                dripping.sendall(b"A: b\r\n")
                assert served.ask("GET", "/live").status == 200
                waiting[0].join(0.5)
        for thread in waiting:
            thread.join(HANG_S)
        assert answer_of(dripping).startswith(b"HTTP/1.1 408 ")
    assert said["nothing"] == b""
    for name in ("half a head", "a body that stalls", "a form that stalls"):
        assert problem(said[name])["code"] == "request_late", (name, said[name])


def test_a_body_without_end_is_refused(served: Scene):
    head = (
        b"POST %s HTTP/1.1\r\nHost: test\r\nOrigin: http://test\r\nAuthorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    token = served.token("ada", "admin").removeprefix("Bearer ").encode()
    for path in (b"/api/v1/people", b"/login"):
        with raw(served) as one:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                one.sendall(head % (path, token))
                for _ in range(100):
                    one.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            said = answer_of(one)
        # A client that goes on sending may have lost the answer with its connection.
        assert not said or problem(said)["code"] == "body_too_large"
    assert served.ask("GET", "/live").status == 200


def test_a_client_that_goes_leaves_nothing_open(served: Scene):
    cookie = served.log_in("vera")

    def asked_and_gone() -> None:
        with raw(served) as one:
            one.sendall(f"GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n".encode())

    for _ in range(50):
        asked_and_gone()
    answer: Answer = served.ask("GET", "/", Cookie=cookie)
    assert answer.status == 200 and served.log_in("oto", PASSWORD)


def test_the_port_comes_back_with_what_it_was(served: Scene):
    api = api_process(served.config)
    before = api.find()
    assert before is not None
    api.stop()
    assert api.find() is None and pages_process(served.config).find() is not None
    served.address = api.start()[0].address
    until(lambda: served.ask("GET", "/ready").status == 200, "the port")
    assert served.ask("GET", "/login").status == 200


def test_the_api_is_described_by_a_page_of_its_own(served: Scene):
    bearer = {"Authorization": served.token("vera", "viewer"), "Origin": None}
    page = served.ask("GET", "/api/v1/docs", **bearer)
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    text = page.body.decode()
    paths = served.ask("GET", "/api/v1/openapi.json", **bearer).document["paths"]
    assert all(html.escape(path) in text for path in paths) and len(paths) > 100
    assert set(re.findall(r'(?:src|href)="(?!/)([^"]*)"', text)) == set(), "all of it is ours"
    assert "<script" not in text
    assert served.ask("GET", "/api/v1/docs").status == 401


def test_metrics_tell_requests_runs_and_the_store(served: Scene):
    assert served.ask("GET", "/metrics").status == 401
    labelled = served.token("oto", "labeller")
    assert served.ask("GET", "/metrics", Authorization=labelled).status in (401, 403)
    viewer = served.token("vera", "viewer")
    served.ask("GET", "/api/v1/runs/9999", Authorization=viewer)
    served.ask("GET", "/login")
    text = served.ask("GET", "/metrics", Authorization=viewer).body.decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    counted = {
        (one.labels["route"], one.labels["status"]): one.value
        for one in found["drystone_requests"].samples
    }
    assert counted["run.show", "404"] >= 1 and counted["pages", "200"] >= 1
    took = [
        one.value
        for one in found["drystone_request_seconds"].samples
        if one.labels["route"] == "pages" and one.name.endswith("_bucket")
    ]
    assert took == sorted(took) and took[-1] >= 1
    ups = {one.labels["part"]: one.value for one in found["drystone_part_up"].samples}
    assert ups == {"database": 1, "engine": 1}
    assert "drystone_disk_state" in text or any("disk" in name for name in found)


@pytest.fixture
def slow_rate(served: Scene) -> Iterator[Scene]:
    """The port with a rate of one request a second."""
    path, api = served.store.config_path, api_process(served.config)
    with open(path, encoding="utf-8") as file:
        before = file.read()
    api.stop()
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before.replace("[gui]\n", "[gui]\nrequests_per_s = 1\n"))
        served.address = api_process(served.config).start()[0].address
        yield served
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before)
        api.stop()
        served.address = api.start()[0].address


def test_who_asks_too_often_waits_and_others_do_not(slow_rate: Scene):
    busy, other = slow_rate.token("vera", "viewer"), slow_rate.token("oto", "operator")

    def asked(bearer: str) -> Answer:
        return slow_rate.ask("GET", "/api/v1/me", Authorization=bearer)

    def refused() -> Answer | None:
        answer = asked(busy)
        return answer if answer.status == 429 else None

    answer = until(refused, "the rate")
    assert answer.document["code"] == "too_many_requests"
    assert int(answer.headers["retry-after"]) >= 1
    assert asked(other).status == 200, "another token has its own rate"
    assert slow_rate.ask("GET", "/live").status == slow_rate.ask("GET", "/login").status == 200
    until(lambda: asked(busy).status == 200, "the rate again")


@pytest.mark.usefixtures("no_grants")
def test_nobody_guesses_the_secrets_of_links(served: Scene):
    database = served.database
    virtual = [{"description": "t:post:shared"}]
    database.apply_intent(load_intent({"intent_id": "shared", "virtual_nodes": virtual}))
    header = {"Authorization": served.token("ada", "admin"), "Content_Type": "application/json"}
    asked = b'{"node": "t:post:shared", "until": "2030-01-31T00:00:00Z"}'
    made = served.ask("POST", "/api/v1/grants/links", asked, **header).document["path"]

    def guessed() -> Answer | None:
        answer = served.ask("GET", f"/shared/{os.urandom(24).hex()}")
        assert answer.status in (404, 429)
        return answer if answer.status == 429 else None

    for _ in range(60):
        assert served.ask("GET", made).status == 200, "what is there is never too often"
    answer = until(guessed, "the rate")
    assert answer.document["code"] == "too_many_requests" and answer.headers["retry-after"]
    assert served.ask("GET", made).status == 429, "nor is it told whether a guess was right"
    assert served.ask("GET", "/live").status == served.ask("GET", "/login").status == 200
    until(lambda: served.ask("GET", made).status == 200, "the rate again")


def token_of(scene: Scene, *scopes: str) -> str:
    name = f"of-{os.urandom(4).hex()}"
    return f"Bearer {make_token(scene.database, 'ada', name, scopes).secret}"


def test_workers_and_programs_come_by_scopes(served: Scene):
    worker, database = token_of(served, "worker"), token_of(served, "database")
    reader = token_of(served, "read")
    claim = ("POST", "/api/v1/tasks/9999/claim", b'{"worker": "far"}')
    query = ("POST", "/api/v1/database/nodes/query", NODES)
    health = ("GET", "/api/v1/database/health", b"")

    def asked(one: tuple[str, str, bytes], bearer: str) -> Answer:
        return served.ask(*one, Authorization=bearer, Content_Type="application/json", Origin=None)

    assert (asked(claim, worker).status, asked(claim, worker).body) == (200, b"null")
    assert asked(query, database).status == 200
    assert len(asked(query, database).body.splitlines()) == 9
    assert asked(health, database).document["schema_version"] > 0
    for one, wrong in ((claim, database), (claim, reader), (query, worker), (health, reader)):
        refused = asked(one, wrong)
        assert (refused.status, refused.document["code"]) == (403, "forbidden")
    assert asked(claim, "Bearer drystone_none").status == 401
    for address in (served.address, f"{served.address}/api"):
        api = RemoteApi(address, worker.removeprefix("Bearer "))
        assert RemoteTaskState(api).claim(9999, "far") is None


@pytest.mark.parametrize("path", ["/me", "/runs", "/storage/disks", "/openapi.json"])
def test_a_document_that_is_known_is_not_sent_again(served: Scene, path: str):
    vera = served.token("vera", "viewer")
    first = served.ask("GET", f"/api/v1{path}", Authorization=vera)
    tag = first.headers["etag"]
    assert (first.status, first.headers["cache-control"]) == (200, "private, no-cache")
    for known in (tag, f'"other", W/{tag}'):
        again = served.ask("GET", f"/api/v1{path}", Authorization=vera, If_None_Match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["x-request-id"] and "content-type" not in again.headers
    other = served.ask("GET", f"/api/v1{path}", Authorization=vera, If_None_Match='"other"')
    assert other.status == 200 and other.document
    assert served.ask("GET", f"/api/v1{path}", If_None_Match=tag).status == 401


def test_another_document_has_another_tag(served: Scene):
    tags = {served.ask("GET", "/api/v1/me", Authorization=served.token(name, "viewer"))
            .headers["etag"] for name in ("vera", "oto", "ada")}  # fmt: skip
    assert len(tags) == 3
    vera = served.token("vera", "viewer")
    nothing = served.ask("GET", "/api/v1/runs/999999", Authorization=vera, If_None_Match="*")
    assert nothing.status == 404 and "etag" not in nothing.headers
    stream = served.ask("GET", "/api/v1/events/follow?for_s=0", Authorization=vera)
    assert stream.status == 200 and "etag" not in stream.headers
