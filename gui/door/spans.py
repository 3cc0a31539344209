"""Spans of requests, for OpenTelemetry: ASGI middleware that is there only where they are exported.

A request belongs to the trace that it came with, else to one of its own, which goes on in the run
that it starts. Its span is called as its route, never as its path, which may be secret.
"""

from __future__ import annotations

import os
import time

from base.logging import spans
from base.logging.ids import TRACE_HEADER, bind_for_good, caller_of, current
from gui.door.bodies import App, Message, Receive, Scope, Send
from gui.door.metrics import route_of

SERVER_ERROR = 500


class RequestSpans:
    """Exports a span of each request."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "trace_id" not in current():
            bind_for_good(trace_id=os.urandom(16).hex())
        begin_ns, status = time.time_ns(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            spans.add(_span(scope, status, begin_ns))


def _span(scope: Scope, status: int, begin_ns: int) -> spans.Span:
    ids, route = current(), route_of(scope)
    headers: dict[bytes, bytes] = dict(scope["headers"])
    attributes: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "http.route": route,
        "drystone.request_id": ids["request_id"],
    }
    if status:
        attributes["http.response.status_code"] = status
    return spans.Span(
        name=f"{scope['method']} {route}",
        trace_id=ids["trace_id"],
        span_id=spans.span_id_of(f"request {ids['request_id']}"),
        parent_id=caller_of(headers.get(TRACE_HEADER.encode(), b"").decode("latin-1")),
        begin_ns=begin_ns,
        end_ns=time.time_ns(),
        attributes=attributes,
        is_error=status >= SERVER_ERROR or not status,
        is_server=True,
    )
