"""What a request has to pass before it is looked at: it owns the size of bodies and the token."""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SIZE_BYTES_MAX = 128 * 1024 * 1024
"""An intent of 20,000 items of a few KB each."""


class BodyLimit:
    """Reads a body whole, up to the limit; what is longer is refused and not read further."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_SIZE_BYTES_MAX) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in one piece, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limit_bytes:
                reason = f"a document may have {self._limit_bytes:,} bytes; send it in parts"
                await _refuse(send, 413, reason)
                return
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def again() -> Message:
            nonlocal whole
            if whole is None:
                return await receive()
            message, whole = whole, None
            return message

        await self._app(scope, again, send)


class TokenGate:
    """Lets pass who bears the token; compared in constant time, and before any body is read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http":
            headers: list[tuple[bytes, bytes]] = scope["headers"]
            given = next((value for name, value in headers if name == b"authorization"), b"")
            if not hmac.compare_digest(given, self._expected):
                reason = "send the token of this database as `Authorization: Bearer TOKEN`"
                await _refuse(send, 401, reason, [(b"www-authenticate", b"Bearer")])
                return
        await self._app(scope, receive, send)


async def _refuse(send: Send, status: int, message: str, headers: Any = ()) -> None:
    answer = {"error": "UsageError", "message": message, "problems": []}
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), (b"connection", b"close"), *headers],
    }
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
