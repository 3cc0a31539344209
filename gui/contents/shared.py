"""What is shared by a link over HTTP: a page of pictures and contents, for whoever has its secret.

Nobody is logged in here. Each request asks the database anew, as a guest with this secret, so that
a link that ended or was taken back shows nothing from the next request on. What is not shared is
404, as what is not there.
"""

from __future__ import annotations

import html
import os
import re
from string import Template
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from adapters import drawn_as
from base.errors import DrystoneError
from base.operations.operation import Right
from base.operations.problem import RETRY_AFTER_S
from base.text import size_text
from fsd import NotFoundError as NoObjectError
from gui.contents.objects import Objects
from gui.contents.routes import NOT_KEPT, READING, STATIC, UNNAMED, picture, stand_in
from gui.contents.seen import KEY
from gui.contents.thumbnails import Thumbnails
from gui.reading.connections import Connections
from sql import GuestError, GuestView, NotFoundError, SharedContent

SHOWN_MAX = 500
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_KEY = re.compile(KEY)
_NOT_TOLD = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
_PAGE = {
    **_NOT_TOLD,
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_FILE = {**NOT_KEPT, **_NOT_TOLD}
_GONE = "Nothing is shared here, or not any more.\n"

Part = Annotated[str, Path()]


def add_shared(
    app: FastAPI, connections: Connections, objects: Objects, thumbnails: Thumbnails
) -> None:
    """Add `/shared/SECRET`, and the pictures and contents below it."""
    with open(os.path.join(STATIC, "shared.html"), encoding="utf-8") as file:
        template = Template(file.read())

    @app.api_route("/shared/{secret}", methods=READING, include_in_schema=False)
    async def shared(secret: Part) -> Response:
        try:
            found = await connections.work(lambda: _seen(connections, secret).shared(SHOWN_MAX + 1))
            gives = await connections.work(lambda: _seen(connections, secret, "export").holds())
        except DrystoneError as error:
            return _refused(error)
        tiles = "".join(_tile(secret, one, gives=gives) for one in found[:SHOWN_MAX])
        more = f"<p>The first {SHOWN_MAX} are shown.</p>" if len(found) > SHOWN_MAX else ""
        return HTMLResponse(template.substitute(tiles=tiles, more=more), headers=_PAGE)

    @app.api_route("/shared/{secret}/thumbnail/{key}", methods=READING, include_in_schema=False)
    async def thumbnail(request: Request, secret: Part, key: Part) -> Response:
        try:
            one = await connections.work(_content, connections, secret, key)
            kind = drawn_as(one.media_type, one.extension)
            if kind is None:
                raise NotFoundError("this has no picture")
            found = await thumbnails.get(key, kind)
        except DrystoneError as error:
            return _refused(error)
        if found.state != "ready":
            return stand_in(found.state, one.extension or "")
        return picture(request, found.path, _FILE)

    @app.api_route("/shared/{secret}/content/{key}", methods=READING, include_in_schema=False)
    async def content(request: Request, secret: Part, key: Part) -> Response:
        try:
            one = await connections.work(_content, connections, secret, key, "export")

            async def name() -> str:
                return _name(one)

            return await objects.answer(request, key, UNNAMED, _FILE, name)
        except DrystoneError as error:
            return _refused(error)


def _seen(connections: Connections, secret: str, right: Right = "view") -> GuestView:
    if not _SECRET.fullmatch(secret):
        raise NotFoundError("this is no secret of ours")
    return connections.database().shared_by(secret, right)


def _content(
    connections: Connections, secret: str, key: str, right: Right = "view"
) -> SharedContent:
    if not _KEY.fullmatch(key):
        raise NotFoundError("this is no key")
    return _seen(connections, secret, right).shared_content(key)


def _refused(error: DrystoneError) -> Response:
    """Return an answer that tells nothing but whether to try again."""
    if isinstance(error, (NotFoundError, NoObjectError, GuestError)):
        return PlainTextResponse(_GONE, 404, headers=_PAGE)
    again = {**_PAGE, "retry-after": str(RETRY_AFTER_S)}
    return PlainTextResponse("This cannot be shown now.\n", 503, headers=again)


def _name(one: SharedContent) -> str:
    return f"{one.key[:12]}.{one.extension}" if one.extension else one.key


def _tile(secret: str, one: SharedContent, *, gives: bool) -> str:
    place = f"/shared/{secret}"
    picture = ""
    if drawn_as(one.media_type, one.extension):
        picture = f'<img src="{place}/thumbnail/{one.key}" alt="" loading="lazy" />'
    words = html.escape(f"{one.extension or 'file'}, {size_text(one.size_bytes)}")
    inside = f"{picture}<span>{words}</span>"
    if not gives:
        return f"<li>{inside}</li>"
    return f'<li><a href="{place}/content/{one.key}">{inside}</a></li>'
