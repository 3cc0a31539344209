"""The guard of a server: it owns who and what comes in, and the headers of what goes out.

Every HTTP request and every websocket passes here first:
  name     -> only names that are ours (a stranger's name that points at us is refused)
  origin   -> what changes something, and every websocket, comes from a page of ours
  visitor  -> a session's cookie, or for the API a token; else the way to the login page. What is
              shared by a link needs none: its routes look at the secret
What a visitor may do is decided where it is done. No page is made here.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

from base.errors import DrystoneError
from base.operations.operation import GUEST
from base.operations.problem import PROBLEM_TYPE, RETRY_AFTER_S, problem_document
from gui.access.guest_turns import asked_by
from gui.access.roles import Visitor
from gui.access.sessions import Sessions
from gui.core.config import GuiConfig

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

VISITOR_KEY = "drystone.visitor"
AGAIN_KEY = "drystone.visitor_again"
"""What tells who asks now: a stream goes on for longer than a session or a token may."""
API_PREFIX = "/api/"
TOKEN_PATHS = frozenset({"/health", "/metrics"})
"""Beside the API: what a program that watches may ask for with a token."""
CONTENT_PATHS = ("/content/", "/thumbnail/")
"""Bytes, for browsers and programs alike."""
RECEIVING_PATHS = ("/api/v1/ingest", "/api/v1/uploads")
"""What programs send is taken at any time."""
LOGIN_PATH = "/login"
SHARED = re.compile(r"/shared/[^/]{1,100}(/(content|thumbnail)/[^/]{1,100})?")
"""What a secret in the address shows to whoever has it; never kept by a browser."""
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WEBSOCKET_REFUSED = 4403
_ERRORS = {401: "NotLoggedInError", 403: "ForbiddenError"}

# Pages are NiceGUI's, which compiles its templates in the browser and starts with a script of its
# own; nothing of a stranger is ever put into a page as markup, and nothing comes from elsewhere.
_CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self'; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    # Not no-referrer: browsers then call the origin of our own forms null.
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), usb=(), payment=()",
}


class Guard:
    """ASGI middleware; outermost, so that nothing answers before it has looked."""

    def __init__(self, app: App, config: GuiConfig, sessions: Sessions) -> None:
        self.app = app
        self._config = config
        self._sessions = sessions
        self._names = {"localhost", config.host.lower(), *(name.lower() for name in config.names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or websocket in, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        answer = _with_headers(send, scope["path"]) if scope["type"] == "http" else send
        refused = self._stranger(scope, headers)
        if refused:
            await _refuse(scope, receive, answer, 403, refused)
            return
        guest = ""
        if SHARED.fullmatch(scope["path"]):
            guest = "link " + scope["path"].split("/")[2]
        elif not _is_public(scope["path"]):
            try:
                visitor = await self._visitor(scope, headers)
            except DrystoneError as error:
                await _refuse(scope, receive, answer, 503, f"nobody can be let in now: {error}")
                return
            if visitor is None:
                await _ask_to_log_in(scope, receive, answer)
                return
            scope[VISITOR_KEY] = visitor
            scope[AGAIN_KEY] = functools.partial(self._visitor, scope, headers)
            guest = f"account {visitor.user_id}" if visitor.role == GUEST else ""
        with asked_by(guest):
            await self.app(scope, receive, answer)

    def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        """Return why a request is not from a page of ours; nothing when it is well."""
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_our_name(host):
            return f"{host!a} is no name of this server; add it to `names` in [gui]"
        is_socket = scope["type"] == "websocket"
        if not is_socket and scope["method"] in SAFE_METHODS:
            return ""
        if _token_of(headers) and _takes_tokens(scope["path"]):
            return ""  # A token is not sent by a browser on its own.
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin:
            return "the request does not say from which page it comes (Origin)"
        if urlsplit(origin).netloc.lower() != host.lower():
            return f"the request comes from another page, {origin!a}"
        return ""

    def _is_our_name(self, host: str) -> bool:
        if not _HOST.fullmatch(host):  # As two of them, of which others might believe another.
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)  # A plain address is nobody's name.
        except ValueError:
            return False
        return True

    async def _visitor(self, scope: Scope, headers: dict[bytes, bytes]) -> Visitor | None:
        token = _token_of(headers)
        if token and scope["path"].startswith(RECEIVING_PATHS):
            return await asyncio.to_thread(self._sessions.sender, token)
        if token and _takes_tokens(scope["path"]):
            return await asyncio.to_thread(self._sessions.visitor, token, is_token=True)
        secret = cookie_of(headers.get(b"cookie", b""), self._config.cookie_name)
        if not secret:
            return None
        known = self._sessions.remembered(secret)
        return known or await asyncio.to_thread(self._sessions.visitor, secret)


def cookie_of(header: bytes, name: str) -> str:
    """Return one cookie of a request; nothing when it has none."""
    try:
        cookie = SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return ""
    return cookie[name].value if name in cookie else ""


_PUBLIC = frozenset({LOGIN_PATH, "/favicon.ico", "/live", "/ready", "/healthz"})


def _is_public(path: str) -> bool:
    """Tell whether a path holds nothing but our program, which anybody may have."""
    if path in _PUBLIC or path.startswith("/static/"):
        return True
    # NiceGUI's own scripts lie below its version; what pages make lies beside it and is private.
    first, _, rest = path.removeprefix("/_nicegui/").partition("/")
    return path.startswith("/_nicegui/") and first[:1].isdigit() and bool(rest)


def _takes_tokens(path: str) -> bool:
    return path.startswith((API_PREFIX, *CONTENT_PATHS)) or path in TOKEN_PATHS


def _headers(scope: Scope) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        # Twice the same, as two hosts, would let two readers see two things.
        found[name] = value if name not in found else found[name] + b", " + value
    return found


def _token_of(headers: dict[bytes, bytes]) -> str:
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _with_headers(send: Send, path: str) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            ours = [(name, value) for name, value in _HEADERS.items() if name not in given]
            if b"cache-control" not in given and not _is_public(path):
                ours.append((b"cache-control", b"no-store"))
            message["headers"] = [*message["headers"], *ours]
        await send(message)

    return answer


async def _ask_to_log_in(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    is_page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    is_browser = path.startswith(CONTENT_PATHS) and not _token_of(_headers(scope))
    if not is_page or path.startswith("/_nicegui") or (_takes_tokens(path) and not is_browser):
        await _refuse(scope, receive, send, 401, "log in first, or show a token")
        return
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = quote(path + (f"?{query}" if query else ""), safe="/")
    location = LOGIN_PATH if wanted == "/" else f"{LOGIN_PATH}?next={wanted}"
    headers = [(b"location", location.encode("ascii")), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _WEBSOCKET_REFUSED, "reason": ""})
        return
    name = _ERRORS.get(status, "DatabaseUnavailableError")
    body = json.dumps(problem_document(status, name, reason)).encode("ascii")
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
