"""The mark of a request that is done once: written by the transaction that does it.

Whoever does such a request holds its `RequestMark` while the function runs; every transaction of
that thread that changed something commits the mark with it. So a request whose process was killed
is either marked as done, or has changed nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import psycopg

from sql.core.statements import statements

_SQL = statements("request_key")


class RequestMark(NamedTuple):
    """Which request is being done: whose, and its key."""

    account: str
    key: str


_pending: ContextVar[RequestMark | None] = ContextVar("request_mark", default=None)


@contextmanager
def marking(mark: RequestMark) -> Generator[None]:
    """Let the transactions of this block, in this thread, mark the request as done."""
    token = _pending.set(mark)
    try:
        yield
    finally:
        _pending.reset(token)


def mark_if_changed(connection: psycopg.Connection[Any]) -> None:
    """Mark the request of this thread, if there is one; to be called right before a commit."""
    if mark := _pending.get():
        connection.execute(_SQL["mark"], mark._asdict())
