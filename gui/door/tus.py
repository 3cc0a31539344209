"""Uploads that are resumed, by the protocol tus 1.0: `/api/v1/uploads`.

Extensions: creation, termination, checksum, concatenation. An upload that is whole is accepted as a
request with one file, durable before its last piece is answered; `Drystone-Request` says where that
is asked for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adapters import (
    RESUMABLE_CHECKSUMS,
    ChecksumError,
    OffsetError,
    Receipt,
    ResumableAbout,
)
from base.errors import UsageError
from base.operations.routes import problem_answers
from gui.access.needs import SOMEBODY, needing
from gui.access.roles import Visitor
from gui.door.asked import asked_of, former_words
from gui.door.receiving import PATH as RECEIVING_PATH
from gui.door.receiving import Operator, Receiving, allowed, read_pieces
from gui.reading.connections import Connections
from sql import BusyError

PATH = "/api/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,concatenation"
PIECE_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460
PARTIAL = "partial"
FINAL = "final;"
LENGTH_MAX = 1 << 50
_IGNORED = frozenset({"filename", "filetype", "relativePath", "name", "type"})
"""What the file is called and is; other clients say it by other names."""
_HEADERS = {"tus-resumable": VERSION, "cache-control": "no-store"}

_PIECE = {
    "requestBody": {
        "required": True,
        "content": {PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}

Result = TypeVar("Result")
_Id = Annotated[str, Path(max_length=100)]
_Number = Annotated[int, Header(ge=0, le=LENGTH_MAX)]


def _speaks(visitor: Operator, tus_resumable: Annotated[str, Header()] = "") -> Visitor:
    """Return who asks; refuses another version of the protocol."""
    if tus_resumable != VERSION:
        raise HTTPException(412, f"say Tus-Resumable: {VERSION}", {"tus-version": VERSION})
    return visitor


Sender = Annotated[Visitor, Depends(_speaks)]


def add_tus(app: FastAPI, desk: Connections, receiving: Receiving) -> None:
    """Add the routes."""
    router = APIRouter(prefix=PATH, tags=["receive"], responses=problem_answers())

    @router.options("", status_code=204, dependencies=needing(SOMEBODY))
    async def what_it_can() -> Response:
        """Tell the version of the protocol, and what is extended."""
        told = {
            "tus-version": VERSION,
            "tus-extension": EXTENSIONS,
            "tus-checksum-algorithm": ",".join(RESUMABLE_CHECKSUMS),
        }
        return Response(status_code=204, headers=_HEADERS | told)

    @router.post("", status_code=201)
    async def create(
        visitor: Sender,
        upload_length: Annotated[int | None, Header(ge=0, le=LENGTH_MAX)] = None,
        upload_metadata: Annotated[str, Header(max_length=16_384)] = "",
        upload_concat: Annotated[str, Header(max_length=32_768)] = "",
    ) -> Response:
        """Begin an upload, or join partial ones that are whole."""
        is_final = upload_concat.startswith(FINAL)
        if upload_length is None and not is_final:
            raise UsageError("say how long it is, in Upload-Length")
        is_partial = upload_concat == PARTIAL
        fields = _metadata(upload_metadata)
        about = await _about(desk, visitor, fields, upload_length or 0, is_partial)
        receipt = None
        if is_final:
            pieces = _pieces(upload_concat.removeprefix(FINAL).split())
            upload_id, receipt = await desk.work(lambda: receiving.resumables().join(about, pieces))
        else:
            upload_id = await desk.work(lambda: receiving.resumables().create(about))
            if not about.length_bytes:
                receipt = await desk.work(
                    lambda: receiving.resumables().finish(upload_id, visitor.name)
                )
        headers = {"location": f"{PATH}/{upload_id}", **_of_request(receipt)}
        headers |= former_words({"priority": [fields.get("priority", "")]})
        return Response(status_code=201, headers=_HEADERS | headers)

    @router.head("/{upload_id}")
    async def look(visitor: Sender, upload_id: _Id) -> Response:
        """Tell how much of an upload is durable: from there it goes on."""

        def found() -> dict[str, str]:
            uploads = receiving.resumables()
            receipt = uploads.accepted(upload_id, visitor.name)
            if receipt is not None:
                size = str(receipt.files[0].size_bytes)
                told = {"upload-offset": size, "upload-length": size}
                return told | _of_request(receipt)
            about = uploads.about(upload_id, visitor.name)
            told = {
                "upload-offset": str(uploads.offset(upload_id, visitor.name)),
                "upload-length": str(about.length_bytes),
            }
            return told | ({"upload-concat": PARTIAL} if about.is_partial else {})

        return Response(headers=_HEADERS | await _tried(desk, found))

    @router.patch("/{upload_id}", status_code=204, openapi_extra=_PIECE)
    async def append(
        request: Request,
        visitor: Sender,
        upload_id: _Id,
        upload_offset: _Number,
        upload_checksum: Annotated[str, Header(max_length=200)] = "",
    ) -> Response:
        """Send a piece; what came of it is kept, also when the connection ends within it."""
        if request.headers.get("content-type", "") != PIECE_TYPE:
            raise HTTPException(415, f"a piece is of the type {PIECE_TYPE}")
        algorithm, digest = _checksum(upload_checksum)
        piece = await _tried(
            desk,
            lambda: receiving.resumables().append(
                upload_id, visitor.name, upload_offset, algorithm, digest
            ),
        )
        try:
            await read_pieces(desk, request, piece.write)
            piece.check()
        except ClientDisconnect:
            raise UsageError("the piece ended early; what came of it is kept") from None
        except ChecksumError as error:
            raise HTTPException(CHECKSUM_MISMATCH, str(error), _HEADERS) from error
        finally:
            await desk.work(piece.close)
        receipt = await desk.work(lambda: receiving.resumables().finish(upload_id, visitor.name))
        told = {"upload-offset": str(piece.offset), **_of_request(receipt)}
        return Response(status_code=204, headers=_HEADERS | told)

    @router.delete("/{upload_id}", status_code=204)
    async def remove(visitor: Sender, upload_id: _Id) -> Response:
        """Give an upload up; nothing is left of it."""
        await _tried(desk, lambda: receiving.resumables().remove(upload_id, visitor.name))
        return Response(status_code=204, headers=_HEADERS)

    app.router.routes += router.routes


async def _tried(desk: Connections, work: Callable[[], Result]) -> Result:
    """Do what may be refused as the protocol says: 404, 409, 423."""
    try:
        return await desk.work(work)
    except OffsetError as error:
        raise HTTPException(409, str(error)) from error
    except BusyError as error:
        raise HTTPException(423, str(error)) from error


async def _about(
    desk: Connections,
    visitor: Visitor,
    fields: Mapping[str, str],
    length_bytes: int,
    is_partial: bool,
) -> ResumableAbout:
    file_name = fields.get("filename", "") or fields.get("name", "") or "file"
    content_type = fields.get("filetype", "") or fields.get("type", "")
    said = {name: [value] for name, value in fields.items() if name not in _IGNORED}
    asked = await allowed(desk, asked_of(said), visitor)
    return ResumableAbout(
        account=visitor.name,
        length_bytes=length_bytes,
        is_partial=is_partial,
        file_name=file_name,
        content_type=content_type[:200] or None,
        source=asked.source,
        owner=asked.owner,
        said=asked.said,
    )


def _metadata(header: str) -> dict[str, str]:
    """Return what Upload-Metadata says: names, and values in base64."""
    found: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UsageError(f"Upload-Metadata: {name[:80]!a} is no text in base64") from error
    return found


def _checksum(header: str) -> tuple[str, bytes]:
    if not header:
        return "", b""
    algorithm, _, value = header.partition(" ")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise UsageError("Upload-Checksum is an algorithm and a digest in base64") from error


def _pieces(addresses: Sequence[str]) -> list[str]:
    """Return the ids of the uploads at these addresses, whole ones or paths."""
    if not addresses:
        raise UsageError("Upload-Concat names no upload")
    return [one.rstrip("/").rpartition("/")[2] for one in addresses]


def _of_request(receipt: Receipt | None) -> dict[str, str]:
    return {} if receipt is None else {"drystone-request": f"{RECEIVING_PATH}/{receipt.request_id}"}
