"""Objects as answers: their bytes go from the store to whoever asks, a piece at a time.

Nothing lies on the SSD, and no connection holds more than a piece. One that nobody takes is given
up at once and fetched again when it is wanted; a reader that takes nothing for long is ended by the
port (`gui.door.protocol`). Blocks are verified by the store; an answer with all of an object keeps
its last piece back until their sha256 is the object's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request, Response

from base.errors import DrystoneError
from base.logging.ids import about
from fsd import PIECE_BYTES, Client, FsdError
from gui.contents.conditions import Part, is_known, part_of

THREADS_MAX = 8
"""So many pieces are asked of the store at a time; of its own threads, so that disks that hang keep
nothing else of the port waiting. All others wait in the loop, and are nothing once they go."""
SLICE_BYTES = 256 << 10
"""As much as the kernel takes at once (`gui.door.protocol`). A quarter of it holds the loop
for twice as long, four times as much holds more memory of those who take nothing."""
UNTAKEN_S = 0.5
"""So long a piece waits for its reader."""

_log = logging.getLogger(__name__)

Note = Callable[[Request, str], Awaitable[None]]
Take = Callable[[int], Awaitable[bytes]]
Result = TypeVar("Result")
Message = MutableMapping[str, Any]


class Objects:
    """Answers with objects of the store; close it at the end.

    `note` is told of the key before the first byte is sent.
    """

    def __init__(self, store: Client, note: Note | None = None) -> None:
        self._store = store
        self._note = note
        self._threads = ThreadPoolExecutor(THREADS_MAX, "content")
        # So many ask the store; held until their thread is free. Waited for in the loop, innermost.
        self._turns = asyncio.Semaphore(THREADS_MAX)

    async def answer(
        self,
        request: Request,
        key: str,
        media_type: str,
        headers: Mapping[str, str],
        name: Callable[[], Awaitable[str]] | None = None,
    ) -> Response:
        """Answer a GET or HEAD; with a `name`, as a file to keep. Raises FsdError.

        `key` is 64 hexadecimal digits. The name is asked for where all of it is sent.
        """
        # Asked of those too who have it: what was purged is not shown again.
        size_bytes = (await self._in_turn(lambda: self._store.head(key))).size_bytes
        tag = f'"{key}"'
        told = {**headers, "etag": tag, "accept-ranges": "bytes"}
        if is_known(request.headers, tag):
            return Response(status_code=304, headers=told)
        part = part_of(request.headers, tag, size_bytes) if request.method == "GET" else None
        if part is not None and part.begin >= part.end:
            told["content-range"] = f"bytes */{size_bytes}"
            return Response(status_code=416, headers=told)
        if part is not None:
            told["content-range"] = f"bytes {part.begin}-{part.end - 1}/{size_bytes}"
        elif name is not None:
            told["content-disposition"] = _attachment(await name() or key)
        if name is not None:
            told.setdefault("content-disposition", "attachment")
        if self._note is not None and request.method == "GET":
            await self._note(request, key)
        sent = part or Part(0, size_bytes)
        take = self._taking(key, size_bytes if part is None else None)
        return _Streamed(take, sent, 200 if part is None else 206, told, media_type)

    def close(self) -> None:
        """Wait for nothing that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, ask: Callable[[], Result]) -> Result:
        """Ask the store in a thread; who gives up while waiting for one has asked nothing."""
        await self._turns.acquire()
        loop = asyncio.get_running_loop()

        def give_back(_asked: Future[Result]) -> None:
            with contextlib.suppress(RuntimeError):  # The loop is over.
                loop.call_soon_threadsafe(self._turns.release)

        try:
            asked = self._threads.submit(ask)
        except BaseException:
            self._turns.release()
            raise
        # When the thread is free again, and not when nobody waits for it any more.
        asked.add_done_callback(give_back)
        return await asyncio.wrap_future(asked)

    def _taking(self, key: str, proven_bytes: int | None) -> Take:
        """Return what gives pieces of an object; the last of all `proven_bytes` proves them."""
        state, known = hashlib.sha256(), 0

        def piece(number: int) -> bytes:
            nonlocal known
            data = self._store.piece(key, number)
            if proven_bytes is None:
                return data
            if number == known:  # Not one that is fetched again.
                state.update(data)
                known += 1
            if known * PIECE_BYTES >= proven_bytes and state.hexdigest() != key:
                raise FsdError(f"{key} does not match its sha256")
            return data

        return lambda number: self._in_turn(lambda: piece(number))


class _Streamed(Response):
    """Bytes as they come; what cannot be read on the way ends the connection before its length."""

    def __init__(
        self, take: Take, part: Part, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        self._take, self._part = take, part
        length = str(part.end - part.begin)
        super().__init__(None, status, {**headers, "content-length": length}, media_type)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send head and bytes, until nobody takes them any more."""
        head = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(head)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        gone = asyncio.create_task(_until_gone(receive))
        try:
            if await self._send_all(send, gone):
                await send({"type": "http.response.body", "body": b""})
        except DrystoneError as error:
            # The head is gone: that the connection ends before the length it told is all there is.
            told = about("content.unread", key=self.headers["etag"].strip('"'))
            _log.warning("what is sent ends before its end: %s", error, extra=told)
        finally:
            gone.cancel()

    async def _send_all(self, send: Any, gone: asyncio.Task[None]) -> bool:
        """Tell whether all of it was taken."""
        at, data, number = self._part.begin, b"", -1
        while at < self._part.end:
            if at // PIECE_BYTES != number or not data:
                number = at // PIECE_BYTES
                await asyncio.sleep(0)  # Who went while this waited is seen to be gone.
                if gone.done():
                    return False
                taking = asyncio.ensure_future(self._take(number))
                await asyncio.wait((taking, gone), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    await _given_up(taking)
                    return False
                data = await taking
            first = at - number * PIECE_BYTES
            body = data[first : min(first + SLICE_BYTES, self._part.end - number * PIECE_BYTES)]
            if not body:
                raise FsdError(f"piece {number} is shorter than it was")
            sending = asyncio.ensure_future(
                send({"type": "http.response.body", "body": body, "more_body": True})
            )
            at += len(body)
            done, _ = await asyncio.wait(
                (sending, gone), timeout=UNTAKEN_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                data = b""  # Thousands that take nothing hold nothing.
                await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                await _given_up(sending)
                return False
            await sending
        return True


def _attachment(name: str) -> str:
    quoted = quote(name)
    return (
        f"attachment; filename*=utf-8''{quoted}"
        if quoted != name
        else (f'attachment; filename="{name}"')
    )


async def _given_up(future: asyncio.Future[Any]) -> None:
    """Wait for the end of what nobody wants any more, whatever that is."""
    future.cancel()
    await asyncio.wait((future,))
    if not future.cancelled():
        future.exception()


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
