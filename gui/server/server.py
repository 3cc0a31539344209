"""The server of the pages: it owns how the application is put together, and its life.

guard -> login, rq-dashboard, NiceGUI's pages. One process: NiceGUI keeps its pages in
memory. It listens on a socket that only its owner can open; browsers come by the public port
(`gui.door`), which says who they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from base.errors import UsageError
from base.logging.daemon import daemon_log
from base.logging.requests import RequestIds
from base.network.http import listen
from gui.access.guard import Guard
from gui.core.config import GuiConfig
from gui.core.server_process import ServerProcess, pages_process
from gui.reading.desk import Desk

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STYLES = ("drystone.css", "runs.css", "datasets.css", "label.css")
RECONNECT_TIMEOUT_S = 20.0
"""A phone that sleeps for a moment finds its page again."""
SHUTDOWN_TIMEOUT_S = 5
KEEP_ALIVE_S = 75
"""Longer than the public port keeps a connection for its next request."""


def make_app(desk: Desk) -> Guard:
    """Return the application of a store; only one in a process, as NiceGUI is."""
    from nicegui import Client, ui

    from gui.access.secret import storage_secret
    from gui.pages import register_pages
    from gui.server.label_routes import add_labelling
    from gui.server.login import add_login
    from gui.server.look_routes import add_look
    from gui.server.rq_mount import mount_rq_dashboard, redis_url_of
    from gui.server.zip_routes import add_zip
    from gui.widgets.explorer_routes import add_explorer

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        desk.poller.start()
        yield
        desk.close()

    app = FastAPI(
        title="Drystone", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.get("/live")(lambda: PlainTextResponse("ok"))
    add_login(app, desk.config, desk.sessions)
    add_explorer(app, desk)
    add_look(app, desk)
    add_zip(app, desk)
    add_labelling(app, desk)
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
    """Add our style sheets and keys to every page."""
    from nicegui import ui

    version = max(
        int(os.stat(os.path.join(HERE, "static", name)).st_mtime) for name in (*STYLES, "keys.js")
    )
    sheets = (f'<link rel="stylesheet" href="/static/{name}?{version}">' for name in STYLES)
    script = f'<script src="/static/keys.js?{version}" defer></script>'
    ui.add_head_html("".join(sheets) + script, shared=True)


def serve(config: GuiConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Before NiceGUI is imported: it decides then where to keep what it stores.
    os.environ["NICEGUI_STORAGE_PATH"] = os.path.join(config.run_dir, "gui-storage")
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    process = pages_process(config)
    with process.only_one(), daemon_log("pages", config.config_path):
        _serve(config, process)


def _serve(config: GuiConfig, process: ServerProcess) -> None:
    try:
        listener = listen(config.pages_path)
    except OSError as error:
        raise UsageError(
            f"the socket {config.pages_path} cannot be opened: {error.strerror}"
        ) from error
    settings = uvicorn.Config(
        RequestIds(make_app(Desk(config))),
        log_config=None,  # What it has to say goes where ours goes.
        access_log=False,
        proxy_headers=True,
        forwarded_allow_ips="*",  # Whoever opens the socket is the public port.
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        ws_max_size=2_000_000,
    )
    try:
        _Server(settings, process).run(sockets=[listener])
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(config.pages_path)


class _Server(uvicorn.Server):
    """Says that it is there while it answers."""

    def __init__(self, settings: uvicorn.Config, process: ServerProcess) -> None:
        super().__init__(settings)
        self._process = process

    async def main_loop(self) -> None:
        with self._process.announced(self._process.config.pages_path):
            await super().main_loop()
