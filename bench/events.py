"""How fast a webhook is told of events, and how soon after the commit.

    python -m bench.events [--events 4000] [--latency-events 300] [--json]

A database of its own (our embedded server, our settings), a receiver in a process of its own on
this machine that keeps one connection and answers 204, and the deliverer as the scheduler runs it:
it looks once a second.

backlog the events are there; how many messages of one event a second arrive, and the time of a
        processor that the deliverer takes for each. Goal: 200 a second.
latency an event every 20 ms, each committed by itself: from after its commit to its arrival.
        Goal: p95 of 2 s.
"""

from __future__ import annotations

import argparse
import http.server
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import threading
import time
from multiprocessing.connection import Connection

from jobs.core.alert_config import AlertsConfig
from jobs.core.config import WebhooksConfig
from jobs.notify.deliver import Deliverer
from jobs.scheduler.alert_tasks import TELL_EVERY_S
from sql import Database, NewWebhook
from sql.events.event_book import add_event
from sql.server import server

RATE_GOAL_PER_S = 200.0
LATENCY_GOAL_S = 2.0
PAUSE_S = 0.02


class _Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arrived: list[tuple[str, float]] = []  # noqa: RUF012 One list for all connections.

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.arrived.append((document["subject"], time.time()))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:
        pass


def _receive(pipe: Connection) -> None:
    """Serve until told to end; each word that is sent is answered with what arrived since."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        pipe.send(served.server_address[1])
        while pipe.recv():
            found = list(_Receiver.arrived)
            _Receiver.arrived.clear()
            pipe.send(found)
        served.shutdown()


class _Told:
    """A webhook of a database, and what arrived at it."""

    def __init__(self, database: Database, pipe: Connection) -> None:
        self.database, self._pipe = database, pipe
        self.deliverer = Deliverer(
            AlertsConfig(),
            database,
            "00" * 16,
            WebhooksConfig.model_validate({"allowed_networks": ["127.0.0.0/8"]}),
        )
        self.arrived: dict[str, float] = {}

    def look(self) -> None:
        self._pipe.send(True)
        for subject, moment in self._pipe.recv():
            self.arrived.setdefault(subject, moment)

    def until(self, count: int) -> None:
        while len(self.arrived) < count:
            self.deliverer.tick()
            time.sleep(TELL_EVERY_S)
            self.look()


def _backlog(told: _Told, count: int) -> dict[str, float]:
    with told.database.connection() as connection:
        for number in range(count):
            add_event(connection, "processing.failed", f"run {number}", {"reason": "of a bench"})
    begun_s = time.process_time()
    told.deliverer.tick()
    told.until(count)
    cpu_s = time.process_time() - begun_s
    moments = sorted(told.arrived.values())
    duration_s = moments[-1] - moments[0]
    rate = (count - 1) / duration_s
    return {"backlog_events": count, "posts_per_s": rate, "cpu_ms_per_post": 1_000 * cpu_s / count}


def _latency(told: _Told, count: int) -> dict[str, float]:
    told.arrived.clear()
    committed: dict[str, float] = {}

    def write() -> None:
        for number in range(count):
            subject = f"late {number}"
            told.database.events.add("processing.failed", subject, {"reason": "of a bench"})
            committed[subject] = time.time()
            time.sleep(PAUSE_S)

    writer = threading.Thread(target=write)
    writer.start()
    told.until(count)
    writer.join()
    waited_s = sorted(told.arrived[name] - moment for name, moment in committed.items())
    p95_s = waited_s[int(0.95 * len(waited_s))]
    return {"latency_p50_s": statistics.median(waited_s), "latency_p95_s": p95_s}


def measure(
    database: Database, pipe: Connection, backlog: int, latency_events: int
) -> dict[str, float]:
    """Return the figures."""
    new = NewWebhook(
        name="bench", user_id=None, url=f"http://127.0.0.1:{pipe.recv()}/", types=(),
        selector=None, authentication="none", credential="", authorities="", batch_max=1,
        signing="whsec_YmVuY2g=", after=None,
    )  # fmt: skip
    database.webhooks.add(new)
    told = _Told(database, pipe)
    return _backlog(told, backlog) | _latency(told, latency_events)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--latency-events", type=int, default=300)
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("fork").Process(target=_receive, args=[there])
    receiver.start()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        os.chmod(folder, 0o755)  # as root the server runs as another user
        place = server.Place(os.path.join(folder, "data"), os.path.join(folder, "run"))
        server.start(place)
        try:
            with Database.connect(server.dsn(place)) as database:
                figures = measure(database, here, given.events, given.latency_events)
        finally:
            server.stop(place)
    here.send(False)
    receiver.join()
    if given.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:28}{value:>14.2f}" for name, value in figures.items()))
    if figures["posts_per_s"] < RATE_GOAL_PER_S or figures["latency_p95_s"] > LATENCY_GOAL_S:
        raise SystemExit("a goal is missed")


if __name__ == "__main__":
    main()
