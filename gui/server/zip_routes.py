"""Chosen files over HTTP as one zip: it is written while it is sent, and lies nowhere."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from base.errors import DrystoneError, UsageError
from base.operations.operation import GUEST
from base.operations.problem import status_of
from base.text import size_text
from datasets import NamedFile, named_files
from fsd import PIECE_BYTES, Client, EngineUnavailableError, FsdError, ReindexingError
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor
from gui.contents.reads import note_read
from gui.contents.seen import seen_by
from gui.core.filters import ADDRESS_LENGTH_MAX, filters_of, problems_of
from gui.reading.desk import Desk

FILES_MAX = 10_000
SIZE_BYTES_MAX = 20_000_000_000
MISSING = "NOT IN THIS ZIP.txt"


def add_zip(app: FastAPI, desk: Desk) -> None:
    """Add `/explorer/zip`."""

    @app.get("/explorer/zip", include_in_schema=False)
    async def zipped(
        request: Request, s: Annotated[str, Query(max_length=ADDRESS_LENGTH_MAX)] = ""
    ) -> Response:
        visitor: Visitor = request.scope[VISITOR_KEY]
        if not visitor.may(GUEST):
            return PlainTextResponse("this needs the role viewer\n", 403)
        try:
            files = await desk.work(_files, desk, visitor, s)
        except DrystoneError as error:
            return PlainTextResponse("\n".join(problems_of(error)) + "\n", status_of(error))
        await note_read(desk, request, {"selector": s, "files": len(files)})
        told = {"Content-Disposition": 'attachment; filename="files.zip"'}
        return StreamingResponse(
            parts_of(desk.store, files), media_type="application/zip", headers=told
        )


def _files(desk: Desk, visitor: Visitor, selector: str) -> list[NamedFile]:
    """Return what is in a zip; for a guest what may be exported."""
    database = seen_by(desk.database(), visitor, "export")
    chosen = filters_of({"s": selector}).selector
    total = database.aggregate(chosen)
    if total.count > FILES_MAX or total.size_bytes > SIZE_BYTES_MAX:
        raise UsageError(
            f"a zip has at most {FILES_MAX:,} files and {size_text(SIZE_BYTES_MAX)}, these are "
            f"{total.count:,} and {size_text(total.size_bytes)}: make a folder of them"
        )
    files = named_files(database, desk.store, chosen)
    if not files:
        raise UsageError("none of these nodes has a file, so there is nothing to download")
    return files


class _Parts:
    """What a zip is written to: it gives away what it has."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Keep nothing back, as `take` does not."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def parts_of(store: Client, files: Sequence[NamedFile]) -> Iterator[bytes]:
    """Yield a zip of files; those that cannot be read are listed in it, with the reason. Blocks.

    Raises FsdError when one cannot be read to its end: the zip ends before its own, then.
    """
    sink, missing = _Parts(), list[str]()
    with zipfile.ZipFile(cast("Any", sink), "w") as archive:
        for file in files:
            pieces = _pieces(store, file.key)
            try:
                first = next(pieces)
            except (EngineUnavailableError, ReindexingError):
                raise  # It says nothing of this file.
            except DrystoneError as error:
                missing.append(f"{file.name}: {error}\n")
                continue
            # Some programs of Windows take a backslash for the way into a folder. It is added as
            # it is: pictures and films are packed already.
            name = file.name.replace("\\", "_")
            with archive.open(name, "w", force_zip64=True) as target:
                for piece in itertools.chain([first], pieces):
                    target.write(piece)
                    yield sink.take()
        if missing:
            archive.writestr(MISSING, "".join(missing))
    yield sink.take()


def _pieces(store: Client, key: str) -> Iterator[bytes]:
    """Yield an object a piece at a time, nothing for an empty one but that it is there."""
    size_bytes, state = store.head(key).size_bytes, hashlib.sha256()
    for number in range(max(1, -(-size_bytes // PIECE_BYTES))):
        data = store.piece(key, number) if size_bytes else b""
        state.update(data)
        if (number + 1) * PIECE_BYTES >= size_bytes and state.hexdigest() != key:
            raise FsdError(f"{key} does not match its sha256")
        yield data
