"""The way from the public port to the pages: requests and websockets, as they come, over a socket.

Nothing is changed but who asks: the pages get the client's address in X-Forwarded-For, which they
believe of this process alone. Who may see what is theirs to decide. Bodies and answers are streamed
and never held.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from base.operations.problem import RETRY_AFTER_S
from gui.core.config import GuiConfig
from gui.door.bodies import Receive, Scope, Send, refuse

CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 200
KEPT_MAX = 20
KEPT_S = 30.0
"""Less than the pages keep a connection, so that none ends as it is used again."""
MESSAGE_SIZE_BYTES_MAX = 2_000_000
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_HOP = frozenset(
    b"connection keep-alive te trailer upgrade proxy-authorization proxy-connection "
    b"transfer-encoding x-forwarded-for x-forwarded-proto x-forwarded-host forwarded".split()
)
_NOT_SENDABLE = (1005, 1006, 1015)
_AWAY = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<title>Drystone</title><p>The pages are not up. This one tries again by itself;
<code>drystone status</code> tells more.</p>
"""


class Pages:
    """The pages' server, as an ASGI application of this one."""

    def __init__(self, config: GuiConfig) -> None:
        self._is_enabled = config.enabled
        # By a descriptor of its folder: the path of a socket may be longer than the kernel takes.
        self._folder = os.open(config.run_dir, os.O_PATH | os.O_CLOEXEC)
        self._path = f"/proc/self/fd/{self._folder}/{os.path.basename(config.pages_path)}"
        self._pool = httpcore.AsyncConnectionPool(
            uds=self._path,
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=KEPT_MAX,
            keepalive_expiry=KEPT_S,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        os.close(self._folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request or websocket."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif not self._is_enabled:
            await refuse(send, 404, "NotFoundError", "the pages are switched off; see /api/v1")
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]}
        has_body = b"content-length" in names or b"transfer-encoding" in names
        headers = _forwarded(scope)
        if has_body and b"content-length" not in names:
            headers.append((b"transfer-encoding", b"chunked"))
        asked = httpcore.Request(
            scope["method"].encode("ascii"),
            httpcore.URL(scheme=b"http", host=b"pages", port=None, target=_target(scope)),
            headers=headers,
            content=_body(receive) if has_body else None,
            extensions={"timeout": {"connect": CONNECT_TIMEOUT_S, "pool": CONNECT_TIMEOUT_S}},
        )
        try:
            answer = await self._pool.handle_async_request(asked)
        except _ClientGone:
            return
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            await _away(scope, send)
            return
        try:
            await _pass_back(answer, receive if not has_body else None, send)
        finally:
            await answer.aclose()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # It wants to connect.
        try:
            inner = await self._connected(scope)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI):
            await send({"type": "websocket.close", "code": 1013, "reason": ""})
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": inner.subprotocol})
            up = asyncio.create_task(_pump_up(receive, inner))
            down = asyncio.create_task(_pump_down(inner, send))
            _, others = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        finally:
            await inner.close()

    async def _connected(self, scope: Scope) -> ClientConnection:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_enabled or not _HOST.fullmatch(host):
            raise InvalidURI(host[:100], "no name")
        kept = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in _forwarded(scope)
            if name != b"host" and not name.startswith(b"sec-websocket-")
        ]
        return await unix_connect(
            self._path,
            uri=f"ws://{host}{_target(scope).decode('ascii')}",
            additional_headers=kept,
            subprotocols=scope.get("subprotocols") or None,
            compression=None,
            max_size=MESSAGE_SIZE_BYTES_MAX,
            open_timeout=CONNECT_TIMEOUT_S,
            ping_interval=None,
            user_agent_header=None,
        )


class _ClientGone(Exception):  # noqa: N818 - it never leaves this file
    """Nobody waits for the answer any more."""


def _target(scope: Scope) -> bytes:
    query: bytes = scope.get("query_string", b"")
    return scope["raw_path"] + (b"?" + query if query else b"")


def _forwarded(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers for the pages; what a client says of who it is, is left out."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _HOP]
    client = scope.get("client")
    if client:
        headers.append((b"x-forwarded-for", client[0].encode("latin-1")))
    scheme = scope["scheme"].replace("ws", "http")
    headers.append((b"x-forwarded-proto", scheme.encode("ascii")))
    return headers


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body


async def _pass_back(answer: httpcore.Response, receive: Receive | None, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers if name.lower() not in _HOP]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    watch = asyncio.create_task(_until_gone(receive)) if receive is not None else None
    try:
        stream = answer.stream
        assert not isinstance(stream, Iterable)
        async for chunk in stream:
            if watch is not None and watch.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if watch is not None:
            watch.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _away(scope: Scope, send: Send) -> None:
    retry = {"retry-after": str(RETRY_AFTER_S)}
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if scope["method"] != "GET" or b"text/html" not in accepted:
        detail = "the pages are not up; `drystone status` tells more"
        await refuse(send, 503, "PagesAwayError", detail, retry)
        return
    body = _AWAY.encode()
    told = {"content-type": "text/html; charset=utf-8", "content-length": str(len(body)), **retry}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _pump_up(receive: Receive, inner: ClientConnection) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or 1005
            with contextlib.suppress(ConnectionClosed):
                await inner.close(1000 if code in _NOT_SENDABLE else code)
            return
        text = message.get("text")
        try:
            await inner.send(message["bytes"] if text is None else text)
        except ConnectionClosed:
            return


async def _pump_down(inner: ClientConnection, send: Send) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in inner:
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})
    code: Any = inner.close_code
    closed = 1012 if code is None or code in _NOT_SENDABLE else code
    with contextlib.suppress(RuntimeError):  # The browser has closed it by now.
        await send({"type": "websocket.close", "code": closed, "reason": inner.close_reason or ""})
