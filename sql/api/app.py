"""The routes of programs that ask the database: they own statuses and limits, and no decision.

Documents in, documents out, never bulk bytes. Answers to queries are JSON Lines that stream while
the database finds them. Selectors and intents are parsed, like all that may take long, in worker
threads, each when its kind has its turn, so that nothing blocks the loop. Who may ask is decided by
the public port, which has these routes below /api/v1/database.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from itertools import islice
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute

from base.errors import DrystoneError
from base.operations.routes import problem_answers, problem_of
from sql.actions.history import PipelineState
from sql.actions.pipeline_book import PipelineBatches
from sql.api.models import HistoryAnswer, HistoryChange, HistoryRequest, NodeAnswer
from sql.api.schema import body_of
from sql.api.stream import LINES_PER_CHUNK, NDJSON, RowStream, StreamLimits
from sql.api.turns import Turns
from sql.core.errors import IntentError, SelectorError
from sql.core.health import Health
from sql.database.database import Database
from sql.intent.intent import IntentResult, WriteIntent, load_intent
from sql.selector import select
from sql.selector.document import DOCUMENT_SIZE_BYTES_MAX, capped, parse_selector
from sql.selector.select import Aggregate, Explanation, NodeRow
from sql.selector.selector import Selector

INTENT_SIZE_BYTES_MAX = 128 << 20
"""An intent of 20,000 items of a few KB each."""
BODY_LIMITS_BYTES = {"/intents": INTENT_SIZE_BYTES_MAX, "/nodes/": DOCUMENT_SIZE_BYTES_MAX}
"""What bodies may have, by the beginnings of paths."""
IDLE_LIMIT_S = 120.0
"""Longer than a reader may take for a piece: the server's own cut, should ours not come."""

_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": 'JSON Lines, one node each; `{"problem": ...}` as last when it fails late',
        "content": {NDJSON: {"schema": NodeAnswer.model_json_schema()}},
    }
}
EventId = Annotated[int, Path(ge=0, le=2**63 - 1)]


class _WrongDocumentError(Exception):
    """A body that is no document of its kind; `cause` lists why."""

    def __init__(self, cause: DrystoneError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Route(APIRoute):
    """Answers a body that is no document of its kind with every mistake in it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        plain = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await plain(request)
            except _WrongDocumentError as wrong:
                error = wrong.cause
                problems: list[str] = list(getattr(error, "problems", ()))
                return problem_of(422, type(error).__name__, str(error), problems)

        return answer


Open = Callable[[], Database]
"""Opens the database, or says why not; blocks."""


def database_routes(
    database: Open,
    turns: Turns | None = None,
    limits: StreamLimits | None = None,
    prefix: str = "",
    dependencies: Sequence[Any] = (),
) -> APIRouter:
    """Return the routes over a database that is opened when somebody asks.

    Whoever serves them says by `dependencies` who may ask.
    """
    turns = turns or Turns()
    router = APIRouter(
        prefix=prefix,
        dependencies=dependencies,
        tags=["database"],
        responses=problem_answers(),
        route_class=_Route,
    )
    _add_documents(router, database, turns)
    _add_selectors(router, database, turns, limits or StreamLimits())
    _add_actions(router, database, turns)
    return router


def _add_documents(router: APIRouter, database: Open, turns: Turns) -> None:
    @router.get("/health")
    async def health() -> Health:
        return await turns.health.run(lambda: database().health())

    @router.post("/intents", openapi_extra=body_of(WriteIntent))
    async def apply_write_intent(request: Request) -> IntentResult:
        body = await request.body()
        return await turns.intents.run(lambda: database().apply_intent(_intent(body)))


def _add_selectors(router: APIRouter, database: Open, turns: Turns, limits: StreamLimits) -> None:
    extra = body_of(Selector)

    @router.post("/nodes/query", responses=_ROWS, response_class=Response, openapi_extra=extra)
    async def query_nodes(
        request: Request,
        described: Annotated[bool, Query(description="Add the descriptions")] = False,
    ) -> Response:
        body = await request.body()
        await turns.queries.take()
        try:
            # The first rows before the answer begins: what is refused gets its status.
            first, rows = await to_thread.run_sync(lambda: _begin(database(), body, described))
        except BaseException:
            turns.queries.give_back()
            raise
        return RowStream(first, rows, limits, turns.queries.give_back)

    @router.post("/nodes/aggregate", openapi_extra=extra)
    async def aggregate(request: Request) -> Aggregate:
        body = await request.body()
        return await turns.queries.run(lambda: database().aggregate(_selector(body)))

    @router.post("/nodes/explain", openapi_extra=extra)
    async def explain(request: Request) -> Explanation:
        body = await request.body()
        return await turns.queries.run(lambda: database().explain(_selector(body)))


def _add_actions(router: APIRouter, database: Open, turns: Turns) -> None:
    @router.get("/action-batches/{action_batch_id}/pipeline-state")
    async def get_pipeline_state(action_batch_id: EventId) -> PipelineState:
        return await turns.actions.run(lambda: database().actions.pipeline_state(action_batch_id))

    @router.get("/pipelines/{pipeline}/state")
    async def get_pipeline_batches(pipeline: str) -> PipelineBatches:
        return await turns.actions.run(lambda: database().pipelines.state(pipeline))

    @router.put("/pipelines/{pipeline}/batches/{action_batch_id}")
    async def enrol_batch(pipeline: str, action_batch_id: EventId) -> PipelineState:
        await turns.actions.run(lambda: database().pipelines.enrol(pipeline, [action_batch_id]))
        return await get_pipeline_state(action_batch_id)

    @router.delete("/pipelines/{pipeline}/batches/{action_batch_id}")
    async def withdraw_batch(pipeline: str, action_batch_id: EventId) -> PipelineState:
        await turns.actions.run(lambda: database().pipelines.withdraw(pipeline, [action_batch_id]))
        return await get_pipeline_state(action_batch_id)

    @router.post("/action-history")
    async def record_action_history(asked: HistoryRequest) -> HistoryAnswer:
        times = (asked.start_time, asked.end_time)
        event_id = await turns.actions.run(
            lambda: database().actions.record_action_history(
                asked.action_id, asked.action_batch_id, asked.status, *times
            )
        )
        return HistoryAnswer(event_id=event_id)

    @router.post("/action-history/{event_id}")
    async def change_action_history(event_id: EventId, change: HistoryChange) -> HistoryAnswer:
        times = (change.start_time, change.end_time)
        await turns.actions.run(
            lambda: database().actions.change_action_history(event_id, change.status, *times)
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
