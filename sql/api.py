"""The HTTP face of the database: it owns routes, statuses and limits, and no decision.

Documents in, documents out, never bulk bytes. Answers to queries are JSON Lines that stream while
the database finds them. Plain functions run in worker threads, so none blocks the loop.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from sql import select
from sql.api_limits import BodyLimit, TokenGate
from sql.api_models import ErrorAnswer, HistoryAnswer, HistoryChange, HistoryRequest, NodeAnswer
from sql.database import Database
from sql.errors import DatabaseUnavailableError, NotFoundError, SqlError, UsageError
from sql.health import Health
from sql.history import PipelineState
from sql.intent import IntentResult, WriteIntent
from sql.select import Aggregate, Explanation, NodeRow
from sql.selector import Selector
from sql.selector_document import problem_lines

NDJSON = "application/x-ndjson"
VERSION = "1"
LINES_PER_CHUNK = 1_000

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": what}
    for status, what in {
        400: "Refused; the message says what to do",
        401: "Over TCP without the token",
        404: "No such batch or event",
        409: "The database cannot do it now",
        413: "The document is too large",
        422: "The document is wrong; `problems` has a line for each mistake",
        503: "The database does not answer",
    }.items()
}
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON Lines, one node each; an ErrorAnswer as last line when it fails late",
        "content": {NDJSON: {"schema": NodeAnswer.model_json_schema()}},
    }
}
EventId = Annotated[int, Path(ge=0, le=2**63 - 1)]


def make_app(database: Database, token: str | None = None) -> FastAPI:
    """Return the application; with a token, every request has to bear it."""
    app = FastAPI(title="Drystone database", version=VERSION, responses=_REFUSALS)
    _add_errors(app)
    _add_documents(app, database)
    _add_actions(app, database)
    app.add_middleware(BodyLimit)
    if token is not None:
        app.add_middleware(TokenGate, token=token)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(SqlError)
    async def refuse(_request: Request, error: SqlError) -> Response:
        status = 400 if isinstance(error, UsageError) else 409
        if isinstance(error, NotFoundError):
            status = 404
        elif isinstance(error, DatabaseUnavailableError):
            status = 503
        return _refusal(status, error_answer(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_document(request: Request, error: RequestValidationError) -> Response:
        model = Selector if "/nodes/" in request.url.path else None
        problems = problem_lines(error.errors(), ("body",), model)
        message = "the request is refused, nothing was done"
        return _refusal(422, ErrorAnswer(error="UsageError", message=message, problems=problems))

    @app.exception_handler(HTTPException)
    async def refuse_request(_request: Request, error: HTTPException) -> Response:
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


def _add_documents(app: FastAPI, database: Database) -> None:
    @app.get("/v1/health")
    def health() -> Health:
        return database.health()

    @app.post("/v1/intents")
    def apply_write_intent(intent: WriteIntent) -> IntentResult:
        return database.apply_intent(intent)

    @app.post("/v1/nodes/query", responses=_ROWS, response_class=StreamingResponse)
    def query_nodes(
        selector: Selector,
        described: Annotated[bool, Query(description="Add the descriptions")] = False,
    ) -> StreamingResponse:
        rows = _rows(database, selector, described)
        # The first rows before the answer begins: what is refused gets its status.
        first = list(islice(rows, LINES_PER_CHUNK))
        return StreamingResponse(_lines(first, rows), media_type=NDJSON)

    @app.post("/v1/nodes/aggregate")
    def aggregate(selector: Selector) -> Aggregate:
        return database.aggregate(selector)

    @app.post("/v1/nodes/explain")
    def explain(selector: Selector) -> Explanation:
        return database.explain(selector)


def _add_actions(app: FastAPI, database: Database) -> None:
    @app.get("/v1/action-batches/{action_batch_id}/pipeline-state")
    def get_pipeline_state(action_batch_id: EventId) -> PipelineState:
        return database.pipeline_state(action_batch_id)

    @app.post("/v1/action-history")
    def record_action_history(request: HistoryRequest) -> HistoryAnswer:
        event_id = database.record_action_history(
            request.action_id,
            request.action_batch_id,
            request.status,
            request.start_time,
            request.end_time,
        )
        return HistoryAnswer(event_id=event_id)

    @app.post("/v1/action-history/{event_id}")
    def change_action_history(event_id: EventId, change: HistoryChange) -> HistoryAnswer:
        database.change_action_history(event_id, change.status, change.start_time, change.end_time)
        return HistoryAnswer(event_id=event_id)


def error_answer(error: SqlError) -> ErrorAnswer:
    """Return an error as the document that is answered."""
    problems: list[str] = list(getattr(error, "problems", []))
    return ErrorAnswer(error=type(error).__name__, message=str(error), problems=problems)


def _refusal(status: int, answer: ErrorAnswer, headers: Any = None) -> Response:
    # In ASCII: a message may quote text that UTF-8 cannot carry.
    body = json.dumps(answer.model_dump())
    return Response(body, status, headers, media_type="application/json")


def _rows(database: Database, selector: Selector, described: bool) -> Iterator[NodeRow]:
    with database.reading() as connection:
        yield from select.query_nodes(connection, selector, described=described)


async def _lines(first: Sequence[NodeRow], rows: Iterator[NodeRow]) -> AsyncIterator[str]:
    """Send rows as lines; whatever ends this, the connection goes back to the others."""
    chunk: Sequence[NodeRow] = first
    try:
        while chunk:
            yield "".join(json.dumps(row._asdict()) + "\n" for row in chunk)
            chunk = await to_thread.run_sync(lambda: list(islice(rows, LINES_PER_CHUNK)))
    except SqlError as error:
        yield json.dumps(error_answer(error).model_dump()) + "\n"
    finally:
        close = getattr(rows, "close", None)
        if close is not None:
            close()
