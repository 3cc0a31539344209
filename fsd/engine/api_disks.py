"""The disks' part of the control API: it owns those routes, no decision."""

from fastapi import FastAPI

from fsd.disks.disks import Disk
from fsd.documents.models import (
    CalibrateRequest,
    DiskAddRequest,
    DiskStatus,
    JobStatus,
    RebalancePlan,
    RemovalAnswer,
    ReplaceRequest,
    RetireRequest,
)
from fsd.engine import drain, rebalance
from fsd.engine.engine import Engine
from fsd.replicas.departure import may_be_removed
from fsd.watch import report


def add_disks(app: FastAPI, engine: Engine) -> None:
    """Add the routes below `/v1/disks`."""

    @app.get("/v1/disks")
    def disks() -> list[DiskStatus]:
        return list(report.disk_statuses(engine))

    @app.post("/v1/disks")
    def add_disk(request: DiskAddRequest) -> DiskStatus:
        return _status(engine, engine.add_disk(request.path, request.name))

    @app.post("/v1/disks/{name}/drain")
    def begin_drain(name: str) -> JobStatus:
        return drain.drain(engine, name).status()

    @app.post("/v1/disks/{name}/undrain")
    def undrain(name: str) -> DiskStatus:
        return _status(engine, drain.undrain(engine, name))

    @app.post("/v1/calibrate")
    def calibrate(request: CalibrateRequest) -> JobStatus:
        return engine.watch.calibrate_now(request.disk, accept=request.accept).status()

    @app.get("/v1/rebalance")
    def rebalance_plan() -> RebalancePlan:
        return rebalance.plan(engine.store)

    @app.post("/v1/rebalance")
    def begin_rebalance() -> JobStatus:
        return rebalance.rebalance(engine).status()

    @app.get("/v1/disks/{name}/removal")
    def removal(name: str) -> RemovalAnswer:
        disk = engine.store.disks.by_name(name)
        # A shard that nobody writes any more counts as what it is: whole, with its copies.
        engine.shard_writer.seal_idle()
        return may_be_removed(engine.store, disk)

    @app.post("/v1/disks/{name}/retire")
    def retire(name: str, request: RetireRequest) -> DiskStatus:
        found = drain.retire(
            engine, name, force=request.force, lost_shards_max=request.lost_shards_max
        )
        return _status(engine, found)

    @app.post("/v1/disks/{name}/replace")
    def replace(name: str, request: ReplaceRequest) -> JobStatus:
        return drain.replace(engine, name, request.path, request.name).status()


def _status(engine: Engine, disk: Disk) -> DiskStatus:
    return next(s for s in report.disk_statuses(engine) if s.disk_id == disk.disk_id)
