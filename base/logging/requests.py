"""Ids of HTTP requests: ASGI middleware that gives one to each, and logs those that failed.

A request keeps the id and the trace that it came with (`X-Request-Id`, `traceparent`), else it gets
an id; the answer names it, as does every line that is logged meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from base.logging.ids import REQUEST_HEADER, TRACE_HEADER, about, bind_for_good, ids_of_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SERVER_ERROR = 500
_ID_NAME = REQUEST_HEADER.lower().encode()
_TRACE_NAME = TRACE_HEADER.encode()

_log = logging.getLogger(__name__)


class RequestIds:
    """Binds ids for the task that a server makes for each request, and for the threads it asks."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its ids."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given: dict[bytes, bytes] = dict(scope["headers"])
        ids = ids_of_headers(*(_text(given, name) for name in (_ID_NAME, _TRACE_NAME)))
        # For good: what answers for an error that nobody caught is called outside of this.
        bind_for_good(**ids)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                name = (_ID_NAME, ids["request_id"].encode())
                message["headers"] = [*message.get("headers", ()), name]
                if message["status"] >= SERVER_ERROR:
                    _tell(scope, message["status"])
            await send(message)

        await self._app(scope, receive, answer)


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _tell(scope: Scope, status: int) -> None:
    """Log a request that the server could not answer; without its query, which may be secret."""
    told = about("request.failed", method=scope["method"], path=scope["path"], status=status)
    _log.warning("%s %s: %d", scope["method"], ascii(scope["path"])[1:-1], status, extra=told)
