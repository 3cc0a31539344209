"""Receiving over HTTP: `POST /api/v1/ingest`, JSON or a form with files, and what became of it.

A token needs the scope `write`. What is answered 202 is durable on the SSD, whether the engine
answers or not; the windows that it is gathered in are laid into the inbox by a thread of this
process, and brought in by the scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from adapters import (
    RECEIVED_TOLD_MAX,
    Receipt,
    ReceivedOutbox,
    ReceivedState,
    ReceivedUpload,
    Receiver,
    Resumables,
    received_folder,
    received_state,
)
from base.errors import DrystoneError, UsageError
from base.logging.ids import about
from base.operations.routes import KEY_LENGTH_MAX, REPEATED_HEADER, problem_answers
from gui.access.needs import OPERATOR
from gui.access.roles import Visitor, require
from gui.door.asked import Asked, asked_of, former_words, wait_s_of
from gui.door.forms import FORM_TYPE, Form
from gui.reading.connections import Connections
from sql import Database, DatabaseUnavailableError

PATH = "/api/v1/ingest"
TICK_S = 0.5
RETRY_S = 5.0
PIECE_BYTES = 1 << 20
"""So much of a form is read before it is written."""
LOOK_EVERY_S = 0.5
LINGER_S = 1.0
"""So long is read away what a refused client still sends, so that it hears why."""
WAITED_FOR = ("stored", "described", "done", "failed")
JSON_TYPE = "application/json"
LINES_TYPES = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})
_FORM = {
    "type": "object",
    "properties": {
        "payload": {"description": "JSON: an object, or a list of objects."},
        "files[]": {"type": "array", "items": {"type": "string", "format": "binary"}},
        **{name: {"type": "string"} for name in Asked.model_fields},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON_TYPE: {"schema": {}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            FORM_TYPE: {"schema": _FORM},
        },
    }
}

_log = logging.getLogger(__name__)


class Receiving:
    """The receiver of a door, opened when something is there to be taken up, or comes."""

    def __init__(self, config_path: str, database: Callable[[], Database]) -> None:
        self._config_path, self._database = config_path, database
        # Held while it is opened, which reads journals, and while it is closed.
        self._lock = threading.Lock()
        self._receiver: Receiver | None = None
        self._resumables: Resumables | None = None
        self._outbox: ReceivedOutbox | None = None
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=each, name=name, daemon=True)
            for name, each in {
                "receive": ("receive.waits", "what was received waits", self._lay_out),
                # Of its own: a database that is away keeps nobody waiting.
                "receive-tell": ("receive.untold", "requests are not told", self._tell),
            }.items()
        ]

    def start(self) -> None:
        """Begin to lay windows into the inbox, and to tell the database of requests."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End it; what is gathered is taken up by the next."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        with self._lock:
            if self._receiver is not None:
                self._receiver.close()

    def receiver(self) -> Receiver:
        """Return the receiver, opened; blocks. Raises JournalError."""
        with self._lock:
            if self._receiver is None:
                self._receiver = Receiver(self._config_path)
            return self._receiver

    def resumables(self) -> Resumables:
        """Return the uploads that are resumed; blocks. Raises JournalError."""
        receiver = self.receiver()
        with self._lock:
            if self._resumables is None:
                self._resumables = Resumables(receiver)
            return self._resumables

    def _lay_out(self) -> None:
        if self._receiver is not None or os.path.isdir(received_folder(self._config_path)):
            self.receiver().tick()
            self.resumables().sweep()

    def _tell(self) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        if self._outbox is None:
            self._outbox = ReceivedOutbox(receiver)
        with contextlib.suppress(DatabaseUnavailableError):  # It is told when that is back.
            self._outbox.tell(self._database())

    def _repeat(self, name: str, what: str, work: Callable[[], None]) -> None:
        wait_s, told = TICK_S, ""
        while not self._is_over.wait(wait_s):
            try:
                work()
                wait_s, told = TICK_S, ""
            except Exception as error:
                # Whatever it is: this thread is the only one that does this.
                wait_s = RETRY_S
                is_ours = isinstance(error, (DrystoneError, OSError))
                if str(error) != told:
                    told = str(error)
                    _log.error("%s: %s", what, told, exc_info=not is_ours, extra=about(name))


class Accepted(BaseModel):
    """What was accepted: durable on the SSD. `system_ids` are the nodes of the first parts."""

    request_id: str
    state_url: str
    state: ReceivedState
    parts: int
    system_ids: list[str]


Operator = Annotated[Visitor, Depends(OPERATOR)]
_Key = Annotated[str | None, Header(max_length=KEY_LENGTH_MAX)]
_Prefer = Annotated[str, Header(max_length=200, description="`wait=10` waits for `stored`.")]


def add_receiving(app: FastAPI, desk: Connections, receiving: Receiving) -> None:
    """Add the routes."""
    router = APIRouter(prefix=PATH, tags=["receive"], responses=problem_answers())

    @router.post("", status_code=202, openapi_extra=_BODY)
    async def receive(
        request: Request,
        response: Response,
        visitor: Operator,
        _asked: Annotated[Asked, Query()],
        idempotency_key: _Key = None,
        prefer: _Prefer = "",
    ) -> Accepted:
        """Accept JSON objects (one, a list, or one a line) and files; answered when durable."""
        try:
            receipt, told = await _taken(desk, receiving, request, visitor, idempotency_key)
        except ClientDisconnect:
            raise UsageError("the body ended before its length; nothing was taken") from None
        except DrystoneError:
            await _read_away(request)
            raise
        response.headers.update(told)
        state: ReceivedState = "accepted"
        if wait_s := wait_s_of(prefer):
            response.headers["preference-applied"] = f"wait={wait_s:.0f}"
            state = await _waited(desk, receipt, wait_s)
        return Accepted(
            request_id=receipt.request_id,
            state_url=f"{PATH}/{receipt.request_id}",
            state=state,
            parts=receipt.count,
            system_ids=receipt.system_ids(RECEIVED_TOLD_MAX),
        )

    app.router.routes += router.routes


async def _taken(
    desk: Connections, receiving: Receiving, request: Request, visitor: Visitor, key: str | None
) -> tuple[Receipt, dict[str, str]]:
    """Read a body and accept it; returns headers, too. Nothing is left of what cannot be taken."""
    fields: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        fields.setdefault(name, []).append(value)
    content_type = request.headers.get("content-type", JSON_TYPE)
    is_form = content_type.partition(";")[0].strip().lower() == FORM_TYPE
    is_lines = not is_form and _is_lines(content_type)

    def accept(
        asked: Asked, body: bytes, upload: ReceivedUpload | None
    ) -> tuple[Receipt, dict[str, str]]:
        receipt, is_repeated = receiving.receiver().accept(
            visitor.name,
            asked.source,
            body,
            is_lines=is_lines,
            key=key,
            owner=asked.owner,
            said=asked.said,
            upload=upload,
        )
        repeated = {REPEATED_HEADER: "true"} if is_repeated else {}
        return receipt, repeated | former_words(fields)

    if not is_form:
        asked = await allowed(desk, asked_of(fields), visitor)
        return await desk.work(accept, asked, await request.body(), None)
    upload = await desk.work(lambda: receiving.receiver().upload())
    try:
        form = await _read_form(desk, request, Form(content_type, upload), receiving)
        for name, values in form.fields.items():
            fields.setdefault(name, []).extend(values)
        asked = await allowed(desk, asked_of(fields), visitor)
    except BaseException:
        await asyncio.shield(desk.work(upload.discard))
        raise
    return await desk.work(accept, asked, form.payload, upload)


async def _read_form(desk: Connections, request: Request, form: Form, receiving: Receiving) -> Form:
    """Read a form to its end, a piece at a time."""
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        await desk.work(lambda: receiving.receiver().room.check(int(length)))
    await read_pieces(desk, request, form.feed)
    form.end()
    return form


async def read_pieces(desk: Connections, request: Request, take: Callable[[bytes], None]) -> None:
    """Read a body; each piece of it is taken while the next one comes, also what came of the last.

    No more than two pieces are in memory.
    """
    gathered = bytearray()
    taking: asyncio.Future[None] | None = None
    try:
        async for data in request.stream():
            gathered += data
            if len(gathered) >= PIECE_BYTES:
                if taking is not None:
                    await asyncio.shield(taking)
                taking = asyncio.ensure_future(desk.work(take, bytes(gathered)))
                gathered.clear()
    finally:
        # Of a body that ends early, too. What could not be written ends it: what comes behind it
        # would get its place.
        if taking is not None:
            await taking
        if gathered:
            await desk.work(take, bytes(gathered))


async def allowed(desk: Connections, asked: Asked, visitor: Visitor) -> Asked:
    """Return what is asked. ForbiddenError for another's name by who is no admin; NotFoundError."""
    if asked.owner and asked.owner != visitor.name:
        require(visitor, "admin")
        await desk.work(lambda: desk.database().users.user(asked.owner))
    return asked


async def _waited(desk: Connections, receipt: Receipt, wait_s: float) -> ReceivedState:
    """Wait until the parts of a request are stored, or it is late; return the state then."""
    end_s = time.monotonic() + wait_s
    state: ReceivedState = "accepted"
    while state not in WAITED_FOR and time.monotonic() < end_s:
        await asyncio.sleep(min(LOOK_EVERY_S, wait_s))
        with contextlib.suppress(DatabaseUnavailableError):  # It is accepted all the same.
            state = (await desk.work(lambda: received_state(desk.database(), receipt))).state
    return state


async def _read_away(request: Request) -> None:
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(LINGER_S):
            async for _ in request.stream():
                pass


def _is_lines(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != JSON_TYPE and kind not in LINES_TYPES:
        raise UsageError(
            f"a body of {kind[:100]!a} is not taken; send {JSON_TYPE}, application/x-ndjson, or "
            f"{FORM_TYPE} with files"
        )
    return kind != JSON_TYPE
