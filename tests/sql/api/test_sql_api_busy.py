"""The HTTP API while its clients misbehave: slow readers, huge documents, keys there twice."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from test_sql_api import Served

from sql import Database
from sql.api.stream import StreamLimits
from sql.api.turns import QUERIES_MAX, Turns
from sql.core.connections import CONNECTIONS_MAX
from sql.core.errors import QueryTimeoutError

EVERYTHING = {"version": 1}


@contextlib.contextmanager
def serving(database: Database, turns: Turns, limits: StreamLimits) -> Iterator[Served]:
    server = Served(database, turns, limits)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def many_nodes(database: Database) -> int:
    """So many nodes that an answer does not fit into any socket's buffers."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "SELECT sha256(n::text::bytea), true, n, n FROM generate_series(1, 60000) AS n"
        )
    return 60_000


@contextlib.contextmanager
def slow_readers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Clients that ask for everything and read only the beginning."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(contextlib.closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            body = json.dumps(EVERYTHING).encode()
            client.sendall(
                b"POST /v1/nodes/query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            assert client.recv(15).startswith(b"HTTP/1.1 200")
            clients.append(client)
        yield clients


def test_slow_readers_leave_connections_for_health_and_intents(database: Database, many_nodes):
    assert QUERIES_MAX < CONNECTIONS_MAX
    with (
        serving(database, Turns(wait_s=0.2), StreamLimits()) as server,
        slow_readers(server.port, QUERIES_MAX),
    ):
        status, answer = server.ask("POST", "/v1/nodes/aggregate", EVERYTHING)
        assert (status, answer["error"]) == (503, "DatabaseUnavailableError")
        assert "try again" in answer["message"]
        status, answer = server.ask("POST", "/v1/nodes/query", EVERYTHING)
        assert status == 503
        assert server.ask("GET", "/v1/health")[0] == 200
        intent = {"intent_id": "one", "virtual_nodes": [{"description": "x"}]}
        assert server.ask("POST", "/v1/intents", intent)[1]["nodes_new"] == 1


def test_a_reader_that_takes_nothing_is_cut_off(database: Database, many_nodes: int):
    limits = StreamLimits(send_limit_s=0.3)
    with (
        serving(database, Turns(queries_max=1, wait_s=60), limits) as server,
        slow_readers(server.port, 1),
    ):
        # The one turn comes back although the reader is there and reads nothing.
        status, total = server.ask("POST", "/v1/nodes/aggregate", EVERYTHING)
        assert (status, total["count"]) == (200, many_nodes)


def test_a_stream_that_takes_too_long_says_so(database: Database, many_nodes: int):
    with serving(database, Turns(), StreamLimits(stream_limit_s=0)) as server:
        status, lines = server.ask("POST", "/v1/nodes/query", EVERYTHING)
    assert status == 200
    assert lines[-1]["problem"]["error"] == "QueryTimeoutError"
    assert len(lines) < many_nodes


def test_a_reading_transaction_that_idles_is_cut_off(database: Database):
    with pytest.raises(QueryTimeoutError, match="nothing was read"):  # noqa: SIM117
        with database.reading(idle_limit_s=0.05) as connection:
            time.sleep(0.5)
            connection.execute("SELECT 1")
    assert database.health().schema_current


def test_intents_that_wait_for_each_other_keep_health_alive(database: Database, database_url: str):
    intent = {"intent_id": "x", "virtual_nodes": [{"description": "x"}]}
    statuses: list[int] = []
    with serving(database, Turns(wait_s=0.2), StreamLimits()) as server:

        def send(number: int) -> None:
            answer = server.ask("POST", "/v1/intents", {**intent, "intent_id": f"i{number}"})
            statuses.append(answer[0])

        threads = [threading.Thread(target=send, args=[n]) for n in range(CONNECTIONS_MAX + 1)]
        with psycopg.connect(database_url) as holder:
            holder.execute("LOCK TABLE write_intent")
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while len(statuses) < CONNECTIONS_MAX and time.monotonic() < deadline:
                time.sleep(0.02)
            # All but the one that has the turn were told to come again.
            assert statuses == [503] * CONNECTIONS_MAX
            status, _ = server.ask("POST", "/v1/nodes/aggregate", EVERYTHING)
            assert status == 200
        for thread in threads:
            thread.join()
    assert statuses[-1] == 200


def test_a_key_that_is_there_twice_is_refused(database: Database):
    body = b'{"version":1,"where":{"media_type":"image"},"where":{"is_virtual":true}}'
    with serving(database, Turns(), StreamLimits()) as server:
        for path in ("query", "aggregate", "explain"):
            status, answer = server.ask("POST", f"/v1/nodes/{path}", body)
            assert (status, answer["problems"]) == (422, ["the key 'where' is there twice"])


def test_very_many_mistakes_are_counted(database: Database):
    inner = {"any": [{"key": []} for _ in range(150)]}
    document = {"version": 1, "where": {"any": [inner for _ in range(150)]}}
    intent = {"intent_id": "x", "virtual_nodes": [{"description": ""}] * 5_000}
    with serving(database, Turns(), StreamLimits()) as server:
        status, answer = server.ask("POST", "/v1/nodes/aggregate", document)
        assert (status, len(answer["problems"])) == (422, 201)
        assert answer["problems"][-1] == f"... and {150 * 150 - 200:,} more"
        status, answer = server.ask("POST", "/v1/intents", intent)
        assert (status, len(answer["problems"])) == (422, 201)


def test_times_of_events_are_no_bare_digits(database: Database):
    event = {"action_id": 0, "action_batch_id": 1, "status": "done", "start_time": "20240301"}
    with serving(database, Turns(), StreamLimits()) as server:
        status, answer = server.ask("POST", "/v1/action-history", event)
    assert (status, answer["problems"]) == (
        422,
        ["body.start_time: write a time as 2024-03-01 or 2024-03-01T12:00:00Z"],
    )
