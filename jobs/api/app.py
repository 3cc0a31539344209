"""The jobs' HTTP API: it owns the application, its statuses and limits, and no decision.

Documents in, documents out. Everything that asks the database runs in threads, people and workers
each in their turns (see `api_turns`), so that nothing blocks the loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from base.errors import DrystoneError, UsageError
from jobs.api.runs import run_routes
from jobs.api.schedules import schedule_routes
from jobs.api.tasks import task_routes
from jobs.api.tokens import TokenScopes
from jobs.api.turns import Turns
from jobs.runs.task_state import TaskState
from sql import BodyLimit, BusyError, Database, DatabaseUnavailableError, NotFoundError

VERSION = "1"
DOCUMENT_SIZE_BYTES_MAX = 64 << 20
REQUEST_SIZE_BYTES_MAX = 1 << 20
BODY_LIMITS_BYTES: Mapping[str, int] = {
    # Results and logs; what they may be is checked once more where they are kept.
    "/v1/tasks/": DOCUMENT_SIZE_BYTES_MAX,
    "/v1/runs": REQUEST_SIZE_BYTES_MAX,
    "/v1/schedules": REQUEST_SIZE_BYTES_MAX,
}


class ErrorAnswer(BaseModel):
    """A refusal: the name of the error, what to do, and one line for each thing wrong."""

    model_config = ConfigDict(frozen=True)

    error: str
    message: str
    problems: list[str] = []


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": what}
    for status, what in {
        400: "Refused; the message says what to do",
        401: "Over TCP without a token",
        403: "With a token that is not good for this",
        404: "No such run, task or schedule",
        409: "It cannot be done now; of an attempt: it is over",
        413: "The document is too large",
        422: "The document is wrong; `problems` has a line for each mistake",
        503: "The database does not answer, or is busy: try again",
    }.items()
}


def make_app(
    config_path: str,
    database: Database,
    state: TaskState,
    *,
    turns: Turns | None = None,
    tokens: tuple[str, str] | None = None,
) -> FastAPI:
    """Return the application over a database and the tasks of this machine.

    `tokens` are that of people and that of workers; None lets everybody ask (a unix socket, which
    only its owner can open). Applications on one database share its turns.
    """
    turns = turns or Turns()
    app = FastAPI(title="Drystone jobs", version=VERSION, responses=_REFUSALS)
    add_errors(app)
    app.include_router(task_routes(config_path, database, state, turns))
    app.include_router(run_routes(config_path, database, turns))
    app.include_router(schedule_routes(config_path, database, turns))
    app.add_middleware(BodyLimit, limits_bytes=BODY_LIMITS_BYTES)
    if tokens is not None:
        app.add_middleware(TokenScopes, token=tokens[0], worker_token=tokens[1])
    return app


def add_errors(app: FastAPI) -> None:
    """Answer our errors with their statuses."""

    @app.exception_handler(DrystoneError)
    async def refuse(_request: Request, error: DrystoneError) -> Response:
        return _refusal(_status_of(error), _answer(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_request(_request: Request, error: RequestValidationError) -> Response:
        problems = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:20]
        ]
        message = "the request is refused, nothing was done"
        return _refusal(422, ErrorAnswer(error="UsageError", message=message, problems=problems))

    @app.exception_handler(HTTPException)
    async def refuse_by_status(_request: Request, error: HTTPException) -> Response:
        answer = ErrorAnswer(error="UsageError", message=str(error.detail))
        return _refusal(error.status_code, answer, error.headers)

    @app.exception_handler(Exception)
    async def fail(_request: Request, error: Exception) -> Response:
        # The message of an unexpected error may carry anything; the log has it.
        message = f"the jobs' API failed ({type(error).__name__}); see its log"
        return _refusal(500, ErrorAnswer(error="JobsError", message=message))


def _status_of(error: Exception) -> int:
    if isinstance(error, DatabaseUnavailableError | BusyError):
        return 503
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, UsageError):
        return 400
    return 409


def _answer(error: Exception) -> ErrorAnswer:
    name = "UsageError" if _status_of(error) == 400 else type(error).__name__
    return ErrorAnswer(error=name, message=str(error))


def _refusal(status: int, answer: ErrorAnswer, headers: Any = None) -> Response:
    # In ASCII: a message may quote text that UTF-8 cannot carry.
    body = json.dumps(answer.model_dump())
    return Response(body, status, headers, media_type="application/json")
