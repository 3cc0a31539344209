"""Probes: whether the server lives, whether it can serve, and how what it needs answers.

For whoever watches from outside (systemd, Prometheus, Kubernetes). They tell what the pages have
read last, so that asking costs nothing and never hangs: while nobody looks at the pages that is up
to ten intervals of `poll_interval_s` old.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict

from gui.reading.poller import Poller, Reading

NEEDED = {"store": "engine", "late": "database"}
"""What pages cannot serve without; the parts of the poller, and what they are called outside."""
DEPENDENCIES = {**NEEDED, "redis": "redis"}

State = Literal["up", "down", "unknown"]


class Dependency(BaseModel):
    """How one thing answers that the server needs: as of `read_time`, down since `since`."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: State
    read_time: datetime | None
    since: datetime | None = None
    reason: str = ""
    advice: str = ""


def dependencies(poller: Poller) -> list[Dependency]:
    """Return how everything answers that the server needs."""
    return [_dependency(name, poller.reading(part)) for part, name in DEPENDENCIES.items()]


def _dependency(name: str, reading: Reading) -> Dependency:
    state = state_of(reading)
    return Dependency(
        name=name,
        state=state,
        read_time=reading.read_time,
        since=reading.down_since,
        reason=reading.reason,
        advice=reading.advice if state == "down" else "",
    )


def state_of(reading: Reading) -> State:
    """Return whether a part answers; unknown before it was first asked."""
    if reading.down_since is not None:
        return "down"
    return "up" if reading.read_time is not None else "unknown"


def add_probes(app: FastAPI, poller: Poller) -> None:
    """Add `/live` and `/ready`, for everybody: they tell no stranger more than what is down."""

    async def live() -> PlainTextResponse:
        return PlainTextResponse("ok")

    # The second is what it was called before.
    for path in ("/live", "/healthz"):
        app.get(path, include_in_schema=False)(live)

    @app.get("/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        states = {name: state_of(poller.reading(part)) for part, name in NEEDED.items()}
        waits_for = [name for name, state in states.items() if state != "up"]
        return JSONResponse(
            {"ready": not waits_for, "waits_for": waits_for}, 503 if waits_for else 200
        )
