"""Labelling over HTTP: it owns the routes that a labeller's page works with, and their JSON.

Tasks, answers and undo go by plain requests: quick, and repeated by the page when one is lost. The
bytes of what is asked about come by key, as those of all pictures do.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from base.errors import DrystoneError
from base.operations.routes import problem_of
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor, require
from gui.contents.media import PLAYED
from gui.contents.seen import KEY, check_seen
from gui.core.errors import ForbiddenError
from gui.pages.labelling.media import text_of
from gui.reading.desk import Desk
from gui.widgets.blocks import clean, size
from gui.widgets.explorer_routes import picture_of
from sql import ExploredNode, LabelTask, NotFoundError

HELD_MAX = 20
TaskId = Annotated[int, Field(ge=1, lt=2**63)]
EventId = Annotated[int, Path(ge=1, lt=2**63)]
Key = Annotated[str, Path(pattern=KEY)]


class AnswerRequest(BaseModel):
    """An answer to a task, or a skip without a document; `held` are the tasks the page has."""

    model_config = ConfigDict(extra="forbid")

    task: TaskId
    document: dict[str, Any] | None = None
    held: Annotated[list[TaskId], Field(max_length=HELD_MAX)] = []


def add_labelling(app: FastAPI, desk: Desk) -> None:
    """Add the routes below `/labelling`."""

    @app.get("/labelling/{event_id}/tasks", include_in_schema=False)
    async def tasks(
        request: Request, event_id: EventId, held: Annotated[str, Query(max_length=500)] = ""
    ) -> Response:
        numbers = [int(one) for one in held.split(",") if one.isascii() and one.isdigit()]
        numbers = [one for one in numbers[:HELD_MAX] if one < 2**63]
        return await _answered(desk, request, _next, desk, event_id, 0, numbers)

    @app.post("/labelling/{event_id}/answer", include_in_schema=False)
    async def answer(request: Request, event_id: EventId, given: AnswerRequest) -> Response:
        return await _answered(desk, request, _keep, desk, event_id, given)

    @app.post("/labelling/{event_id}/undo", include_in_schema=False)
    async def undo(request: Request, event_id: EventId) -> Response:
        return await _answered(desk, request, _undo, desk, event_id)

    @app.get("/labelling/text/{key}", include_in_schema=False)
    async def text(request: Request, key: Key) -> Response:
        return await _answered(desk, request, _text, desk, key)


async def _answered(desk: Desk, request: Request, function: Any, *args: Any) -> Response:
    """Answer with what a function returns, given who asks last; errors of ours as JSON."""
    try:
        visitor = await _labeller(desk, request)
        return JSONResponse(await desk.work(function, *args, visitor))
    except Exception as error:
        return _refused(error)


async def _labeller(desk: Desk, request: Request) -> Visitor:
    """Return who asks; the role is that of now. Raises ForbiddenError."""
    visitor: Visitor = request.scope[VISITOR_KEY]
    now = await desk.work(desk.sessions.still, visitor) if visitor.session_hash else visitor
    if now is None:
        raise ForbiddenError("the session has ended; log in again")
    require(now, "labeller")
    return now


def _refused(error: Exception) -> Response:
    if not isinstance(error, DrystoneError):
        raise error
    status = 403 if isinstance(error, ForbiddenError) else 400
    status = 404 if isinstance(error, NotFoundError) else status
    return problem_of(status, type(error).__name__, clean(str(error)))


# ---- What blocks -----------------------------------------------------------------------------


def _next(
    desk: Desk, event_id: int, after: int, held: list[int], visitor: Visitor
) -> dict[str, Any]:
    found = desk.labels.tasks(event_id, visitor.name, after, held)
    is_complete = not found and not held and desk.labels.settle(event_id)
    return {"tasks": _shown(desk, found), "complete": is_complete}


def _keep(desk: Desk, event_id: int, given: AnswerRequest, visitor: Visitor) -> dict[str, Any]:
    desk.labels.answer(event_id, given.task, visitor.name, given.document)
    held = [task for task in given.held if task != given.task]
    return _next(desk, event_id, given.task, held, visitor)


def _undo(desk: Desk, event_id: int, visitor: Visitor) -> dict[str, Any]:
    taken = desk.labels.undo(event_id, visitor.name)
    if taken is None:
        return {"task": None}
    (shown,) = _shown(desk, [taken.task])
    return {"task": {**shown, "answer": taken.document}}


def _text(desk: Desk, key: str, visitor: Visitor) -> dict[str, Any]:
    check_seen(desk.database, key, visitor)
    return {"text": text_of(desk, key)}


def _shown(desk: Desk, tasks: list[LabelTask]) -> list[dict[str, Any]]:
    nodes = {
        one.node_id: one
        for one in desk.database().explore.details([task.node_id for task in tasks])
    }
    return [_task(task, nodes[task.node_id]) for task in tasks]


def _task(task: LabelTask, node: ExploredNode) -> dict[str, Any]:
    """Return what the page shows of a task; what is in it is text, never markup."""
    kind, extension = node.media_type or "none", node.extension or ""
    facts = [extension, size(node.size_bytes) if node.size_bytes else ""]
    played = kind in ("video", "sound") and extension in PLAYED
    return {
        "id": task.task_id,
        "kind": kind,
        "title": clean(node.title or node.description)[:300].replace("\n", " "),
        "facts": clean(" · ".join(fact for fact in facts if fact)),
        "description": clean(node.description)[:2_000],
        "picture": picture_of(node.key, node.media_type, "large"),
        "media": f"/labelling/media/{node.key}.{extension}" if played else "",
        "text": f"/labelling/text/{node.key}" if kind == "text" else "",
    }
