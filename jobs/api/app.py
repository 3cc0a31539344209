"""The jobs' HTTP API: it owns the application, its statuses and limits, and no decision.

Documents in, documents out. Everything that asks the database runs in threads, people and workers
each in their turns (see `api_turns`), so that nothing blocks the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request

from base.operations.commands import local_caller
from base.operations.once import Requests
from base.operations.operation import Caller, Operation
from base.operations.routes import add_problems, problem_answers, router_of
from jobs.api.metrics import metric_routes
from jobs.api.operations import jobs_operations
from jobs.api.tasks import task_routes
from jobs.api.tokens import TokenScopes
from jobs.api.turns import Turns
from jobs.runs.session import Session
from jobs.runs.task_state import TaskState
from sql import BodyLimit, Database

VERSION = "1"
DOCUMENT_SIZE_BYTES_MAX = 64 << 20
REQUEST_SIZE_BYTES_MAX = 1 << 20
BODY_LIMITS_BYTES: Mapping[str, int] = {
    # Results and logs; what they may be is checked once more where they are kept.
    "/v1/tasks/": DOCUMENT_SIZE_BYTES_MAX,
    "/v1/runs": REQUEST_SIZE_BYTES_MAX,
    "/v1/schedules": REQUEST_SIZE_BYTES_MAX,
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
    app = FastAPI(title="Drystone jobs", version=VERSION, responses=problem_answers())
    add_problems(app)
    app.include_router(task_routes(config_path, database, state, turns))
    server = _Server(Session(config_path, lambda: database), turns)
    app.include_router(router_of(jobs_operations().values(), server), prefix="/v1")
    app.include_router(metric_routes(database, turns))
    app.add_middleware(BodyLimit, limits_bytes=BODY_LIMITS_BYTES)
    if tokens is not None:
        app.add_middleware(TokenScopes, token=tokens[0], worker_token=tokens[1])
    return app


class _Server:
    """Serves operations to whoever was let in: the socket's owner, or who bears the token."""

    def __init__(self, session: Session, turns: Turns) -> None:
        self._session = session
        self._turns = turns
        self._caller = local_caller()

    def caller(self, request: Request) -> Caller:
        return self._caller

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        pass  # Only people get to operations, and they may do all.

    async def run(self, function: Callable[[Any], Any]) -> Any:
        return await self._turns.person(lambda: function(self._session))

    def requests(self, place: Any) -> Requests:
        return place.database.requests
