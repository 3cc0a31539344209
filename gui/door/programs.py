"""The routes of programs: tasks for workers elsewhere, selectors and intents of the database.

    /api/v1/tasks, /api/v1/worker   a token with the scope worker
    /api/v1/database/...            a token with the scope database

Whoever is an admin may ask both.
"""

from __future__ import annotations

from fastapi import FastAPI

from gui.access.needs import Needs, needing
from gui.reading.connections import Connections
from jobs import TASK_DOCUMENT_BYTES_MAX, Tasks, task_routes
from sql import DATABASE_BODY_LIMITS_BYTES, database_routes, describe_bodies

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
    works, asks = needing(Needs(scope="worker")), needing(Needs(scope="database"))
    app.router.routes += task_routes(tasks, PREFIX, works).routes
    app.router.routes += database_routes(
        connections.database, prefix=DATABASE_PREFIX, dependencies=asks
    ).routes
    describe_bodies(app)
