"""What the public port needs goes away and comes back: others are served meanwhile, then all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from gui_harness import PASSWORD, Scene
from store_checks import until
from store_harness import MIB, Store

from fsd.cli.daemons import daemon
from fsd.engine.setup import init_store
from gui.access.people import add_user
from gui.core.server_process import api_process
from jobs import load_jobs_config
from jobs.queues import redis_server
from sql import Database
from sql.core.config import load_config as load_database_config
from sql.database.database import place_of
from sql.server import server
from sql.server import socket as server_socket

ASKED = 6
"""More often than a breaker lets fail."""
_numbers = count()


@pytest.fixture(scope="module")
def alone() -> Iterator[Scene]:
    """The public port without pages, over an engine, a database and Redis of its own."""
    root = tempfile.mkdtemp(prefix="ds-door-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        paths = [os.path.join(root, f"d{number}") for number in range(2)]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
        store = Store(root, config, paths)
        with open(store.config_path, "a", encoding="utf-8") as file:
            file.write('\n[gui]\nenabled = false\nport = 0\nnames = ["test"]\n')
        stack.callback(store.stop)
        store.start()
        place = place_of(load_database_config(store.config_path))
        database = Database.open(store.config_path)
        stack.callback(server_socket.remove, server_socket.choose(place.data, place.run_dir))
        stack.callback(server.stop, place)
        stack.callback(database.close)
        jobs = load_jobs_config(store.config_path)
        stack.callback(redis_server.stop, jobs)
        redis_server.start(jobs)
        for name, role in {"oto": "operator"}.items():
            add_user(database, name, role, PASSWORD)
        made = Scene(store, database)
        stack.callback(api_process(made.config).stop)
        made.address = api_process(made.config).start()[0].address
        yield made


class Operator:
    """Somebody with a token."""

    def __init__(self, alone: Scene) -> None:
        self.scene = alone
        self.token = alone.token("oto", "operator")

    def runs(self) -> int:
        return self.scene.ask("GET", "/api/v1/runs", Authorization=self.token).status

    def storage(self) -> int:
        return self.scene.ask("GET", "/api/v1/storage/health", Authorization=self.token).status

    def start(self) -> int:
        body = {"workflow": "audit", "parameters": {"sample": next(_numbers)}}
        answer = self.scene.ask(
            "POST", "/api/v1/runs", json.dumps(body).encode(), Authorization=self.token,
            Content_Type="application/json",
        )  # fmt: skip
        return answer.status

    def breaker(self, name: str) -> str:
        found = self.scene.ask("GET", "/api/v1/health", Authorization=self.token).document
        return {one["name"]: one["breaker"] for one in found}[name]


@pytest.fixture
def oto(alone: Scene) -> Operator:
    made = Operator(alone)
    assert (made.runs(), made.storage(), made.start()) == (200, 200, 200)
    assert [made.breaker(name) for name in ("engine", "database", "redis")] == ["closed"] * 3
    until(lambda: alone.is_kept(made.token), "the token is kept")
    return made


def check_refused(oto: Operator, path: str) -> None:
    """All are refused with the same word, asked or not, and told when to come again."""
    for _ in range(ASKED):
        answer = oto.scene.ask("GET", path, Authorization=oto.token)
        assert (answer.status, answer.headers["retry-after"]) == (503, "3"), answer.body
        assert answer.document["code"] in ("engine_unavailable", "database_unavailable")


def comes_back(ask: Callable[[], int], oto: Operator, name: str) -> None:
    until(lambda: ask() == 200, f"{name} is asked again")
    until(lambda: oto.breaker(name) == "closed", f"the breaker of {name}")


@pytest.mark.fault
def test_the_engine_goes_away_and_comes_back(oto: Operator):
    daemon.stop_engine(oto.scene.store.config)
    try:
        check_refused(oto, "/api/v1/storage/health")
        assert oto.breaker("engine") in ("open", "half_open")
        assert (oto.runs(), oto.breaker("database")) == (200, "closed")
    finally:
        oto.scene.store.start()
    comes_back(oto.storage, oto, "engine")


@pytest.mark.fault
def test_the_database_goes_away_and_comes_back(oto: Operator):
    place = place_of(load_database_config(oto.scene.store.config_path))
    server.stop(place)
    try:
        check_refused(oto, "/api/v1/runs")
        assert oto.breaker("database") in ("open", "half_open")
        assert (oto.storage(), oto.breaker("engine")) == (200, "closed")
    finally:
        Database.open(oto.scene.store.config_path).close()
    comes_back(oto.runs, oto, "database")


@pytest.mark.fault
def test_redis_goes_away_and_comes_back_and_runs_are_taken_meanwhile(oto: Operator):
    jobs = load_jobs_config(oto.scene.store.config_path)
    redis_server.stop(jobs)
    try:
        assert [oto.start() for _ in range(ASKED)] == [200] * ASKED
        assert oto.breaker("redis") in ("open", "half_open")
    finally:
        redis_server.start(jobs)
    until(lambda: oto.start() == 200 and oto.breaker("redis") == "closed", "Redis is asked again")
