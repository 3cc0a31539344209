"""The routes of programs: tasks for workers elsewhere, selectors and intents of the database.

    /api/v1/tasks, /api/v1/worker   a token with the scope worker
    /api/v1/database/...            a token with the scope database

Whoever is an admin may ask both.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, FastAPI, Request

from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor, require_scope
from gui.reading.connections import Connections
from jobs import TASK_DOCUMENT_BYTES_MAX, Tasks, task_routes
from sql import DATABASE_BODY_LIMITS_BYTES, Scope, database_routes, describe_bodies

PREFIX = "/api/v1"
DATABASE_PREFIX = f"{PREFIX}/database"


def body_limit_of(path: str) -> int | None:
    """Return what a body of a program may have that is parsed in a thread; None for all others."""
    if path.startswith(f"{PREFIX}/tasks/") and path.endswith(("/finish", "/log")):
        return TASK_DOCUMENT_BYTES_MAX
    for start, limit in DATABASE_BODY_LIMITS_BYTES.items():
        if path.startswith(DATABASE_PREFIX + start):
            return limit
    return None


def add_programs(app: FastAPI, connections: Connections) -> None:
    """Add the routes."""
    tasks = Tasks(connections.config.config_path, connections.database)
    asks = [Depends(_bearing("database"))]
    app.include_router(
        task_routes(tasks), prefix=PREFIX, dependencies=[Depends(_bearing("worker"))]
    )
    routes = database_routes(connections.database)
    app.include_router(routes, prefix=DATABASE_PREFIX, dependencies=asks)
    describe_bodies(app)


def _bearing(scope: Scope) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        visitor: Visitor = request.scope[VISITOR_KEY]
        require_scope(visitor, scope)

    return check
