"""The figures of all processes for Prometheus: requests as counted here, the rest as it is known.

What the store knows comes from the engine, what runs do from the database; a part that does not
answer is left out, and `drystone_part_up` says so. Counts of requests begin with this process.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response

from base.errors import DrystoneError
from base.metrics import CONTENT_TYPE, Metric, counters, gauges, histograms, render
from base.operations.operation import Caller, NoRequest
from gui.access.needs import VIEWER, needing
from gui.door.bodies import App, Message, Receive, Scope, Send
from gui.reading.connections import Connections
from jobs import run_metrics

LATENCIES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PAGES_ROUTE = "pages"
NO_ROUTE = "none"


def route_of(scope: Scope) -> str:
    """Return the name of a route (operations), never an address: of those there is no end."""
    route = getattr(scope.get("route"), "name", None)
    if route is not None:
        return route
    return NO_ROUTE if scope["path"].startswith("/api/") else PAGES_ROUTE


class RequestCounts:
    """ASGI middleware that counts requests and websockets; one event loop's alone."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._open = {"http": 0, "websocket": 0}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._latencies: dict[str, tuple[list[int], float]] = {}

    def over(self, app: App) -> App:
        """Return the application, counted."""
        self._app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        assert self._app is not None
        kind = scope["type"]
        if kind not in self._open:
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), "none"

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        self._open[kind] += 1
        try:
            await self._app(scope, receive, answer)
        finally:
            self._open[kind] -= 1
            if kind == "http":
                self._count(scope, status, time.monotonic() - began)

    def _count(self, scope: Scope, status: str, took_s: float) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        key = (method, route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets, total_s = self._latencies.get(route, ([0] * (len(LATENCIES_S) + 1), 0.0))
        buckets[bisect_left(LATENCIES_S, took_s)] += 1
        self._latencies[route] = (buckets, total_s + took_s)

    def families(self) -> list[Metric]:
        """Return the figures."""
        requests = counters("requests", "Requests answered.", "method", "route", "status")
        for key, count in self._counts.items():
            requests.add_metric(key, count)
        took = histograms("request_seconds", "From a request's head to its answer's end.", "route")
        for route, (buckets, total_s) in self._latencies.items():
            bounds = [*map(str, LATENCIES_S), "+Inf"]
            sums = [sum(buckets[: number + 1]) for number in range(len(buckets))]
            took.add_metric([route], list(zip(bounds, sums, strict=True)), total_s)
        going = gauges("requests_open", "Requests and websockets that go on.", "kind")
        for kind, count in self._open.items():
            going.add_metric([kind], count)
        return [requests, took, going]


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def add_metrics(app: FastAPI, connections: Connections, counts: RequestCounts) -> None:
    """Add `/metrics`, for viewers: a token with the scope `read`."""

    @app.get("/metrics", include_in_schema=False, dependencies=needing(VIEWER))
    async def metrics() -> Response:
        ups = gauges("part_up", "1 where a part answers.", "part")
        families = counts.families()
        runs = await _of(connections, lambda: run_metrics(connections.database()))
        look, caller = connections.operation("storage.metrics"), Caller("metrics", "viewer")
        ask = lambda: look(connections.store, caller, NoRequest())  # noqa: E731
        store = await _of(connections, ask)
        ups.add_metric(["database"], runs is not None)
        ups.add_metric(["engine"], store is not None)
        ours = render([*families, *(runs or ()), ups])
        text = ours + (store.metrics.encode() if store is not None else b"")
        return Response(text, headers={"Content-Type": CONTENT_TYPE})


async def _of(connections: Connections, ask: Callable[[], Any]) -> Any:
    try:
        return await connections.work(ask)
    except DrystoneError:
        return None
