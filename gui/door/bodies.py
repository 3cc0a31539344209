"""Bodies of requests: ASGI middleware that bounds how long and how large one may come.

A body has `BODY_TIMEOUT_S` and a second more for every `RATE_BYTES_PER_S_MIN` that came: whoever
sends slowly is served, whoever drips holds nothing. What is refused is answered as a problem, and
the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from base.operations.problem import PROBLEM_TYPE, problem_document

BODY_TIMEOUT_S = 15.0
RATE_BYTES_PER_S_MIN = 4_096
LINGER_S = 1.0
"""So long is read, and thrown away, what a refused client still sends: one that hears of the
connection's end while it sends never reads why."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BoundedBodies:
    """Ends requests whose body does not come, or does not end."""

    def __init__(self, app: App, limit_of: Callable[[Scope], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; 408 or 413 when its body has to be given up before an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._limit_of(scope))
        if int(dict(scope["headers"]).get(b"content-length", b"0")) > body.limit_bytes:
            await refuse(send, *body.too_large(), receive=receive)
            return
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal is_answered
            # What the application makes of half a body is no answer.
            if body.refused is None or is_answered:
                is_answered = True
                await send(message)

        try:
            await self._app(scope, body.receive, answer)
        except Exception:
            if body.refused is None:
                raise
        if body.refused is not None and not is_answered:
            await refuse(send, *body.refused, receive=receive)


class _Body:
    """One body, as it comes; whoever reads it finds the client gone once it was refused."""

    def __init__(self, receive: Receive, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.refused: tuple[int, str, str] | None = None
        self._receive = receive
        self._began = time.monotonic()
        self._size_bytes = 0
        self._is_whole = False

    def too_large(self) -> tuple[int, str, str]:
        """Return the refusal of a body that is too large."""
        return 413, "BodyTooLargeError", f"a request may have {self.limit_bytes:,} bytes"

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        given_s = BODY_TIMEOUT_S + self._size_bytes / RATE_BYTES_PER_S_MIN
        left_s = max(0.0, self._began + given_s - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), left_s)
        except TimeoutError:
            self.refused = (408, "RequestLateError", "the body of the request did not come")
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._size_bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._size_bytes > self.limit_bytes:
                self.refused = self.too_large()
                return {"type": "http.disconnect"}
        return message


async def _read_away(receive: Receive) -> None:
    """Take in what comes of a body within LINGER_S; nothing of it is kept."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body", False):
                    return


async def refuse(
    send: Send,
    status: int,
    name: str,
    detail: str,
    headers: dict[str, str] | None = None,
    receive: Receive | None = None,
) -> None:
    """Answer with a problem and end the connection; what still comes of a body is thrown away."""
    body = json.dumps(problem_document(status, name, detail)).encode("ascii")
    told = {
        "content-type": PROBLEM_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        **(headers or {}),
    }
    listed = [(key.encode(), value.encode("latin-1")) for key, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if receive is not None:
        await _read_away(receive)
    await send({"type": "http.response.body", "body": b""})
