"""How the public port answers while many are connected, and beside a slow reader and a download.

    python -m bench.door [--clients 100] [--idle 1000] [--seconds 15] [--size-mb 1000] [--json]

A store of two folders, an embedded PostgreSQL and the public port without pages, all below
`--folder`. Each client asks once a second, by turns `GET /api/v1/health` and a node. They do so
alone, and beside one that takes 64 KiB a second of a file of so many MB and one that downloads it
again and again, three times by turns; and with `--idle` connections open that asked once. That file
is sparse where it comes from, and is stored twice. Goals: p95 of 100 ms, changed by less than a
fifth by those two, and 20 kB of memory for a connection. Whoever asks is on the same machine, and
its load is told: beside other work the figures say little of the port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import chain
from multiprocessing.sharedctypes import Synchronized
from typing import Any
from urllib.parse import urlsplit

from adapters.ingest.ingest import ingest
from adapters.work.batch_work import Signal
from bench.receive_files import cpu_s, memory_mb
from fsd.cli.daemons import daemon
from fsd.engine.setup import init_store
from gui.access.people import add_user, make_token
from gui.core.config import load_gui_config
from gui.core.server_process import api_process
from sql import Database, companion, parse_selector, scopes_of_role

P95_MS_MAX = 100.0
CHANGE_MAX = 0.2
CONNECTION_BYTES_MAX = 20_000
SLOW_BYTES_PER_S = 64 << 10
PIECE_BYTES = 1 << 20
IDLE_AT_ONCE = 50
ROUNDS = 3
SECONDS_MAX = 60
"""The port closes what asks for nothing for 75 s."""


@dataclass(frozen=True, slots=True)
class Port:
    """The public port, whom it takes for whom, and a node with its content."""

    address: str
    pid: int
    token: str
    key: str

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.address)
        return parts.hostname or "", parts.port or 0

    def head(self, path: str) -> bytes:
        """Return a request."""
        host, port = self.place
        return (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {self.token}\r\n\r\n"
        ).encode("ascii")


class Client:
    """One connection, which asks one thing at a time."""

    def __init__(self, port: Port) -> None:
        self._port = port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(*self._port.place)

    def close(self) -> None:
        """End it."""
        self._writer.close()

    async def ask(self, path: str) -> float:
        """Return how long the answer took, in ms; it has to be 200."""
        began = time.monotonic()
        self._writer.write(self._port.head(path))
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"{path}: {head.decode('latin-1').splitlines()[0]}")
        length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
        await self._reader.readexactly(int(length))
        return (time.monotonic() - began) * 1_000


async def asked_ms(port: Port, clients: int, seconds: int) -> list[float]:
    """Return how long each answer took to so many clients that ask once a second."""
    paths = ("/api/v1/health", f"/api/v1/nodes/{port.key}")
    took_ms: list[float] = []

    async def one(number: int) -> None:
        client = Client(port)
        await client.open()
        try:
            begin_s = time.monotonic() + number / clients
            for turn in range(seconds):
                await asyncio.sleep(max(0.0, begin_s + turn - time.monotonic()))
                took_ms.append(await client.ask(paths[(number + turn) % 2]))
        finally:
            client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(one(number))
    return took_ms


async def idle(port: Port, count: int) -> list[Client]:
    """Open so many connections, each of which asks once."""
    opened = [Client(port) for _ in range(count)]
    for start in range(0, count, IDLE_AT_ONCE):
        some = opened[start : start + IDLE_AT_ONCE]
        await asyncio.gather(*(one.open() for one in some))
        await asyncio.gather(*(one.ask("/live") for one in some))
    return opened


def take(port: Port, rate_bytes_per_s: int, taken: Synchronized[int]) -> None:
    """Read the content again and again, at most so fast (0: as it comes), until it is killed."""
    while True:
        connection = http.client.HTTPConnection(*port.place, timeout=60)
        headers = {"Authorization": f"Bearer {port.token}"}
        connection.request("GET", f"/content/{port.key}", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"/content: {answer.status}")
        while piece := answer.read(rate_bytes_per_s or PIECE_BYTES):
            with taken.get_lock():
                taken.value += len(piece)
            time.sleep(1.0 if rate_bytes_per_s else 0.0)
        connection.close()


@contextlib.contextmanager
def takers(port: Port) -> Generator[Synchronized[int]]:
    """Let a slow reader and a download go on, in processes of their own; yields what that took."""
    spawn = multiprocessing.get_context("spawn")
    slow, fast = spawn.Value("q", 0), spawn.Value("q", 0)
    started = [
        spawn.Process(target=take, args=(port, rate, taken), daemon=True)
        for rate, taken in ((SLOW_BYTES_PER_S, slow), (0, fast))
    ]
    for one in started:
        one.start()
    try:
        while not (slow.value and fast.value):
            if not all(one.is_alive() for one in started):
                raise SystemExit("the content cannot be read")
            time.sleep(0.05)
        yield fast
    finally:
        for one in started:
            one.kill()
            one.join()


async def measure(port: Port, clients: int, count: int, seconds: int) -> dict[str, Any]:
    """Return the figures of one port."""
    await asked_ms(port, clients, 2)  # What is made at the first request, is made.
    alone: list[list[float]] = []
    beside_takers: list[list[float]] = []
    used, rates = 0.0, list[float]()
    for _ in range(ROUNDS):  # By turns: a machine that others use is not the same for long.
        began = cpu_s(port.pid)
        alone.append(await asked_ms(port, clients, seconds))
        used += cpu_s(port.pid) - began
        with takers(port) as taken:
            began, first = time.monotonic(), taken.value
            beside_takers.append(await asked_ms(port, clients, seconds))
            rates.append((taken.value - first) / (time.monotonic() - began) / 1e6)
    before_mb = memory_mb(port.pid, "VmRSS")
    opened = await idle(port, count)
    more_mb = memory_mb(port.pid, "VmRSS") - before_mb
    try:
        beside_idle = await asked_ms(port, clients, seconds)
    finally:
        for one in opened:
            one.close()
    pairs = zip(alone, beside_takers, strict=True)
    changes = sorted(p95(beside) / p95(before) - 1 for before, beside in pairs)
    requests = sum(map(len, alone))
    return {
        "requests": requests,
        "alone_p95_ms": p95([*chain(*alone)]),
        "takers_p95_ms": p95([*chain(*beside_takers)]),
        "idle_p95_ms": p95(beside_idle),
        "takers_change": round(changes[ROUNDS // 2], 2),
        "takers_change_least": round(changes[0], 2),
        "takers_change_most": round(changes[-1], 2),
        "download_mb_per_s": round(sum(rates) / ROUNDS, 1),
        "connection_bytes": round(more_mb * (1 << 20) / count),
        "cpu_ms_per_request": round(used * 1_000 / requests, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def p95(values: list[float]) -> float:
    """Return what 95 of 100 do not exceed."""
    return round(sorted(values)[int(len(values) * 0.95)], 1)


@contextlib.contextmanager
def served(root: str, size_mb: int) -> Generator[Port]:
    """Make the store, with a file of zeros, and serve it."""
    place = os.path.join(root, "store")
    config = init_store(place, [os.path.join(place, f"d{number}") for number in (1, 2)], None,
                        min_free_bytes=1 << 20)  # fmt: skip
    config_path = os.path.join(place, "drystone.toml")
    with open(config_path, "a", encoding="ascii") as file:
        file.write("\n[gui]\nport = 0\nenabled = false\nrequests_per_s = 10000\n")
    gui = load_gui_config(config_path)
    try:
        daemon.start_engine(config, config_path)
        with Database.open(config_path) as database:
            folder = os.path.join(config.area_path("3a"), "bench")
            os.makedirs(folder)
            with open(os.path.join(folder, "zeros.png"), "wb") as file:
                file.write(b"\x89PNG\r\n\x1a\n")
                file.truncate(size_mb << 20)
            ingest(config_path, Signal(folder, "bench", "plain-folder", "bench"), database=database)
            add_user(database, "bench", "operator", os.urandom(12).hex())
            token = make_token(database, "bench", "bench", scopes_of_role("operator")).secret
            nodes = list(database.query_nodes(parse_selector("{version: 1}")))
            key = next(one.key for one in nodes if one.size_bytes == size_mb << 20)
        running, _ = api_process(gui).start()
        yield Port(running.address, running.pid, token, key)
    finally:
        api_process(gui).stop()
        daemon.stop_engine(config)
        companion.stop(config_path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--idle", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=15, help=f"of each part; {SECONDS_MAX} most")
    parser.add_argument("--size-mb", type=int, default=1_000)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not 1 <= given.seconds <= SECONDS_MAX or min(given.clients, given.idle, given.size_mb) < 1:
        parser.error(f"--seconds is 1 to {SECONDS_MAX}, and the others are 1 at least")
    wanted = given.clients + given.idle + 1_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        parser.error(f"so many connections need {wanted:,} open files, and {most:,} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    root = tempfile.mkdtemp(prefix="ds-bench-", dir=given.folder)
    os.chmod(root, 0o755)
    try:
        with served(root, given.size_mb) as port:
            figures = asyncio.run(measure(port, given.clients, given.idle, given.seconds))
    finally:
        shutil.rmtree(root)
    print(
        json.dumps(figures) if given.json else "\n".join(f"{k:<20}{v}" for k, v in figures.items())
    )
    if (
        max(figures["alone_p95_ms"], figures["idle_p95_ms"]) > P95_MS_MAX
        or figures["takers_change"] > CHANGE_MAX
        or figures["connection_bytes"] > CONNECTION_BYTES_MAX
    ):
        raise SystemExit(
            f"the goals are a p95 of {P95_MS_MAX:g} ms, changed by {CHANGE_MAX:.0%} at most, and "
            f"{CONNECTION_BYTES_MAX:,} bytes a connection"
        )


if __name__ == "__main__":
    main()
