"""The control API: it owns the HTTP face of one engine, no bulk bytes and no decision."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from base.errors import DrystoneError, UsageError
from base.version import version
from fsd.compile.lost_parts import newest_first
from fsd.documents.models import (
    BatchStatus,
    BatchWriteRequest,
    Capacity,
    ErrorAnswer,
    GetRequest,
    Health,
    JobStatus,
    KnownRequest,
    LossesRequest,
    MaterialiseAnswer,
    MaterialiseRequest,
    Notice,
    ObjectHead,
    RebuildRequest,
    VerifyRequest,
    ViewStatus,
)
from fsd.engine.api_disks import add_disks
from fsd.engine.engine import Engine
from fsd.engine.outbox_room import add_outbox_room
from fsd.engine.purge_api import add_purge
from fsd.engine.stage_output import add_stage_outputs
from fsd.engine.watch_api import add_watch
from fsd.export import materialise
from fsd.format.errors import NotFoundError
from fsd.repair.index_heal import heal_place
from fsd.repair.projection import HIDDEN_PREFIX
from fsd.store import read
from fsd.store.index import BatchRow
from fsd.store.job import timestamp
from fsd.watch import report

REPORT_POLL_S = 0.1
WAIT_POLL_S = 0.02
WAIT_S_MAX = 60.0
NDJSON = "application/x-ndjson"


def make_app(engine: Engine, shut_down: Callable[[], None]) -> FastAPI:
    """Return the application; plain functions run in worker threads, so none blocks the loop."""
    app = FastAPI(title="Drystone store", version=version())

    @app.exception_handler(DrystoneError)
    async def refuse(_request: Request, error: DrystoneError) -> Response:
        status = 404 if isinstance(error, NotFoundError) else 400 if error.exit_code == 2 else 409
        answer = ErrorAnswer(
            error=type(error).__name__, message=_utf8(str(error)), exit_code=error.exit_code
        )
        return JSONResponse(answer.model_dump(), status)

    @app.exception_handler(Exception)
    async def fail(_request: Request, error: Exception) -> Response:
        message = f"the engine failed: {type(error).__name__}: {error}; see its log"
        answer = ErrorAnswer(error="FsdError", message=_utf8(message))
        return JSONResponse(answer.model_dump(), 500)

    _add_reports(app, engine)
    add_disks(app, engine)
    add_watch(app, engine)
    add_purge(app, engine)
    add_stage_outputs(app, engine)
    add_outbox_room(app, engine)
    _add_batches(app, engine)
    _add_objects(app, engine)
    _add_care(app, engine)
    _add_jobs(app, engine)

    @app.post("/v1/shutdown", status_code=202)
    async def shutdown() -> None:
        shut_down()

    return app


def _add_reports(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/health")
    def health() -> Health:
        return report.health(engine)

    @app.get("/v1/capacity")
    def capacity() -> Capacity:
        return report.capacity(engine)

    @app.get("/v1/warnings")
    def warnings() -> list[Notice]:
        return list(report.warnings(engine))


def _add_batches(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/batches")
    def write(request: BatchWriteRequest) -> JobStatus:
        return engine.batch_write(request).status()

    @app.get("/v1/batches")
    def batches() -> list[BatchStatus]:
        engine.store.refuse_unfinished()
        with engine.store.index.read() as reader:
            return [_batch(r) for r in reader.batches() if not r.name.startswith(HIDDEN_PREFIX)]

    @app.get("/v1/batches/{name}")
    def batch(name: str) -> BatchStatus:
        return _batch(_batch_row(engine, name))

    @app.get("/v1/batches/{name}/files")
    def files(name: str) -> StreamingResponse:
        row = _batch_row(engine, name)
        with engine.store.index.read() as reader:
            parts = reader.batch_parts(name)

        def lines() -> Iterator[str]:
            seen: set[str] = set()
            # The newest part wins: a batch that was resumed may name a path twice.
            for listed in newest_first(engine.store, row, parts):
                fresh = [file for file in listed if file.path not in seen]
                seen |= {file.path for file in fresh}
                yield "".join(json.dumps(file._asdict()) + "\n" for file in fresh)

        return StreamingResponse(lines(), media_type=NDJSON)

    @app.post("/v1/stage")
    def stage(request: MaterialiseRequest) -> MaterialiseAnswer:
        return engine.materialise("stage", request)

    @app.post("/v1/exports")
    def export(request: MaterialiseRequest) -> MaterialiseAnswer:
        return engine.materialise("exports", request)

    @app.get("/v1/views")
    def views() -> list[ViewStatus]:
        # As the catalog has them: a damaged index, or one that is behind, might hide some.
        with engine.store.lock:
            rows = sorted(engine.store.shards.state.views.values(), key=lambda row: row.name)
        return [
            ViewStatus(
                name=row.name,
                kind=row.kind,  # pyright: ignore[reportArgumentType]
                view_id=row.view_id,
                layout_id=row.layout_id,
                manifest_key=row.manifest_key,
                created=timestamp(row.created_ns / 1e9),
                files=row.document.get("actual_files", 0),
                size_bytes=row.document.get("actual_bytes", 0),
            )
            for row in rows
        ]

    @app.delete("/v1/views/{kind}/{view_id}/{layout_id:path}", status_code=204)
    def unpublish(kind: str, view_id: str, layout_id: str) -> None:
        materialise.unpublish(engine.store, kind, view_id, layout_id)


def _add_objects(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/objects/{key}")
    def head(key: str) -> ObjectHead:
        return read.head(engine.store, _key(key))

    @app.post("/v1/objects/read")
    def get(request: GetRequest) -> ObjectHead:
        key = _key(request.key)
        read.read_to_file(engine.store, key, request.output_path)
        return read.head(engine.store, key)

    @app.post("/v1/objects/known")
    def known(request: KnownRequest) -> list[str]:
        return read.known(engine.store, request.keys)

    @app.post("/v1/objects/{key}/heal")
    def heal(key: str) -> bool:
        return heal_place(engine.store, _key(key))


def _add_care(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/verify")
    def verify(request: VerifyRequest) -> JobStatus:
        return engine.verify(request).status()

    @app.post("/v1/rebuild")
    def rebuild(request: RebuildRequest) -> JobStatus:
        return engine.rebuild(request).status()

    @app.post("/v1/reindex")
    def reindex() -> JobStatus:
        return engine.reindex().status()

    @app.post("/v1/fsck")
    def fsck() -> JobStatus:
        return engine.fsck().status()

    @app.post("/v1/losses")
    def losses(request: LossesRequest) -> JobStatus:
        return engine.watch.losses(request.without).status()


def _add_jobs(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/jobs")
    def jobs() -> list[JobStatus]:
        return [job.status() for job in engine.jobs.all()]

    @app.get("/v1/jobs/{job_id}")
    async def job(
        job_id: str, wait_s: Annotated[float, Query(ge=0, le=WAIT_S_MAX)] = 0.0
    ) -> JobStatus:
        found = engine.jobs.get(job_id)
        if wait_s:
            await _until(lambda: found.finished.is_set(), wait_s)
        return found.status()

    @app.post("/v1/jobs/{job_id}/cancel")
    def cancel(job_id: str) -> JobStatus:
        found = engine.jobs.get(job_id)
        found.cancel()
        return found.status()

    @app.get("/v1/jobs/{job_id}/report")
    async def job_report(job_id: str) -> StreamingResponse:
        found = engine.jobs.get(job_id)

        async def lines() -> AsyncIterator[bytes]:
            with open(found.report_path, "rb") as file:
                while True:
                    finished = found.finished.is_set()
                    found.flush_report()
                    while data := file.read(1 << 16):
                        yield data
                    if finished:
                        return
                    await asyncio.sleep(REPORT_POLL_S)

        return StreamingResponse(lines(), media_type=NDJSON)


def _utf8(message: str) -> str:
    """Return what an answer can carry: a message may quote a path that is not UTF-8."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


async def _until(done: Callable[[], bool], limit_s: float) -> None:
    waited_s = 0.0
    while not done() and waited_s < limit_s:
        await asyncio.sleep(WAIT_POLL_S)
        waited_s += WAIT_POLL_S


def _batch_row(engine: Engine, name: str) -> BatchRow:
    engine.store.refuse_unfinished()
    with engine.store.index.read() as reader:
        row = reader.batch(name)
    if row is None:
        raise NotFoundError(f"there is no batch {name}; `drystone ls` lists them")
    return row


def _batch(row: BatchRow) -> BatchStatus:
    return BatchStatus(
        batch=row.name,
        class_name=row.class_name,  # pyright: ignore[reportArgumentType]
        created=timestamp(row.created_ns / 1e9),
        sealed=row.sealed,
        files=row.files,
        size_bytes=row.size_bytes,
    )


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32 or len(text) != 64:
        raise UsageError(f"{text!r} is not a key: 64 hex digits are")
    return key
