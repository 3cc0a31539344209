"""What a request has to pass before it is looked at: it owns the size of bodies and the token."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SIZE_BYTES_MAX = 128 * 1024 * 1024
"""An intent of 20,000 items of a few KB each."""
SMALL_SIZE_BYTES_MAX = 64 * 1024
"""What the loop itself parses has to be small; only intents and selectors are not."""


class BodyLimit:
    """Reads a body whole, up to the limit of its path; what is longer is refused and not read on.

    The limits are for beginnings of paths.
    """

    def __init__(self, app: ASGIApp, limits_bytes: Mapping[str, int]) -> None:
        self._app = app
        self._limits_bytes = limits_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in one piece, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        limit_bytes = next(
            (limit for start, limit in self._limits_bytes.items() if path.startswith(start)),
            SMALL_SIZE_BYTES_MAX,
        )
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit_bytes:
                reason = f"a document may have {limit_bytes:,} bytes here; send it in parts"
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
