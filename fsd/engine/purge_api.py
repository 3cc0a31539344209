"""The control API of purge, pins and compaction: it owns their paths, no decision."""

from fastapi import FastAPI

from fsd.compile import references
from fsd.delete import compact, purge
from fsd.documents.models import JobStatus
from fsd.documents.purge_models import (
    CompactPlan,
    CompactRequest,
    PinRequest,
    PinStatus,
    PurgeRequest,
)
from fsd.engine.engine import Engine
from fsd.format.catalog import Pin
from fsd.store.job import timestamp


def add_purge(app: FastAPI, engine: Engine) -> None:
    """Add the routes to the application."""

    @app.post("/v1/purge")
    def begin_purge(request: PurgeRequest) -> JobStatus:
        return purge.purge(engine, request).status()

    @app.get("/v1/compact")
    def compact_plan(dead_share: float | None = None) -> CompactPlan:
        return compact.plan(engine, dead_share)

    @app.post("/v1/compact")
    def begin_compact(request: CompactRequest) -> JobStatus:
        return compact.compact(engine, request.dead_share).status()

    @app.get("/v1/pins")
    def pins() -> list[PinStatus]:
        with engine.store.lock:
            known = sorted(engine.store.shards.state.pins.values(), key=lambda pin: pin.name)
        return [_status(pin) for pin in known]

    @app.post("/v1/pins")
    def pin(request: PinRequest) -> PinStatus:
        arguments = (engine.store, engine.references, request.name, request.manifest)
        return _status(references.pin_manifest(*arguments))

    @app.delete("/v1/pins/{name}", status_code=204)
    def unpin(name: str) -> None:
        references.unpin(engine.store, name)


def _status(pin: Pin) -> PinStatus:
    return PinStatus(
        name=pin.name, manifest=pin.manifest_key, created=timestamp(pin.created_ns / 1e9)
    )
