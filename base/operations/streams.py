"""Answers of many documents, as they come: JSON Lines, or server-sent events.

What waits for its documents in the loop is watched meanwhile: it ends when whoever asked may no
longer, and of server-sent events something is sent now and then, so that both ends notice when the
other is gone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import Request

from base.errors import DrystoneError, UsageError
from base.operations.operation import Operation
from base.operations.problem import PROBLEM_KEY, problem_document, status_of

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
BEAT_S = 5.0
"""So long nothing comes before a server-sent event says where its reader is, and at most so long
whoever may ask no longer is told nothing."""
STILL_S = 1.0
"""Who asks is looked up for each part that is read, and once in so long while one is told."""
RETRY_MS = 2_000
"""So long a reader waits before it connects again."""


class Lines(StreamingResponse):
    """JSON Lines."""

    media_type = NDJSON


def lines_of(
    one: Operation[Any, Any, Any], items: Any, still: Callable[[], Awaitable[bool]]
) -> Lines:
    """Return an answer of a line for each item; an error on the way is the last one.

    Items that are bytes are lines already. `still` tells whether whoever asked may go on.
    """

    def line_of(item: Any) -> str | bytes:
        return item if isinstance(item, bytes) else json.dumps(one.document_of(item)) + "\n"

    def failed(error: DrystoneError) -> str:
        return json.dumps({PROBLEM_KEY: _problem(error)}) + "\n"

    def lines() -> Iterator[str | bytes]:
        try:
            for item in items:
                yield line_of(item)
        except DrystoneError as error:
            yield failed(error)

    async def lines_of_loop() -> AsyncIterator[str | bytes]:
        try:
            async for item in _watched(items, still):
                if item is not None:
                    yield line_of(item)
        except DrystoneError as error:
            yield failed(error)

    return Lines(lines_of_loop() if hasattr(items, "__aiter__") else lines())


def wants_events(request: Request) -> bool:
    """Tell whether an answer is to be server-sent events."""
    kinds = request.headers.get("accept", "").split(",")
    return EVENTS in (kind.partition(";")[0].strip().lower() for kind in kinds)


def last_seen(request: Request) -> int | None:
    """Return the position of the last event that a reader had, as it connects again."""
    told = request.headers.get("last-event-id", "")
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and int(told) < 2**63):
        raise UsageError(f"Last-Event-ID {told[:40]!a} is no position in the feed")
    return int(told)


def events_of(
    one: Operation[Any, Any, Any], items: Any, still: Callable[[], Awaitable[bool]]
) -> EventSourceResponse:
    """Return an answer of server-sent events: each item with its position as its id.

    `items.after` is where to go on from while none comes. An error on the way is the last event,
    of the type `problem`.
    """

    async def events() -> AsyncIterator[bytes]:
        # At once: whoever loses the connection before anything came goes on from here too.
        yield format_sse_event(id=str(items.begins_after), retry=RETRY_MS)
        try:
            async for item in _watched(items, still):
                if item is None:
                    yield format_sse_event(id=str(items.after), comment="")
                else:
                    data = json.dumps(one.document_of(item))
                    yield format_sse_event(id=str(item.position), data_str=data)
        except DrystoneError as error:
            yield format_sse_event(event=PROBLEM_KEY, data_str=json.dumps(_problem(error)))

    # Not for proxies to gather.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return EventSourceResponse(events(), headers=headers)


async def _watched(items: Any, still: Callable[[], Awaitable[bool]]) -> AsyncIterator[Any]:
    """Yield items, and None when none came for a while; end when `still` says no."""
    source = aiter(items)
    looked_s = time.monotonic()
    coming: asyncio.Task[Any] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(source))
            await asyncio.sleep(0)
            # What had to be waited for was read just now, with rights that may be gone.
            is_read = not coming.done()
            is_there = bool((await asyncio.wait({coming}, timeout=BEAT_S))[0])
            if is_read or time.monotonic() - looked_s > STILL_S:
                if not await still():
                    return
                looked_s = time.monotonic()
            if not is_there:
                yield None
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, DrystoneError, StopAsyncIteration):
                await coming


def _problem(error: DrystoneError) -> dict[str, Any]:
    return problem_document(status_of(error), type(error).__name__, str(error))
