"""Contents and pictures over HTTP: it owns their routes; the bytes are the store's, by key only.

Whoever asks is looked at anew by every request, and browsers ask again before they show what they
keep: what somebody may not see any more is not shown from the next request on.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse

from adapters import source_facts
from base.errors import DrystoneError
from base.operations.operation import GUEST, Right
from gui.access.guard import VISITOR_KEY
from gui.access.needs import SOMEBODY, needing
from gui.access.roles import Visitor, require
from gui.contents.conditions import is_known
from gui.contents.media import PLAYED
from gui.contents.objects import Objects
from gui.contents.seen import KEY, check_seen, seen_by
from gui.contents.thumbnails import DrawnAs, Size, Thumbnails
from gui.reading.connections import Connections
from sql import NotFoundError

LISTED_MAX = 20_000
"""So many files of its batches are looked through for the name of one that is downloaded."""
STATIC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "static")
UNNAMED = "application/octet-stream"

# A browser that opens such bytes as a page runs nothing of it.
APART = {
    "content-security-policy": "default-src 'none'; sandbox",
    "vary": "cookie, authorization",
}
KEPT = {**APART, "cache-control": "private, no-cache"}
"""For those who see all: kept, and asked about before it is shown."""
NOT_KEPT = {**APART, "cache-control": "no-store"}
"""For those to whom it was shown: it may be taken back."""

ASSET_CONTENT = "/api/v1/assets/{key}/content"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {UNNAMED: {"schema": {"type": "string", "format": "binary"}}}}
}

Key = Annotated[str, Path(pattern=KEY)]
READING = ["GET", "HEAD"]


def add_contents(
    app: FastAPI, connections: Connections, objects: Objects, thumbnails: Thumbnails
) -> None:
    """Add `/thumbnail/KEY`, `/content/KEY` and `/labelling/media/KEY.EXTENSION`."""

    asked: dict[str, Any] = {
        "methods": READING,
        "include_in_schema": False,
        "dependencies": needing(SOMEBODY),
    }

    async def checked(request: Request, key: str, right: Right = "view") -> dict[str, str]:
        """Return the headers of an answer to those who may have this. Raises NotFoundError."""
        visitor: Visitor = request.scope[VISITOR_KEY]
        await connections.work(check_seen, connections.database, key, visitor, right)
        return NOT_KEPT if visitor.role == "guest" else KEPT

    @app.api_route("/thumbnail/{key}", **asked)
    async def thumbnail(
        request: Request,
        key: Key,
        media_type: Annotated[DrawnAs, Query()] = "image",
        size: Annotated[Size, Query()] = "small",
        extension: Annotated[str, Query(pattern=r"^[a-z0-9]{0,10}$")] = "",
    ) -> Response:
        try:
            headers = await checked(request, key)
            found = await thumbnails.get(key, media_type, size)
        except DrystoneError:
            return stand_in("away")
        if found.state != "ready":
            return stand_in(found.state, extension)
        told: dict[str, str] = {}
        if size == "large" and (facts := await connections.work(source_facts, found.path)):
            # Who marks a place in the picture has to find it in the original.
            told["x-drystone-source"] = f"{facts.width} {facts.height} {facts.orientation}"
        return picture(request, found.path, {**headers, **told})

    @app.get(ASSET_CONTENT, tags=["asset"], responses=_BYTES, dependencies=needing(SOMEBODY))
    @app.head(ASSET_CONTENT, include_in_schema=False, dependencies=needing(SOMEBODY))
    @app.api_route("/content/{key}", **asked)
    async def content(request: Request, key: Key) -> Response:
        """Send the bytes of an asset, or a `Range` of them."""
        headers = await checked(request, key, "export")

        async def name() -> str:
            # What a file was called is no matter of those who see only some of it.
            is_told = request.scope[VISITOR_KEY].may("viewer")
            return await connections.work(_name_of, connections, key) if is_told else ""

        # Never to be opened: no stranger's bytes are shown under our name.
        return await objects.answer(request, key, UNNAMED, headers, name)

    @app.api_route("/labelling/media/{key}.{extension}", **asked)
    async def media(request: Request, key: Key, extension: str) -> Response:
        if extension not in PLAYED:
            raise NotFoundError("browsers do not play such files")
        visitor: Visitor = request.scope[VISITOR_KEY]
        if visitor.role != GUEST and not visitor.may("viewer"):
            require(visitor, "labeller")
        headers = await checked(request, key)
        if visitor.role == GUEST:
            # To play is to look; whoever could name anything as a film would get every file.
            found = await connections.work(
                lambda: seen_by(connections.database(), visitor).explore.node(key).node
            )
            if found["extension"] != extension:
                raise NotFoundError("this is no such file")
        return await objects.answer(request, key, PLAYED[extension], headers)


def picture(request: Request, path: str, headers: dict[str, str]) -> Response:
    """Return a picture as it lies in the cache, or that it is the one that the client has."""
    facts = os.stat(path)
    told = {**headers, "etag": f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'}
    if is_known(request.headers, told["etag"]):
        return Response(status_code=304, headers=told)
    return FileResponse(path, media_type="image/webp", headers=told, stat_result=facts)


def _name_of(connections: Connections, key: str) -> str:
    """Return what an object was called when it came in; nothing when nobody knows it."""
    from datasets import called, names_as_they_came

    try:
        report = connections.database().explore.node(key)
        batches = [batch["name"] for batch in report.ingest_batches]
        found = names_as_they_came(connections.store, batches, [key], listed_max=LISTED_MAX)
    except DrystoneError:
        return ""  # The bytes may be read all the same.
    name = found.get(key, "")
    if name and name.isprintable():
        return name
    titles = [row["title"] for row in report.metadata if row["title"]]
    return called(titles[-1] if titles else "", key, report.node["extension"])


def stand_in(state: str, extension: str = "") -> Response:
    """Return a drawing of ours that says why there is no picture, and of what."""
    path = os.path.join(STATIC, f"picture-{state}.svg")
    headers = {**NOT_KEPT, "x-drystone-picture": state}
    if state != "broken" or not extension:
        return FileResponse(path, media_type="image/svg+xml", headers=headers)
    with open(path, encoding="utf-8") as file:
        drawing = file.read().replace("Broken picture", f"{extension.upper()}: cannot be drawn")
    return Response(drawing, media_type="image/svg+xml", headers=headers)
