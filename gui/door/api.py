"""The HTTP API: the routes below /api/v1, for scripts that do what pages do.

A script shows a token. Operations are served as they are described; what is refused is answered as
a problem (`base.operations.routes`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from base.operations.once import Requests
from base.operations.operation import Caller, Operation
from base.operations.routes import add_problems, routes_of
from fsd import store_operations
from gui.access.guard import AGAIN_KEY, VISITOR_KEY
from gui.access.needs import SOMEBODY, VIEWER
from gui.access.roles import Visitor, require, require_for
from gui.core.filters import Filters, document_of
from gui.reading.connections import Connections
from gui.reading.operations import database_operations, people_operations
from gui.reading.polled import late_of, standing_of
from gui.reading.poller import Poller
from sql import AuditWitness, RequestsAhead

PREFIX = "/api/v1"
PAGE_MAX = 500
AGE_S = 2.0
TIMEOUT_S = 10.0


class NodePage(BaseModel):
    """A page of nodes; `next` is the cursor of the page after it, null at the end."""

    nodes: list[dict[str, Any]]
    next: int | None


class SelectorRequest(BaseModel):
    """A selector as a document, as in a file."""

    model_config = ConfigDict(extra="forbid")

    selector: dict[str, Any]


def add_api(app: FastAPI, desk: Connections, poller: Poller) -> None:
    """Add all routes, and how mistakes become answers."""
    _add_reading(app, desk, poller)
    _add_explorer(app, desk)
    app.state.servers = {
        "store": _StoreServer(desk, lambda: desk.store),
        "people": _PeopleServer(desk, desk.session),
        "database": _Server(desk, desk.session),
    }
    app.router.routes.extend(operation_routes())

    @app.api_route(
        PREFIX + "/{path:path}",
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        include_in_schema=False,
    )
    async def nothing(request: Request, path: str) -> None:
        found = (one for one in app.routes if one.matches(request.scope)[0] == Match.PARTIAL)
        methods = sorted({method for one in found for method in getattr(one, "methods", ())})
        place = f"{PREFIX}/{path[:200]}"
        if methods:
            allowed = {"Allow": ", ".join(methods)}
            raise HTTPException(405, f"{place} takes {allowed['Allow']}", allowed)
        raise HTTPException(404, f"there is nothing at {place}")

    add_problems(app)


@functools.cache
def operation_routes() -> list[BaseRoute]:
    """Return the routes of all operations, which every application of this process has."""
    routes: list[BaseRoute] = []
    for name, found in (
        ("store", store_operations()),
        ("people", people_operations()),
        ("database", database_operations()),
    ):
        shared = (one for one in found.values() if not one.is_private)
        routes += routes_of(shared, functools.partial(_server_of, name), PREFIX)
    return routes


def _server_of(name: str, request: Request) -> _Server:
    return request.app.state.servers[name]


class _Server:
    """Serves operations to accounts: a session's or a token's, by their roles."""

    def __init__(self, desk: Connections, place: Callable[[], Any]) -> None:
        self._desk = desk
        self._place = place

    def caller(self, request: Request) -> Caller:
        visitor: Visitor = request.scope[VISITOR_KEY]
        address = request.client.host if request.client else ""
        return Caller(visitor.name, visitor.role, visitor.user_id, visitor.token, address)

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        require_for(caller, one)
        # What a viewer may change is the viewer's own; a token needs the scope `write` for it too.
        if one.changes and caller.token:
            require(caller, "operator")

    async def still(self, request: Request) -> bool:
        # Another role is another beginning: whoever asks again gets the rights of now.
        return await request.scope[AGAIN_KEY]() == request.scope[VISITOR_KEY]

    async def run(self, function: Callable[[Any], Any]) -> Any:
        return await self._desk.work(lambda: function(self._place()))

    def witness(self) -> AuditWitness:
        return self._desk.witness

    def requests(self, place: Any) -> Requests:
        return self._desk.database().requests


class _StoreServer(_Server):
    """Serves what the engine does, outside of any transaction of the database."""

    def requests(self, place: Any) -> Requests:
        return RequestsAhead(self._desk.database().requests)


class _PeopleServer(_Server):
    """Serves what is done to accounts; whoever is shut out by it is forgotten at once."""

    async def run(self, function: Callable[[Any], Any]) -> Any:
        try:
            return await super().run(function)
        finally:
            self._desk.sessions.forget()


Somebody = Annotated[Visitor, Depends(SOMEBODY)]
Viewer = Annotated[Visitor, Depends(VIEWER)]


def _add_reading(app: FastAPI, desk: Connections, poller: Poller) -> None:
    @app.get(PREFIX + "/me", tags=["people"])
    async def me(visitor: Somebody) -> dict[str, Any]:
        """Tell who the token belongs to, and what it may do."""
        return {"name": visitor.name, "role": visitor.role, "scopes": visitor.scopes}

    @app.get(PREFIX + "/overview", tags=["overview"])
    async def overview(visitor: Viewer) -> dict[str, Any]:
        """Return what the overview shows, as last read, and which parts do not answer."""
        await poller.fresh(("late", "standing", "store"), AGE_S, TIMEOUT_S)
        late, standing = late_of(poller), standing_of(poller)
        return {
            "late": _named(late) if late else None,
            "standing": _named(standing) if standing else None,
            "down": [
                {"part": one.title, "since": one.down_since, "reason": one.reason}
                for one in poller.down()
            ],
        }


def _add_explorer(app: FastAPI, desk: Connections) -> None:
    @app.post(PREFIX + "/nodes", tags=["explorer"])
    async def nodes(
        visitor: Viewer,
        request: SelectorRequest,
        cursor: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
        oldest_first: bool = False,
    ) -> NodePage:
        """Return a page of the nodes of a selector."""
        filters = _filters(request, oldest_first)
        found = await desk.work(
            lambda: desk.database().explore.page(
                filters.selector,
                cursor=cursor,
                newest_first=not filters.oldest_first,
                limit=limit,
            )
        )
        last = found[-1].node_id if len(found) == limit else None
        return NodePage(nodes=[_named(node) for node in found], next=last)

    @app.post(PREFIX + "/facets", tags=["explorer"])
    async def facets(visitor: Viewer, request: SelectorRequest) -> dict[str, Any]:
        """Count the nodes of a selector by media type, extension, source and ingest batch."""
        selector = _filters(request).selector
        return _named(await desk.work(lambda: desk.database().explore.facets(selector)))


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
