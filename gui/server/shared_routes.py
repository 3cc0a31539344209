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

from fastapi import FastAPI, Path, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse

from adapters import drawn_as
from base.errors import DrystoneError
from base.operations.problem import status_of
from gui.reading.desk import Desk
from gui.server.thumbnail_routes import ASKED_AGAIN, HERE, KEY, content_file, stand_in
from gui.widgets.blocks import size
from sql import GuestView, NotFoundError, SharedContent

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
_FILE = {**ASKED_AGAIN, **_NOT_TOLD}
_GONE = "Nothing is shared here, or not any more.\n"

Part = Annotated[str, Path()]


def add_shared(app: FastAPI, desk: Desk) -> None:
    """Add `/shared/SECRET`, and the pictures and contents below it."""
    with open(os.path.join(HERE, "static", "shared.html"), encoding="utf-8") as file:
        template = Template(file.read())

    @app.get("/shared/{secret}", include_in_schema=False)
    async def shared(secret: Part) -> Response:
        try:
            found = await desk.work(lambda: _seen(desk, secret).shared(SHOWN_MAX + 1))
        except DrystoneError as error:
            return _refused(error)
        tiles = "".join(_tile(secret, one) for one in found[:SHOWN_MAX])
        more = f"<p>The first {SHOWN_MAX} are shown.</p>" if len(found) > SHOWN_MAX else ""
        return HTMLResponse(template.substitute(tiles=tiles, more=more), headers=_PAGE)

    @app.get("/shared/{secret}/thumbnail/{key}", include_in_schema=False)
    async def thumbnail(secret: Part, key: Part) -> Response:
        try:
            one = await desk.work(_content, desk, secret, key)
            kind = drawn_as(one.media_type, one.extension)
            if kind is None:
                raise NotFoundError("this has no picture")
            found = await desk.thumbnails.get(key, kind)
        except DrystoneError as error:
            return _refused(error)
        if found.state != "ready":
            return stand_in(found.state, one.extension or "")
        return FileResponse(found.path, media_type="image/webp", headers=_FILE)

    @app.get("/shared/{secret}/content/{key}", include_in_schema=False)
    async def content(secret: Part, key: Part) -> Response:
        try:
            one = await desk.work(_content, desk, secret, key)
            return await content_file(desk, key, _FILE, _name(one))
        except DrystoneError as error:
            return _refused(error)


def _seen(desk: Desk, secret: str) -> GuestView:
    if not _SECRET.fullmatch(secret):
        raise NotFoundError("this is no secret of ours")
    return desk.database().shared_by(secret)


def _content(desk: Desk, secret: str, key: str) -> SharedContent:
    if not _KEY.fullmatch(key):
        raise NotFoundError("this is no key")
    return _seen(desk, secret).shared_content(key)


def _refused(error: DrystoneError) -> Response:
    """Return an answer that tells nothing but whether to try again."""
    if status_of(error) == 503:
        return PlainTextResponse("This cannot be shown now.\n", 503, headers=_PAGE)
    return PlainTextResponse(_GONE, 404, headers=_PAGE)


def _name(one: SharedContent) -> str:
    return f"{one.key[:12]}.{one.extension}" if one.extension else one.key


def _tile(secret: str, one: SharedContent) -> str:
    place = f"/shared/{secret}"
    picture = ""
    if drawn_as(one.media_type, one.extension):
        picture = f'<img src="{place}/thumbnail/{one.key}" alt="" loading="lazy" />'
    words = html.escape(f"{one.extension or 'file'}, {size(one.size_bytes)}")
    return f'<li><a href="{place}/content/{one.key}">{picture}<span>{words}</span></a></li>'
