"""Pictures and contents over HTTP: it owns their routes; the bytes are the store's, by key only."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from adapters import source_facts
from base.errors import DrystoneError
from fsd import FsdError
from gui.access.guard import VISITOR_KEY
from gui.reading.desk import Desk
from gui.reading.thumbnails import PICTURED, Size

KEY = r"^[0-9a-f]{64}$"
CONTENT_SIZE_BYTES_MAX = 20_000_000_000
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A browser that opens such bytes as a page runs nothing of it.
APART = {"content-security-policy": "default-src 'none'; sandbox", "vary": "cookie"}
_KEPT = {**APART, "cache-control": "private, max-age=604800, immutable"}
_ASKED_AGAIN = {**APART, "cache-control": "no-store"}

Key = Annotated[str, Path(pattern=KEY)]


def add_thumbnails(app: FastAPI, desk: Desk) -> None:
    """Add `/thumbnail/KEY` and `/content/KEY`."""

    @app.get("/thumbnail/{key}", include_in_schema=False)
    async def thumbnail(
        request: Request,
        key: Key,
        media_type: Annotated[Literal["image", "video"], Query()] = "image",
        size: Annotated[Size, Query()] = "small",
    ) -> Response:
        assert media_type in PICTURED
        try:
            await desk.work(desk.labels.check_shown, key, request.scope[VISITOR_KEY])
            found = await desk.thumbnails.get(key, media_type, size)
        except DrystoneError:
            return _stand_in("away")
        if found.state != "ready":
            return _stand_in(found.state)
        headers = dict(_KEPT)
        if size == "large" and (facts := await desk.work(source_facts, found.path)):
            # Who marks a place in the picture has to find it in the original.
            headers["x-drystone-source"] = f"{facts.width} {facts.height} {facts.orientation}"
        return FileResponse(found.path, media_type="image/webp", headers=headers)

    @app.get("/content/{key}", include_in_schema=False)
    async def content(request: Request, key: Key) -> Response:
        try:
            await desk.work(desk.labels.check_shown, key, request.scope[VISITOR_KEY])
            folder, path = await desk.work(_fetch, desk, key)
        except DrystoneError as error:
            return JSONResponse({"error": str(error)}, 404)
        remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        # Always as a file to keep: no stranger's bytes are shown under our name.
        return FileResponse(
            path, media_type="application/octet-stream", filename=key, headers=APART,
            background=remove,
        )  # fmt: skip


def _stand_in(state: str) -> Response:
    """Return a drawing of ours that says why there is no picture."""
    path = os.path.join(HERE, "static", f"picture-{state}.svg")
    headers = {**_ASKED_AGAIN, "x-drystone-picture": state}
    return FileResponse(path, media_type="image/svg+xml", headers=headers)


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
