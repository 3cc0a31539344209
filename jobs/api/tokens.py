"""Who may ask what of the jobs' API: it owns the comparison of tokens with paths.

Two tokens: that of people and scripts may ask everything, that of workers only for tasks. A machine
that is lent to computing can then start nothing by itself.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from base.operations.routes import PROBLEM_TYPE, problem_document

WORKER_PATHS = ("/v1/tasks/", "/v1/worker/")


class TokenScopes:
    """Lets pass who bears a token that is good for the path; before any body is read."""

    def __init__(self, app: ASGIApp, token: str = "", worker_token: str = "") -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode() if token else b""
        self._worker = b"Bearer " + worker_token.encode() if worker_token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        given = next((value for name, value in headers if name == b"authorization"), b"")
        # Both are compared, in constant time, whatever the path.
        is_person = bool(self._expected) and hmac.compare_digest(given, self._expected)
        is_worker = bool(self._worker) and hmac.compare_digest(given, self._worker)
        if is_person or (is_worker and str(scope["path"]).startswith(WORKER_PATHS)):
            await self._app(scope, receive, send)
        elif is_worker:
            await _refuse(send, 403, "the token of workers is for tasks only")
        else:
            reason = "send the token of this API as `Authorization: Bearer TOKEN`"
            await _refuse(send, 401, reason, [(b"www-authenticate", b"Bearer")])


async def _refuse(send: Send, status: int, message: str, headers: Any = ()) -> None:
    body = json.dumps(problem_document(status, "UsageError", message)).encode()
    kind = PROBLEM_TYPE.encode()
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", kind), (b"connection", b"close"), *headers],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
