"""The HTTP API: it owns the routes below /api/v1, for scripts that do what pages do.

A script shows a token. Operations are served as they are described; what is refused is answered as
a problem (`base.operations.routes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from base.operations.once import Requests
from base.operations.operation import Caller, Operation
from base.operations.routes import add_problems, router_of
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor, require
from gui.core.filters import Filters, document_of
from gui.reading.desk import Desk
from gui.reading.polled import late_of, standing_of
from gui.server.probes import Dependency, dependencies
from gui.widgets.explorer_routes import page_of
from jobs import jobs_operations
from sql import Role

PREFIX = "/api/v1"
PAGE_MAX = 500


class NodePage(BaseModel):
    """A page of nodes; `next` is the cursor of the page after it, null at the end."""

    nodes: list[dict[str, Any]]
    next: int | None


class SelectorRequest(BaseModel):
    """A selector as a document, as in a file."""

    model_config = ConfigDict(extra="forbid")

    selector: dict[str, Any]


class ReplaceRequest(BaseModel):
    """A mounted folder as a new disk."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(pattern="^/")
    name: str | None = None


def add_api(app: FastAPI, desk: Desk) -> None:
    """Add all routes, and how mistakes become answers."""
    router = APIRouter(prefix=PREFIX)
    _add_reading(router, desk)
    _add_explorer(router, desk)
    _add_storage(router, desk)
    router.include_router(router_of(jobs_operations().values(), _Server(desk)))
    app.include_router(router)

    @app.api_route(
        PREFIX + "/{path:path}",
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        include_in_schema=False,
    )
    async def nothing(path: str) -> None:
        # Before NiceGUI's page for a person who is lost.
        raise HTTPException(404, f"there is nothing at {PREFIX}/{path[:200]}")

    add_problems(app)


class _Server:
    """Serves operations to accounts: a session's or a token's, by their roles."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def caller(self, request: Request) -> Caller:
        visitor: Visitor = request.scope[VISITOR_KEY]
        return Caller(visitor.name, visitor.role)

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        require(caller, one.role)

    async def run(self, function: Callable[[Any], Any]) -> Any:
        return await self._desk.work(lambda: function(self._desk.session()))

    def requests(self, place: Any) -> Requests:
        return place.database.requests


def at_least(role: Role | None) -> Callable[[Request], Visitor]:
    """Return the dependency that lets only this role and those above through; None everybody."""

    def check(request: Request) -> Visitor:
        visitor: Visitor = request.scope[VISITOR_KEY]
        if role is not None:
            require(visitor, role)
        return visitor

    return check


Anybody = Annotated[Visitor, Depends(at_least(None))]
Viewer = Annotated[Visitor, Depends(at_least("viewer"))]
Operator = Annotated[Visitor, Depends(at_least("operator"))]
Admin = Annotated[Visitor, Depends(at_least("admin"))]


def _add_reading(router: APIRouter, desk: Desk) -> None:
    @router.get("/me", tags=["people"])
    async def me(visitor: Anybody) -> dict[str, str]:
        """Tell who the token belongs to, and what it may do."""
        return {"name": visitor.name, "role": visitor.role}

    @router.get("/health", tags=["overview"])
    async def health(visitor: Viewer) -> list[Dependency]:
        """Return how everything answers that the server needs, as last read."""
        return dependencies(desk.poller)

    @router.get("/overview", tags=["overview"])
    async def overview(visitor: Viewer) -> dict[str, Any]:
        """Return what the overview shows, as last read, and which parts do not answer."""
        late, standing = late_of(desk.poller), standing_of(desk.poller)
        return {
            "late": _named(late) if late else None,
            "standing": _named(standing) if standing else None,
            "down": [
                {"part": one.title, "since": one.down_since, "reason": one.reason}
                for one in desk.poller.down()
            ],
        }

    @router.get("/backups", tags=["backups"])
    async def backups(visitor: Viewer) -> list[dict[str, Any]]:
        """List the newest backups of the database."""
        late = await desk.work(lambda: desk.database().overview.late())
        return [_named(one) for one in late.backups]

    @router.post("/backups", tags=["backups"])
    async def run_backup(visitor: Operator) -> dict[str, Any]:
        """Start to back the database up; the run that does it, also one that goes on already."""
        run, created = await desk.work(
            lambda: desk.control().start("backup", {}, requested_by=visitor.name)
        )
        return {"run_id": run.run_id, "created": created}


def _add_explorer(router: APIRouter, desk: Desk) -> None:
    @router.post("/nodes", tags=["explorer"])
    async def nodes(
        visitor: Viewer,
        request: SelectorRequest,
        cursor: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
        oldest_first: bool = False,
    ) -> NodePage:
        """Return a page of the nodes of a selector."""
        filters = _filters(request, oldest_first)
        found = await desk.work(page_of, desk, filters, cursor, limit)
        last = found[-1].node_id if len(found) == limit else None
        return NodePage(nodes=[_named(node) for node in found], next=last)

    @router.post("/facets", tags=["explorer"])
    async def facets(visitor: Viewer, request: SelectorRequest) -> dict[str, Any]:
        """Count the nodes of a selector by media type, extension, source and ingest batch."""
        selector = _filters(request).selector
        return _named(await desk.work(lambda: desk.database().explore.facets(selector)))

    @router.get("/nodes/{name:path}", tags=["explorer"])
    async def node(visitor: Viewer, name: str) -> dict[str, Any]:
        """Return everything that is known about a node, by its key, node_id or description."""
        report = await desk.work(lambda: desk.database().explore.node(name))
        return report.model_dump(mode="json")


def _add_storage(router: APIRouter, desk: Desk) -> None:
    store = desk.store

    @router.get("/storage/health", tags=["storage"])
    async def health(visitor: Viewer) -> dict[str, Any]:
        """Return what the engine says of itself."""
        return (await desk.work(store.health)).model_dump()

    @router.get("/storage/capacity", tags=["storage"])
    async def capacity(visitor: Viewer) -> dict[str, Any]:
        """Return what fits, now and after the loss of any one disk."""
        return (await desk.work(store.capacity)).model_dump()

    @router.post("/storage/rebalance", tags=["storage"])
    async def rebalance(visitor: Operator) -> dict[str, Any]:
        """Begin to make all disks equally full."""
        return (await desk.work(store.rebalance)).model_dump()

    @router.post("/storage/scrub", tags=["storage"])
    async def scrub(visitor: Operator) -> dict[str, Any]:
        """Begin to verify all that is due."""
        return (await desk.work(store.scrub)).model_dump()

    @router.post("/storage/rebuild", tags=["storage"])
    async def rebuild_all(visitor: Operator) -> dict[str, Any]:
        """Begin to make the copies whole from what can be read."""
        return (await desk.work(store.rebuild)).model_dump()

    @router.post("/storage/disks/{name}/drain", tags=["storage"])
    async def drain(visitor: Operator, name: str) -> dict[str, Any]:
        """Begin to empty a disk."""
        return (await desk.work(store.disk_drain, name)).model_dump()

    @router.post("/storage/disks/{name}/undrain", tags=["storage"])
    async def undrain(visitor: Operator, name: str) -> dict[str, Any]:
        """Take a draining disk back into use."""
        return (await desk.work(store.disk_undrain, name)).model_dump()

    @router.post("/storage/disks/{name}/rebuild", tags=["storage"])
    async def rebuild(visitor: Operator, name: str) -> dict[str, Any]:
        """Declare a disk gone and begin to make the copies whole."""
        return (await desk.work(store.rebuild, name)).model_dump()

    @router.post("/storage/disks/{name}/replace", tags=["storage"])
    async def replace(
        visitor: Admin, name: str, request: Annotated[ReplaceRequest, Body()]
    ) -> dict[str, Any]:
        """Take a new disk and begin to empty or rebuild the old one."""
        return (await desk.work(store.disk_replace, name, request.path, request.name)).model_dump()

    @router.post("/storage/jobs/{job_id}/cancel", tags=["storage"])
    async def cancel(visitor: Operator, job_id: str) -> dict[str, Any]:
        """Ask a job of the engine to stop."""
        return (await desk.work(store.cancel, job_id)).model_dump()


def _filters(request: SelectorRequest, oldest_first: bool = False) -> Filters:
    import json

    return Filters(document_of(json.dumps(request.selector)), oldest_first)


def _named(value: Any) -> Any:
    """Turn the rows of the database's face into documents."""
    if hasattr(value, "_asdict"):
        return {name: _named(inner) for name, inner in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [_named(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return value
