"""The server of the public port: operations, probes, contents, and the way on to the pages.

    ids, counts, bodies, rates -> guard -> operations (/api/v1), probes, metrics, contents, pictures
                               -> pages (their own guard), over a socket for their owner alone

One process without NiceGUI and without state: it runs where the pages are switched off, and goes on
when they restart.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from adapters import RECEIVED_BYTES_MAX
from base.logging import spans
from base.logging.daemon import daemon_log
from base.logging.ids import about
from base.logging.requests import RequestIds
from base.operations.routes import problem_answers
from gui.access.guard import CONTENT_PATHS, Guard
from gui.access.needs import describe_needs
from gui.contents.objects import Objects
from gui.contents.reads import note_read
from gui.contents.routes import STATIC, add_contents
from gui.contents.shared import add_shared
from gui.contents.thumbnails import Thumbnails
from gui.core.config import GuiConfig
from gui.core.server_process import ServerProcess, api_process
from gui.door.api import add_api
from gui.door.bodies import App, BoundedBodies, Receive, Scope, Send
from gui.door.described import add_description
from gui.door.forms import FORM_BYTES_MAX, FORM_TYPE
from gui.door.listen import address_of, listener_of
from gui.door.metrics import RequestCounts, add_metrics
from gui.door.pages import Pages
from gui.door.probes import PROBES, add_probes, watched
from gui.door.programs import add_programs, body_limit_of
from gui.door.protocol import BoundedProtocol
from gui.door.rates import Rates
from gui.door.receiving import PATH as RECEIVING_PATH
from gui.door.receiving import Receiving, add_receiving
from gui.door.spans import RequestSpans
from gui.door.tags import Tags
from gui.door.tus import PATH as UPLOADS_PATH
from gui.door.tus import add_tus
from gui.reading.connections import Connections

SHUTDOWN_TIMEOUT_S = 5
KEEP_ALIVE_S = 75
"""So long a connection waits for its next request."""
MESSAGE_SIZE_BYTES_MAX = 2_000_000
BODY_SIZE_BYTES_MAX = 2_000_000
OWN_PATHS = ("/api/", *CONTENT_PATHS, "/shared/", "/labelling/media/", "/static/")
"""What this process answers itself, beside the probes."""
FILES_WANTED = 65_536
"""A connection is an open file, and one of the pages' two."""


def make_app(connections: Connections) -> App:
    """Return the application of a store's public port."""
    config, pages, counts = connections.config, Pages(connections.config), RequestCounts()
    app = own_app(connections, counts, pages.close)
    door = _Door(Guard(Tags(app), config, connections.sessions), pages)
    rated = Rates(door, config.requests_per_s)
    bounded = BoundedBodies(rated, _limit_of)
    return RequestIds(counts.over(RequestSpans(bounded) if spans.is_on() else bounded))


def own_app(
    connections: Connections, counts: RequestCounts, close: Callable[[], Awaitable[None]]
) -> FastAPI:
    """Return what this process answers itself; `close` is called at its end."""
    config, poller = connections.config, watched(connections)
    objects = Objects(
        connections.store, lambda request, key: note_read(connections, request, {"key": key})
    )
    thumbnails = Thumbnails(
        connections.store,
        config.thumbnail_dir,
        config.thumbnail_cache_bytes,
        config.thumbnail_workers,
        lambda key: connections.database().thumbnails.of_key(key),
    )
    receiving = Receiving(config.config_path, connections.database)
    connections.received = receiving.receiver

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        receiving.start()
        connections.sessions.kept.start()
        yield
        connections.sessions.kept.close()
        receiving.close()
        poller.close()
        await close()
        objects.close()
        thumbnails.close()
        connections.close()

    app = FastAPI(
        title="Drystone",
        description="What the pages do, for scripts. Show a token: `Authorization: Bearer TOKEN`.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=problem_answers(),
    )
    app.mount("/static", StaticFiles(directory=STATIC))
    add_probes(app, poller, connections.breakers)
    add_metrics(app, connections, counts)
    add_receiving(app, connections, receiving)
    add_programs(app, connections)
    add_tus(app, connections, receiving)
    add_contents(app, connections, objects, thumbnails)
    add_shared(app, connections, objects, thumbnails)
    add_description(app)
    add_api(app, connections, poller)
    describe_needs(app.routes)
    return app


def _limit_of(scope: Scope) -> int:
    path = scope["path"]
    if path.startswith(UPLOADS_PATH):
        return FORM_BYTES_MAX
    if path == RECEIVING_PATH:
        # The first of several, which is the one that is looked at later.
        kinds = (value for name, value in scope["headers"] if name == b"content-type")
        kind = next(kinds, b"").lower()
        # Files are bounded by the room in the inbox, and are never in memory.
        return FORM_BYTES_MAX if kind.startswith(FORM_TYPE.encode()) else RECEIVED_BYTES_MAX
    return body_limit_of(path) or BODY_SIZE_BYTES_MAX


class _Door:
    """Tells what this process answers itself from what the pages answer."""

    def __init__(self, own: App, pages: App) -> None:
        self._own = own
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request, a websocket or the server's life on."""
        is_own = scope["type"] == "lifespan" or (
            scope["type"] == "http"
            and (scope["path"].startswith(OWN_PATHS) or scope["path"] in PROBES)
        )
        await (self._own if is_own else self._pages)(scope, receive, send)


def serve(config: GuiConfig) -> None:
    """Serve until SIGTERM or SIGINT; run/gui.json says where while it does."""
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    process = api_process(config)
    with process.only_one(), daemon_log("api", config.config_path):
        _allow_files()
        spans.configure("api", config.config_path)
        listener = listener_of(config)
        settings = uvicorn.Config(
            # Who was logged out by the pages, or by another, is so at the next request.
            make_app(Connections(config, remembered_s=0.0)),
            http=BoundedProtocol,
            log_config=None,  # What it has to say goes where ours goes.
            access_log=False,
            proxy_headers=bool(config.trusted_proxies),
            forwarded_allow_ips=config.trusted_proxies,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            ws_max_size=MESSAGE_SIZE_BYTES_MAX,
        )
        _Server(settings, process, listener).run(sockets=[listener])
        spans.close()


def _allow_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if most == resource.RLIM_INFINITY else min(FILES_WANTED, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Server(uvicorn.Server):
    """Says where it is while it answers."""

    def __init__(
        self, settings: uvicorn.Config, process: ServerProcess, listener: socket.socket
    ) -> None:
        super().__init__(settings)
        self._process = process
        self._listener = listener

    async def main_loop(self) -> None:
        address = address_of(self._listener)
        with self._process.announced(address):
            told = about("api.served", address=address)
            logging.getLogger(__name__).info("the port is at %s", address, extra=told)
            await super().main_loop()
