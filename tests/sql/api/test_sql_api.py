"""Programs ask the database over real sockets: routes and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from selector_meaning import expected
from selector_world import World, insert_world, make_world

from base.logging.requests import RequestIds
from base.operations.routes import add_problems
from sql import Database
from sql.actions.history import seal_action_batch
from sql.api.app import database_routes
from sql.selector.document import read_selector


def make_app(database: Database, *limits) -> FastAPI:
    """Return the routes as the public port has them, without its guard."""
    app = FastAPI()
    add_problems(app)
    app.include_router(database_routes(lambda: database, *limits), prefix="/v1")
    app.add_middleware(RequestIds)
    return app


class Served:
    """A real server on a port of the loopback, in a thread."""

    def __init__(self, database: Database, *limits) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        config = uvicorn.Config(make_app(database, *limits), log_level="critical")
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
    server = Served(database)
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
    assert (status, answer["code"]) == (400, "selector")
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
    with database.connection() as connection:
        seal_action_batch(connection, 1)
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
        assert {"code", "detail", "problems", "request_id"} <= set(answer)


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
