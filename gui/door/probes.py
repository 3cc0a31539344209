"""Probes: whether the server lives, whether it can serve, and how what it needs answers.

For whoever watches from outside (systemd, Prometheus, Kubernetes). What they tell is at most
`AGE_S` old, and they answer within `TIMEOUT_S`: what is slower than that does not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict

from base.network.breaker import Breaker, BreakerState
from base.network.http import connection
from gui.access.needs import VIEWER, needing
from gui.core.config import GuiConfig
from gui.core.errors import ServerStartError
from gui.reading.connections import Connections
from gui.reading.polled import polled_parts
from gui.reading.poller import Part, Poller, Reading

PROBES = frozenset({"/live", "/healthz", "/ready", "/health", "/metrics"})
"""The paths outside of the API that this process answers."""
NEEDED = {"store": "engine", "late": "database"}
"""What cannot be done without; the parts of the poller, and what they are called outside."""
DEPENDENCIES = {**NEEDED, "redis": "redis", "pages": "pages"}
AGE_S = 1.0
TIMEOUT_S = 2.0

State = Literal["up", "down", "off"]


class Dependency(BaseModel):
    """How one thing answers that the server needs: as of `read_time`, down since `since`."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: State
    latency_s: float | None
    read_time: datetime | None
    since: datetime | None = None
    reason: str = ""
    advice: str = ""
    breaker: BreakerState | None = None
    """Whether others are let through to it; None where all always are."""


def watched(connections: Connections) -> Poller:
    """Return what reads the parts of a store when somebody asks; it is never started."""
    config = connections.config
    parts = polled_parts(connections.store, connections.database, config.config_path)
    pages = Part("pages", "The pages", lambda: _ask_pages(config), advice="Run: drystone up")
    return Poller((*parts, pages), config.poll_interval_s)


def _ask_pages(config: GuiConfig) -> bool:
    if not config.enabled:
        return False
    try:
        with contextlib.closing(connection(config.pages_path, TIMEOUT_S)) as asked:
            asked.request("GET", "/live", headers={"Host": "localhost"})
            status = asked.getresponse().status
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ServerStartError(f"the pages do not answer: {reason}") from error
    if status != 200:
        raise ServerStartError(f"the pages answer {status}")
    return True


async def dependencies(poller: Poller, breakers: Mapping[str, Breaker]) -> list[Dependency]:
    """Return how everything answers that the server needs."""
    late = await poller.fresh(DEPENDENCIES, AGE_S, TIMEOUT_S)
    return [
        _dependency(name, poller.reading(part), breakers.get(name), is_late=part in late)
        for part, name in DEPENDENCIES.items()
    ]


def _dependency(
    name: str, reading: Reading, breaker: Breaker | None, *, is_late: bool
) -> Dependency:
    is_down = is_late or reading.down_since is not None
    is_off = not is_down and reading.value is False
    reason = reading.reason or f"no answer within {TIMEOUT_S:.0f} s"
    return Dependency(
        name=name,
        state="down" if is_down else "off" if is_off else "up",
        latency_s=None if is_late or reading.took_s is None else round(reading.took_s, 4),
        read_time=reading.read_time,
        since=reading.down_since,
        reason=reason if is_down else "",
        advice=reading.advice if is_down else "",
        breaker=breaker.state if breaker else None,
    )


def add_probes(app: FastAPI, poller: Poller, breakers: Mapping[str, Breaker]) -> None:
    """Add `/live` and `/ready`, for everybody: they tell no stranger more than what is down."""

    async def live() -> PlainTextResponse:
        return PlainTextResponse("ok")

    # The second is what it was called before.
    for path in ("/live", "/healthz"):
        app.get(path, include_in_schema=False)(live)

    @app.get("/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        found = await dependencies(poller, breakers)
        down = {one.name: one for one in found if one.state == "down"}
        waits_for = [name for name in NEEDED.values() if name in down]
        reasons = {name: down[name].advice for name in waits_for}
        body = {"ready": not waits_for, "waits_for": waits_for, "reasons": reasons}
        headers = {"retry-after": "3"} if waits_for else None
        return JSONResponse(body, 503 if waits_for else 200, headers)

    async def health() -> list[Dependency]:
        """Return how everything answers that the server needs, and how long it took to."""
        return await dependencies(poller, breakers)

    asks = needing(VIEWER)
    app.get("/health", include_in_schema=False, dependencies=asks)(health)
    app.get("/api/v1/health", tags=["overview"], dependencies=asks)(health)
