"""Entity tags of documents: ASGI middleware that tells who asks again that nothing is new.

Every answer to a GET below the API that is one JSON document has a tag made of its bytes, and is
304 for whoever has these. It is made all the same: what is saved is the way, and that a program
reads what it knows. Streams pass as they come.
"""

from __future__ import annotations

import hashlib

from gui.contents.conditions import is_known
from gui.door.bodies import App, Message, Receive, Scope, Send

PREFIX = "/api/v1/"
DIGEST_BYTES = 16
_KEPT = [(b"cache-control", b"private, no-cache"), (b"vary", b"cookie, authorization")]


class Tags:
    """Tags what the application answers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        is_asked = scope["type"] == "http" and scope["method"] == "GET"
        if is_asked and scope["path"].startswith(PREFIX):
            send = _tagged(scope, send)
        await self._app(scope, receive, send)


def _tagged(scope: Scope, send: Send) -> Send:
    start: Message | None = None

    async def answer(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and _is_document(message):
            start = message  # Its body tells its tag.
            return
        if start is None:
            await send(message)
            return
        head, start = start, None
        if not message.get("more_body", False):
            head, message = _with_tag(scope, head, message)
        await send(head)
        await send(message)

    return answer


def _is_document(start: Message) -> bool:
    told = dict(start["headers"])
    kind = told.get(b"content-type", b"").partition(b";")[0]
    return start["status"] == 200 and kind == b"application/json" and b"etag" not in told


def _with_tag(scope: Scope, start: Message, body: Message) -> tuple[Message, Message]:
    digest = hashlib.blake2b(body.get("body", b""), digest_size=DIGEST_BYTES).hexdigest()
    tag = f'"{digest}"'
    headers = [*start["headers"], (b"etag", tag.encode()), *_KEPT]
    asked = {"if-none-match": b",".join(
        value for name, value in scope["headers"] if name == b"if-none-match"
    ).decode("latin-1")}  # fmt: skip
    if not is_known(asked, tag):
        return {**start, "headers": headers}, body
    left = [(name, value) for name, value in headers if not name.startswith(b"content-")]
    return {**start, "status": 304, "headers": left}, {**body, "body": b""}
