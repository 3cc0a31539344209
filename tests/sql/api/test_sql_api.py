"""The HTTP API over real sockets: routes, refusals, the token, and what schemathesis says."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import checks as schema_checks
from selector_meaning import expected
from selector_world import World, insert_world, make_world

from base.errors import UsageError
from sql import Database
from sql.api.app import make_app
from sql.api.main import read_token
from sql.selector.document import read_selector

TOKEN = "correct-horse-battery-staple"


class Served:
    """A real server on a port of the loopback, in a thread."""

    def __init__(self, database: Database, token: str | None, *limits) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        config = uvicorn.Config(make_app(database, token, *limits), log_level="critical")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def run(self) -> None:
        asyncio.run(self.server._serve([self.listener]))

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()

    def ask(self, method: str, path: str, document=None, **headers: str):
        body = document if isinstance(document, bytes | None) else json.dumps(document).encode()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request(method, path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read()
            if answer.getheader("content-type") == "application/x-ndjson":
                return answer.status, [json.loads(line) for line in text.splitlines()]
            return answer.status, json.loads(text)


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(5)
    insert_world(database, made)
    return made


@pytest.fixture
def served(database: Database) -> Iterator[Served]:
    server = Served(database, None)
    yield server
    server.stop()


def test_a_query_streams_rows_and_its_sums(served: Served, world: World):
    document = {"version": 1, "where": {"media_type": ["image", "video"]}}
    status, rows = served.ask("POST", "/v1/nodes/query?described=true", document)
    assert status == 200
    assert {row["node_id"] for row in rows} == expected(world, read_selector(document))
    for row in rows:
        assert row["description"] == world.nodes[row["node_id"]].description
        assert row["key"] == world.nodes[row["node_id"]].sha256.hex()
    status, total = served.ask("POST", "/v1/nodes/aggregate", document)
    assert status == 200
    assert total["count"] == len(rows) > 0
    assert total["size_bytes"] == sum(row["size_bytes"] for row in rows)
    status, explanation = served.ask("POST", "/v1/nodes/explain", document)
    assert status == 200
    assert explanation["rows_estimate"] > 0
    assert "SELECT" in explanation["statement"]


def test_a_refusal_names_every_mistake(served: Served, world: World):
    status, answer = served.ask(
        "POST",
        "/v1/nodes/query",
        {"version": 1, "where": {"medja_type": "image", "size_bytes": "x"}},
    )
    assert status == 422
    assert sorted(answer["problems"]) == [
        "where.medja_type: unknown; did you mean media_type?",
        "where.size_bytes.equals: input should be a valid integer (found 'x')",
    ]
    status, answer = served.ask(
        "POST", "/v1/nodes/query", {"version": 1, "where": {"metadata": {"source": "alpa"}}}
    )
    assert (status, answer["error"]) == (400, "SelectorError")
    assert answer["problems"] == [
        "where.metadata.source: there is no source 'alpa'; did you mean alpha?"
    ]


def test_intents_and_history(served: Served, world: World):
    key = "ab" * 32
    intent = {
        "intent_id": "one",
        "physical_nodes": [{"key": key, "size_bytes": 3, "extension": "jpg"}],
    }
    assert served.ask("POST", "/v1/intents", intent)[1]["nodes_new"] == 1
    assert served.ask("POST", "/v1/intents", intent)[1]["repeated"] is True
    status, rows = served.ask("POST", "/v1/nodes/query", {"version": 1, "where": {"key": key}})
    assert [row["size_bytes"] for row in rows] == [3]
    status, answer = served.ask("POST", "/v1/intents", {"intent_id": "two", "edgs": []})
    assert (status, answer["error"], len(answer["problems"])) == (422, "IntentError", 1)
    assert answer["problems"][0].startswith("edgs: ")
    event = {"action_id": 10, "action_batch_id": 1, "status": "running"}
    status, answer = served.ask("POST", "/v1/action-history", event)
    assert (status, answer["error"]) == (400, "UsageError"), "the batch is not sealed"
    with_unknown = {**event, "action_batch_id": 99}
    assert served.ask("POST", "/v1/action-history", with_unknown)[0] == 404
    assert served.ask("GET", "/v1/action-batches/99/pipeline-state")[0] == 404
    status, state = served.ask("GET", "/v1/action-batches/1/pipeline-state")
    assert (status, state["action_batch_id"]) == (200, 1)
    assert served.ask("GET", "/v1/health")[1]["schema_current"] is True


def test_batches_are_put_into_pipelines_and_taken_out(
    served: Served, database: Database, world: World
):
    status, state = served.ask("GET", "/v1/pipelines/both/state")
    assert (status, [one["action_batch_id"] for one in state["batches"]]) == (200, [3, 1])
    status, answer = served.ask("GET", "/v1/pipelines/bth/state")
    assert (status, answer["error"]) == (404, "NotFoundError")
    place = "/v1/pipelines/one/batches/1"
    status, answer = served.ask("PUT", place)
    assert status == 400 and "is not sealed" in answer["message"]
    database.seal_action_batch(1)
    status, state = served.ask("PUT", place)
    assert (status, [one["pipeline"] for one in state["pipelines"]]) == (200, ["both", "one"])
    status, state = served.ask("DELETE", place)
    assert (status, [one["pipeline"] for one in state["pipelines"]]) == (200, ["both"])
    assert served.ask("DELETE", place)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b"[" * 100_000, b'{"version":1,"where":' + b'{"not":' * 5000,
        b'{"version": 1e999}', b'"\\ud800"', b'{"version":1,"where":{"description":"\\ud800"}}',
        b'{"version":1,"where":{"description":"\\u0000"}}',
    ],
)  # fmt: skip
def test_broken_documents_are_refused(served: Served, database, body: bytes):
    for path in ("/v1/nodes/query", "/v1/intents", "/v1/action-history"):
        status, answer = served.ask("POST", path, body)
        assert 400 <= status < 500
        assert set(answer) == {"error", "message", "problems"}


def test_a_large_body_is_refused_before_it_is_read(served: Served):
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(30)
        connection.sendall(
            b"POST /v1/intents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        piece = b" " * (1 << 20)
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                connection.sendall(piece)
        with contextlib.suppress(ConnectionError):
            assert b" 413 " in connection.recv(100)


def test_over_tcp_only_the_token_passes(database: Database):
    server = Served(database, TOKEN)
    try:
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            status, answer = server.ask("GET", "/v1/health", None, **given)
            assert status == 401
            assert TOKEN not in json.dumps(answer)
        assert server.ask("GET", "/openapi.json")[0] == 401
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert server.ask("GET", "/v1/health", None, **bearer)[0] == 200
    finally:
        server.stop()


def test_a_token_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "token"
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(str(path))
    path.write_text(TOKEN + "\n")
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(str(path))
    path.chmod(0o600)
    assert read_token(str(path)) == TOKEN
    path.write_text("short")
    with pytest.raises(UsageError, match="one word"):
        read_token(str(path))


def test_a_client_that_leaves_gives_its_connection_back(served: Served, database: Database):
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "SELECT sha256(n::text::bytea), true, n, n FROM generate_series(1, 60000) AS n"
        )
    # More often than there are connections.
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            body = b'{"version": 1}'
            client.sendall(
                b"POST /v1/nodes/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            assert client.recv(15).startswith(b"HTTP/1.1 200")
    status, total = served.ask("POST", "/v1/nodes/aggregate", {"version": 1})
    assert (status, total["count"]) == (200, 60_000)


def connect_soon(process: subprocess.Popen[str], path: str) -> socket.socket:
    """Connect to a socket that a process makes, and then listens on."""
    deadline = time.monotonic() + 60
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
            return client
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            assert process.stderr is not None
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)


def test_the_process_serves_its_socket(store_config: str):
    run_dir = os.path.join(os.path.dirname(store_config), "run")
    path = os.path.join(run_dir, "database.sock")
    command = [sys.executable, "-m", "sql.api.main", "--config", store_config]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            client = connect_soon(process, path)
            assert os.stat(path).st_mode & 0o777 == 0o600
            with contextlib.closing(client):
                client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(15).startswith(b"HTTP/1.1 200")
            second = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert second.returncode == 1
            assert "somebody serves" in second.stderr
            assert "Traceback" not in second.stderr
            naked = subprocess.run(
                [*command, "--tcp-port", "0"], capture_output=True, text=True, timeout=60
            )
            assert (naked.returncode, "token" in naked.stderr) == (2, True)
        finally:
            process.send_signal(signal.SIGTERM)
            errors = process.stderr.read()
        assert process.wait() == 0, errors
    assert errors == ""
    assert not os.path.exists(path)


@pytest.fixture
def store_config(database_url: str, short_tmp: str) -> str:
    """A drystone.toml whose database is the test's own."""
    path = os.path.join(short_tmp, "drystone.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'ssd = "ssd"\n[store]\nstore_id = "{"0" * 32}"\n[database]\ndsn = "{database_url}"\n'
        )
    return path


@pytest.mark.seconds(13)
def test_schemathesis_finds_nothing(database: Database, world: World):
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(database))
    wanted = [
        schema_checks.not_a_server_error,
        *[
            getattr(schemathesis.specs.openapi.checks, name)
            for name in (
                "status_code_conformance",
                "content_type_conformance",
                "response_schema_conformance",
            )
        ],
    ]
    seen = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=60,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @schemathesis_given(operation)
        def check(case):
            response = case.call()
            seen.append(response.status_code)
            case.validate_response(response, checks=wanted)

        check()
    assert {200, 422} <= set(seen)


def schemathesis_given(operation):
    """Return hypothesis' decorator for the cases of an operation, right and wrong ones."""
    from hypothesis import given
    from schemathesis import GenerationMode

    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in modes]
    return given(case=strategies[0] | strategies[1])
