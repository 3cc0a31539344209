"""Pictures and contents over HTTP: it owns their routes; the bytes are the store's, by key only."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from adapters import source_facts
from base.errors import DrystoneError
from datasets import called, names_as_they_came
from fsd import FsdError
from gui.access.guard import VISITOR_KEY
from gui.reading.desk import Desk
from gui.reading.thumbnails import DrawnAs, Size

KEY = r"^[0-9a-f]{64}$"
CONTENT_SIZE_BYTES_MAX = 20_000_000_000
LISTED_MAX = 20_000
"""So many files of its batches are looked through for the name of one that is downloaded."""
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A browser that opens such bytes as a page runs nothing of it.
APART = {"content-security-policy": "default-src 'none'; sandbox", "vary": "cookie"}
_KEPT = {**APART, "cache-control": "private, max-age=604800, immutable"}
ASKED_AGAIN = {**APART, "cache-control": "no-store"}

Key = Annotated[str, Path(pattern=KEY)]


def add_thumbnails(app: FastAPI, desk: Desk) -> None:
    """Add `/thumbnail/KEY` and `/content/KEY`."""

    @app.get("/thumbnail/{key}", include_in_schema=False)
    async def thumbnail(
        request: Request,
        key: Key,
        media_type: Annotated[DrawnAs, Query()] = "image",
        size: Annotated[Size, Query()] = "small",
        extension: Annotated[str, Query(pattern=r"^[a-z0-9]{0,10}$")] = "",
    ) -> Response:
        try:
            await desk.work(desk.labels.check_shown, key, request.scope[VISITOR_KEY])
            found = await desk.thumbnails.get(key, media_type, size)
        except DrystoneError:
            return stand_in("away")
        if found.state != "ready":
            return stand_in(found.state, extension)
        # What a guest sees may be taken back; nobody else's picture is hidden within a week.
        is_guest = request.scope[VISITOR_KEY].role == "guest"
        headers = dict(ASKED_AGAIN if is_guest else _KEPT)
        if size == "large" and (facts := await desk.work(source_facts, found.path)):
            # Who marks a place in the picture has to find it in the original.
            headers["x-drystone-source"] = f"{facts.width} {facts.height} {facts.orientation}"
        return FileResponse(found.path, media_type="image/webp", headers=headers)

    @app.get("/content/{key}", include_in_schema=False)
    async def content(request: Request, key: Key) -> Response:
        try:
            await desk.work(desk.labels.check_shown, key, request.scope[VISITOR_KEY])
            # What a file was called is no matter of those who see only some of it.
            is_told = request.scope[VISITOR_KEY].may("viewer")
            name = await desk.work(_name_of, desk, key) if is_told else ""
            return await content_file(desk, key, APART, name)
        except DrystoneError as error:
            return JSONResponse({"error": str(error)}, 404)


async def content_file(desk: Desk, key: str, headers: dict[str, str], name: str = "") -> Response:
    """Return the bytes of an object as a file to keep. Raises FsdError."""
    folder, path = await desk.work(_fetch, desk, key)
    remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    # Never to be opened: no stranger's bytes are shown under our name.
    return FileResponse(
        path, media_type="application/octet-stream", filename=name or key, headers=headers,
        background=remove,
    )  # fmt: skip


def _name_of(desk: Desk, key: str) -> str:
    """Return what an object was called when it came in; nothing when nobody knows it."""
    try:
        report = desk.database().explore.node(key)
        batches = [batch["name"] for batch in report.ingest_batches]
        found = names_as_they_came(desk.store, batches, [key], listed_max=LISTED_MAX)
    except DrystoneError:
        return ""  # The bytes may be read all the same.
    name = found.get(key, "")
    if name and name.isprintable():
        return name
    titles = [row["title"] for row in report.metadata if row["title"]]
    return called(titles[-1] if titles else "", key, report.node["extension"])


def stand_in(state: str, extension: str = "") -> Response:
    """Return a drawing of ours that says why there is no picture, and of what."""
    path = os.path.join(HERE, "static", f"picture-{state}.svg")
    headers = {**ASKED_AGAIN, "x-drystone-picture": state}
    if state != "broken" or not extension:
        return FileResponse(path, media_type="image/svg+xml", headers=headers)
    with open(path, encoding="utf-8") as file:
        drawing = file.read().replace("Broken picture", f"{extension.upper()}: cannot be drawn")
    return Response(drawing, media_type="image/svg+xml", headers=headers)


def _fetch(desk: Desk, key: str) -> tuple[str, str]:
    head = desk.store.head(key)
    if head.size_bytes > CONTENT_SIZE_BYTES_MAX:
        raise FsdError("this is too large to come through a browser; use `drystone get`")
    os.makedirs(desk.config.thumbnail_dir, mode=0o700, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=".content-", dir=desk.config.thumbnail_dir)
    try:
        path = os.path.join(folder, key)
        desk.store.read(key, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, path
