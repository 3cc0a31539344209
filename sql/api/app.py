"""The HTTP face of the database: it owns routes, statuses and limits, and no decision.

Documents in, documents out, never bulk bytes. Answers to queries are JSON Lines that stream while
the database finds them. Selectors and intents are parsed, like all that may take long, in worker
threads, each when its kind has its turn, so that nothing blocks the loop.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from itertools import islice
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from base.errors import DrystoneError, UsageError
from sql.actions.history import PipelineState
from sql.actions.pipeline_book import PipelineBatches
from sql.api.limits import BODY_SIZE_BYTES_MAX, BodyLimit, TokenGate
from sql.api.models import ErrorAnswer, HistoryAnswer, HistoryChange, HistoryRequest, NodeAnswer
from sql.api.schema import body_of, describe_bodies
from sql.api.stream import LINES_PER_CHUNK, NDJSON, RowStream, StreamLimits, error_answer
from sql.api.turns import Turns
from sql.core.errors import (
    DatabaseUnavailableError,
    IntentError,
    NotFoundError,
    SelectorError,
)
from sql.core.health import Health
from sql.database.database import Database
from sql.intent.intent import IntentResult, WriteIntent, load_intent
from sql.selector import select
from sql.selector.document import DOCUMENT_SIZE_BYTES_MAX, capped, parse_selector, problem_lines
from sql.selector.select import Aggregate, Explanation, NodeRow
from sql.selector.selector import Selector

VERSION = "1"
BODY_LIMITS_BYTES = {"/v1/intents": BODY_SIZE_BYTES_MAX, "/v1/nodes/": DOCUMENT_SIZE_BYTES_MAX}
IDLE_LIMIT_S = 120.0
"""Longer than a reader may take for a piece: the server's own cut, should ours not come."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": what}
    for status, what in {
        400: "Refused; the message says what to do",
        401: "Over TCP without the token",
        404: "No such batch or event",
        409: "The database cannot do it now",
        413: "The document is too large",
        422: "The document is wrong; `problems` has a line for each mistake",
        503: "The database does not answer, or is busy: try again",
    }.items()
}
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON Lines, one node each; an ErrorAnswer as last line when it fails late",
        "content": {NDJSON: {"schema": NodeAnswer.model_json_schema()}},
    }
}
EventId = Annotated[int, Path(ge=0, le=2**63 - 1)]


class _WrongDocumentError(Exception):
    """A body that is no document of its kind; `cause` lists why."""

    def __init__(self, cause: DrystoneError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def make_app(
    database: Database,
    token: str | None = None,
    turns: Turns | None = None,
    limits: StreamLimits | None = None,
) -> FastAPI:
    """Return the application; with a token, every request has to bear it.

    Applications on one database share its turns.
    """
    turns = turns or Turns()
    app = FastAPI(title="Drystone database", version=VERSION, responses=_REFUSALS)
    _add_errors(app)
    _add_documents(app, database, turns)
    _add_selectors(app, database, turns, limits or StreamLimits())
    _add_actions(app, database, turns)
    describe_bodies(app, (Selector, WriteIntent))
    app.add_middleware(BodyLimit, limits_bytes=BODY_LIMITS_BYTES)
    if token is not None:
        app.add_middleware(TokenGate, token=token)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(DrystoneError)
    async def refuse(_request: Request, error: DrystoneError) -> Response:
        status = 400 if isinstance(error, UsageError) else 409
        if isinstance(error, NotFoundError):
            status = 404
        elif isinstance(error, DatabaseUnavailableError):
            status = 503
        return _refusal(status, error_answer(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_request(_request: Request, error: RequestValidationError) -> Response:
        problems = problem_lines(error.errors(), ("body",), None)
        message = "the request is refused, nothing was done"
        return _refusal(422, ErrorAnswer(error="UsageError", message=message, problems=problems))

    @app.exception_handler(_WrongDocumentError)
    async def refuse_document(_request: Request, error: _WrongDocumentError) -> Response:
        return _refusal(422, error_answer(error.cause))

    @app.exception_handler(HTTPException)
    async def refuse_by_status(_request: Request, error: HTTPException) -> Response:
        return _refusal(
            error.status_code,
            ErrorAnswer(error="UsageError", message=str(error.detail)),
            error.headers,
        )

    @app.exception_handler(Exception)
    async def fail(_request: Request, error: Exception) -> Response:
        # The message of an unexpected error may carry anything; the log has it.
        message = f"the database's API failed ({type(error).__name__}); see its log"
        return _refusal(500, ErrorAnswer(error="SqlError", message=message))


def _add_documents(app: FastAPI, database: Database, turns: Turns) -> None:
    @app.get("/v1/health")
    async def health() -> Health:
        return await turns.health.run(database.health)

    @app.post("/v1/intents", openapi_extra=body_of(WriteIntent))
    async def apply_write_intent(request: Request) -> IntentResult:
        body = await request.body()
        return await turns.intents.run(lambda: database.apply_intent(_intent(body)))


def _add_selectors(app: FastAPI, database: Database, turns: Turns, limits: StreamLimits) -> None:
    extra = body_of(Selector)

    @app.post("/v1/nodes/query", responses=_ROWS, response_class=Response, openapi_extra=extra)
    async def query_nodes(
        request: Request,
        described: Annotated[bool, Query(description="Add the descriptions")] = False,
    ) -> Response:
        body = await request.body()
        await turns.queries.take()
        try:
            # The first rows before the answer begins: what is refused gets its status.
            first, rows = await to_thread.run_sync(lambda: _begin(database, body, described))
        except BaseException:
            turns.queries.give_back()
            raise
        return RowStream(first, rows, limits, turns.queries.give_back)

    @app.post("/v1/nodes/aggregate", openapi_extra=extra)
    async def aggregate(request: Request) -> Aggregate:
        body = await request.body()
        return await turns.queries.run(lambda: database.aggregate(_selector(body)))

    @app.post("/v1/nodes/explain", openapi_extra=extra)
    async def explain(request: Request) -> Explanation:
        body = await request.body()
        return await turns.queries.run(lambda: database.explain(_selector(body)))


def _add_actions(app: FastAPI, database: Database, turns: Turns) -> None:
    @app.get("/v1/action-batches/{action_batch_id}/pipeline-state")
    async def get_pipeline_state(action_batch_id: EventId) -> PipelineState:
        return await turns.actions.run(lambda: database.pipeline_state(action_batch_id))

    @app.get("/v1/pipelines/{pipeline}/state")
    async def get_pipeline_batches(pipeline: str) -> PipelineBatches:
        return await turns.actions.run(lambda: database.pipelines.state(pipeline))

    @app.put("/v1/pipelines/{pipeline}/batches/{action_batch_id}")
    async def enrol_batch(pipeline: str, action_batch_id: EventId) -> PipelineState:
        await turns.actions.run(lambda: database.pipelines.enrol(pipeline, [action_batch_id]))
        return await get_pipeline_state(action_batch_id)

    @app.delete("/v1/pipelines/{pipeline}/batches/{action_batch_id}")
    async def withdraw_batch(pipeline: str, action_batch_id: EventId) -> PipelineState:
        await turns.actions.run(lambda: database.pipelines.withdraw(pipeline, [action_batch_id]))
        return await get_pipeline_state(action_batch_id)

    @app.post("/v1/action-history")
    async def record_action_history(asked: HistoryRequest) -> HistoryAnswer:
        times = (asked.start_time, asked.end_time)
        event_id = await turns.actions.run(
            lambda: database.record_action_history(
                asked.action_id, asked.action_batch_id, asked.status, *times
            )
        )
        return HistoryAnswer(event_id=event_id)

    @app.post("/v1/action-history/{event_id}")
    async def change_action_history(event_id: EventId, change: HistoryChange) -> HistoryAnswer:
        times = (change.start_time, change.end_time)
        await turns.actions.run(
            lambda: database.change_action_history(event_id, change.status, *times)
        )
        return HistoryAnswer(event_id=event_id)


def _intent(body: bytes) -> WriteIntent:
    try:
        return load_intent(body)
    except IntentError as error:
        raise _WrongDocumentError(IntentError(capped(error.problems))) from error


def _selector(body: bytes) -> Selector:
    try:
        return parse_selector(body)
    except SelectorError as error:
        raise _WrongDocumentError(error) from error


def _begin(
    database: Database, body: bytes, described: bool
) -> tuple[list[NodeRow], Generator[NodeRow]]:
    rows = _rows(database, _selector(body), described)
    return list(islice(rows, LINES_PER_CHUNK)), rows


def _rows(database: Database, selector: Selector, described: bool) -> Generator[NodeRow]:
    with database.reading(IDLE_LIMIT_S) as connection:
        yield from select.query_nodes(connection, selector, described=described)


def _refusal(status: int, answer: ErrorAnswer, headers: Any = None) -> Response:
    # In ASCII: a message may quote text that UTF-8 cannot carry.
    body = json.dumps(answer.model_dump())
    return Response(body, status, headers, media_type="application/json")
