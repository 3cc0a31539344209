"""The metrics over HTTP, for Prometheus to scrape: it owns one listener, never the control API.

`[metrics] listen` in drystone.toml switches it on. It answers GET /metrics and nothing else, and
has a thread and a loop of its own: who asks slowly, or never reads the answer, does not hold the
engine up. A connection ends with its answer, and soon when nobody asks.
"""

import asyncio
import socket
import threading

import uvicorn
from fastapi import FastAPI, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from base.errors import DrystoneError
from base.metrics import CONTENT_TYPE
from fsd.watch import metrics
from fsd.watch.watch import Watch

REQUESTS_MAX = 8
"""At once, silent connections included; more are told to come back (503)."""
SILENT_S_MAX = 5
BACKLOG = 16


class MetricsServer:
    """The listener of one engine; `stop` ends it, at the latest the process does."""

    def __init__(self, watch: Watch, host: str, port: int) -> None:
        """Open the address; OSError when that cannot be, the engine runs on without it."""
        listener = _listen(host, port)
        options = uvicorn.Config(
            _make_app(watch),
            http=_Impatient,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=REQUESTS_MAX,
            headers=[("Connection", "close")],
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(options)
        arguments = {"sockets": [listener]}
        threading.Thread(
            target=self._server.run, kwargs=arguments, name="metrics", daemon=True
        ).start()

    def stop(self) -> None:
        """Take no more requests; returns at once."""
        self._server.should_exit = True


class _Impatient(H11Protocol):
    """A connection that counts among the few there may be, and ends when nobody asks by it.

    uvicorn's own limit of idle time begins with the first answer.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(SILENT_S_MAX, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        if not self.scope:
            self.transport.close()


def start_metrics(watch: Watch) -> MetricsServer | None:
    """Serve the metrics where drystone.toml says so; what prevents it becomes a note of health."""
    address = watch.engine.config.metrics.address
    if address is None:
        return None
    try:
        return MetricsServer(watch, *address)
    except OSError as error:
        listen = watch.engine.config.metrics.listen
        watch.engine.notes.append(
            f"the metrics are not served: {listen} cannot be listened on ({error.strerror}); free "
            "the port or change `listen` in [metrics] of drystone.toml, then drystone down and up"
        )
        return None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart would else wait for what lingers of the connections before it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _make_app(watch: Watch) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    # One at a time: all of them together would take the time of the engine's own work.
    turn = threading.Lock()

    @app.get("/metrics")
    def scrape() -> Response:
        try:
            with turn:
                text = metrics.exposition(watch)
        except DrystoneError as error:
            # The index is being replaced, for example: a failed scrape says so by itself.
            message = f"{error}\n".encode("utf-8", "backslashreplace")
            return Response(message, 503, media_type="text/plain; charset=utf-8")
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    return app
