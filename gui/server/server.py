"""The server: it owns how the application is put together, and its life from socket to address.

guard -> login, API, pictures, rq-dashboard, NiceGUI's pages. One process: NiceGUI keeps its pages
in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from base.errors import UsageError
from gui.access.guard import Guard
from gui.core.config import PORT_USUAL, GuiConfig
from gui.reading.desk import Desk
from gui.server.gui_process import only_one

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECONNECT_TIMEOUT_S = 20.0
"""A phone that sleeps for a moment finds its page again."""
SHUTDOWN_TIMEOUT_S = 5
LISTEN_BACKLOG = 128


def make_app(desk: Desk) -> Guard:
    """Return the application of a store; only one in a process, as NiceGUI is."""
    from nicegui import Client, ui

    from gui.access.secret import storage_secret
    from gui.pages import register_pages
    from gui.server.api import add_api
    from gui.server.label_routes import add_labelling
    from gui.server.login import add_login
    from gui.server.probes import add_probes
    from gui.server.rq_mount import mount_rq_dashboard, redis_url_of
    from gui.server.thumbnail_routes import add_thumbnails
    from gui.widgets.explorer_routes import add_explorer

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        desk.poller.start()
        yield
        desk.close()

    app = FastAPI(
        title="Drystone",
        description="What the pages do, for scripts. Show a token: `Authorization: Bearer TOKEN`.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )

    add_probes(app, desk.poller)
    app.mount("/static", StaticFiles(directory=os.path.join(HERE, "static")))
    add_login(app, desk.config, desk.sessions)
    add_thumbnails(app, desk)
    add_explorer(app, desk)
    add_labelling(app, desk)
    add_api(app, desk)
    mount_rq_dashboard(app, redis_url_of(desk.config.config_path))
    register_pages(desk)
    Client.shared_head_html = ""
    add_head()
    ui.run_with(
        app,
        title="Drystone",
        favicon=os.path.join(HERE, "static", "mark.svg"),
        dark=None,
        language="en-US",
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        # Our own style sheet is all there is; Tailwind would compile in every browser.
        tailwind=False,
        storage_secret=storage_secret(desk.config.run_dir),
        show_welcome_message=False,
    )
    return Guard(app, desk.config, desk.sessions)


def add_head() -> None:
    """Add our style sheet and keys to every page."""
    from nicegui import ui

    version = max(
        int(os.stat(os.path.join(HERE, "static", name)).st_mtime)
        for name in ("drystone.css", "keys.js")
    )
    ui.add_head_html(
        f'<link rel="stylesheet" href="/static/drystone.css?{version}">'
        f'<script src="/static/keys.js?{version}" defer></script>',
        shared=True,
    )


def serve(config: GuiConfig) -> None:
    """Serve until SIGTERM or SIGINT; run/gui.json says where while it does."""
    # Before NiceGUI is imported: it decides then where to keep what it stores.
    os.environ["NICEGUI_STORAGE_PATH"] = os.path.join(config.run_dir, "gui-storage")
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    with only_one(config):
        _serve(config)


def _serve(config: GuiConfig) -> None:
    listener = _listen(config)
    desk = Desk(config)
    settings = uvicorn.Config(
        make_app(desk),
        log_level="warning",
        access_log=False,
        proxy_headers=config.behind_proxy,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        ws_max_size=2_000_000,
    )
    try:
        _Server(settings, config, listener).run(sockets=[listener])
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(config.address_path)


def address_of(config: GuiConfig, listener: socket.socket) -> str:
    """Return the address of a listening socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else host
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    return f"http://{shown}:{port}"


def _listen(config: GuiConfig) -> socket.socket:
    if config.port is not None:
        return _bound(config.host, config.port)
    try:
        return _bound(config.host, PORT_USUAL)
    except UsageError:
        return _bound(config.host, 0)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(f"gui.host {host!a} is no address: {error.strerror}") from error
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Now: of two that bound the same port, only one may listen, and must know it here.
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror}; "
            "set another port in [gui] of drystone.toml"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Writes the address once it answers."""

    def __init__(
        self, settings: uvicorn.Config, config: GuiConfig, listener: socket.socket
    ) -> None:
        super().__init__(settings)
        self._gui = config
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        document = {"address": address_of(self._gui, self._listener), "pid": os.getpid()}
        temporary = f"{self._gui.address_path}.{os.getpid()}.tmp"
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(document, file)
        os.replace(temporary, self._gui.address_path)
        print(f"the pages are at {document['address']}", file=sys.stderr, flush=True)
