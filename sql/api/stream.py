"""Answers in JSON Lines: it owns how rows are sent while they are found, and when that ends.

A reader that does not read holds a connection and its snapshot, so there is a limit on how long one
piece may take to be accepted, and on the whole. Whatever ends the stream, the connection goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import islice

from anyio import CancelScope, to_thread
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from base.errors import DrystoneError
from base.operations.problem import PROBLEM_KEY, problem_document, status_of
from sql.core.errors import QueryTimeoutError
from sql.selector.select import NodeRow

NDJSON = "application/x-ndjson"
LINES_PER_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long a stream may take, and how long its reader may take for one piece of it."""

    stream_limit_s: float = 1_800.0
    send_limit_s: float = 30.0


class RowStream(Response):
    """Sends rows as lines; `release` is called when the rows are closed, whatever ended them."""

    def __init__(
        self,
        first: Sequence[NodeRow],
        rows: Generator[NodeRow],
        limits: StreamLimits,
        release: Callable[[], None],
    ) -> None:
        super().__init__(media_type=NDJSON)
        # The length is not known.
        del self.headers["content-length"]
        self._first = first
        self._rows = rows
        self._limits = limits
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all, or stop without the end of the answer when the reader does not take it."""
        try:
            # A reader that has gone, or is too slow, cannot be told anything any more.
            with contextlib.suppress(OSError, TimeoutError):
                await self._send_all(receive, send)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._rows.close)
            self._release()

    async def _send_all(self, receive: Receive, send: Send) -> None:
        # Sending to a reader that has gone may succeed, for ever; only receiving tells.
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await self._send_while(send, lambda: not gone.done())
        finally:
            gone.cancel()

    async def _send_while(self, send: Send, is_there: Callable[[], bool]) -> None:
        start: Message = {
            "type": "http.response.start", "status": self.status_code, "headers": self.raw_headers,
        }  # fmt: skip
        await self._send_in_time(send, start)
        async for chunk in self._lines():
            body: Message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await self._send_in_time(send, body)
            if not is_there():
                return
        await self._send_in_time(
            send, {"type": "http.response.body", "body": b"", "more_body": False}
        )

    async def _send_in_time(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(self._limits.send_limit_s):
            await send(message)

    async def _lines(self) -> AsyncIterator[bytes]:
        end = time.monotonic() + self._limits.stream_limit_s
        chunk = self._first
        try:
            while chunk:
                yield "".join(json.dumps(row._asdict()) + "\n" for row in chunk).encode()
                if time.monotonic() > end:
                    raise QueryTimeoutError(
                        f"the answer took longer than {self._limits.stream_limit_s:g} s; ask for "
                        "parts of it with limit and after_node_id"
                    )
                chunk = await to_thread.run_sync(lambda: list(islice(self._rows, LINES_PER_CHUNK)))
        except DrystoneError as error:
            problem = problem_document(status_of(error), type(error).__name__, str(error))
            yield (json.dumps({PROBLEM_KEY: problem}) + "\n").encode()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
