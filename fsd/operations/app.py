"""The engine's HTTP server: the store's operations, for whoever may open its socket.

Files go by their path; who sends bytes on over a network takes pieces of objects, and holds one at
a time. What else is served besides operations is for programs of the machine: the text that
Prometheus reads, and the end of the engine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from base.errors import UsageError
from base.logging.requests import RequestIds
from base.operations.once import Requests
from base.operations.operation import Caller, Operation
from base.operations.routes import add_problems, routes_of
from base.version import version
from fsd.engine.area_access import share_output
from fsd.engine.engine import Engine
from fsd.engine.outbox_room import OutboxRoom
from fsd.engine.stage_output import StageOutputs
from fsd.operations.listed import store_operations
from fsd.operations.place import Serving

PREFIX = "/v1"
OWNER = Caller("owner", "admin")
"""Only the store's owner can open the socket."""


def make_app(engine: Engine, shut_down: Callable[[], None]) -> FastAPI:
    """Return the application, and take up again what was reserved before a restart."""
    app = FastAPI(title="Drystone store", version=version())
    add_problems(app, "the engine failed")
    outputs = StageOutputs(
        engine.areas,
        lambda text: engine.notes.append(text),
        lambda folder: share_output(str(folder), engine.config),
    )
    app.state.server = _Server(Serving(engine, outputs, OutboxRoom(engine.areas)))
    app.router.routes.extend(operation_routes())

    @app.get(PREFIX + "/objects/{key}/pieces/{number}")
    def piece(
        key: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], number: Annotated[int, Path(lt=2**44)]
    ) -> Response:
        from fsd.store.read import read_piece_of

        data = read_piece_of(engine.store, bytes.fromhex(key), number)
        return Response(data, media_type="application/octet-stream")

    @app.get(PREFIX + "/metrics")
    def prometheus() -> Response:
        # Here, because most engines are never asked for them.
        from base.metrics import CONTENT_TYPE
        from fsd.watch.metrics import exposition

        return Response(exposition(engine.watch), headers={"Content-Type": CONTENT_TYPE})

    @app.post(PREFIX + "/shutdown", status_code=202)
    async def shutdown() -> None:
        shut_down()

    app.add_middleware(RequestIds)
    return app


@functools.cache
def operation_routes() -> list[BaseRoute]:
    """Return the routes of all operations, which every application of this process has."""
    return routes_of(store_operations().values(), lambda request: request.app.state.server, PREFIX)


class _Server:
    """Serves the engine's operations to its owner; whatever blocks does so in a thread."""

    def __init__(self, place: Serving) -> None:
        self._place = place

    def caller(self, request: Request) -> Caller:
        return OWNER

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        pass  # Whoever opens the socket may do all.

    async def still(self, request: Request) -> bool:
        return True

    async def run(self, function: Callable[[Any], Any]) -> Any:
        return await run_in_threadpool(function, self._place)

    def witness(self) -> None:
        return None  # Whoever asks the engine for somebody has written it down.

    def requests(self, place: Any) -> Requests:
        # What is done once is known where accounts are; the engine has none.
        raise UsageError(
            "the engine keeps no Idempotency-Key: leave the header out, or ask /api/v1 of the pages"
        )
