"""Ids that say what a piece of work belongs to: its request, trace, run, task and job.

They lie in a context variable: a task of asyncio and a thread of its pool inherit them, other
threads get them by `contextvars.copy_context`. Between processes they travel in headers of HTTP, in
the row of a run, and in the environment of a program. Whoever logs names only what is not in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

REQUEST_HEADER = "X-Request-Id"
TRACE_HEADER = "traceparent"
"""Of W3C Trace Context: version, trace id, id of the caller's span, flags."""

_ENVIRONMENT = {"DRYSTONE_TASK_ID": "task", "DRYSTONE_REQUEST_ID": "request_id"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")

_ids: ContextVar[Mapping[str, Any]] = ContextVar("ids", default={})  # noqa: B039 It is never changed.


def about(event: str, **ids: Any) -> dict[str, Any]:
    """Return the `extra` of a logging call: what happened, in a word for programs, and to what.

    log.warning("disk %s is missing", name, extra=about("disk.missing", disk=name))
    """
    return {"event": event, "ids": ids}


def current() -> Mapping[str, Any]:
    """Return the ids of the work that goes on here."""
    return _ids.get()


@contextmanager
def bind(**ids: Any) -> Generator[None]:
    """Add ids to those of this context, for the block; empty ones are left out."""
    token = _ids.set(_with(ids))
    try:
        yield
    finally:
        _ids.reset(token)


def bind_for_good(**ids: Any) -> None:
    """Add ids to those of this context, which ends with its task or its process."""
    _ids.set(_with(ids))


def _with(ids: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_ids.get(), **{name: value for name, value in ids.items() if value not in ("", None)}}


# ---- Between processes ---------------------------------------------------------------------------


def headers() -> dict[str, str]:
    """Return the headers with which a request to another daemon carries request and trace on."""
    ids = current()
    carried: dict[str, str] = {}
    if request_id := ids.get("request_id"):
        carried[REQUEST_HEADER] = request_id
    if trace_id := ids.get("trace_id"):
        carried[TRACE_HEADER] = _trace_parent(trace_id)
    return carried


def ids_of_headers(request_id: str, trace_parent: str) -> dict[str, str]:
    """Return the ids of a request by its headers; it gets a request id where it has none of use."""
    ids = {"request_id": checked_request_id(request_id) or os.urandom(16).hex()}
    found = _TRACE_PARENT.fullmatch(trace_parent.strip())
    if found and checked_trace_id(found[1]):
        ids["trace_id"] = found[1]
    return ids


def caller_of(trace_parent: str) -> int:
    """Return the id of the caller's span by the header of a request; 0 where there is none."""
    found = _TRACE_PARENT.fullmatch(trace_parent.strip())
    return int(found[2], 16) if found and checked_trace_id(found[1]) else 0


def checked_request_id(text: str) -> str:
    """Return a request id that somebody sent; nothing where it is none."""
    return text if _REQUEST_ID.fullmatch(text) else ""


def checked_trace_id(text: str) -> str:
    """Return a trace id that somebody sent; nothing where it is none."""
    return text if _TRACE_ID.fullmatch(text) else ""


def environment() -> dict[str, str]:
    """Return the variables by which a program that a task starts knows what it belongs to."""
    ids = current()
    told = {name: str(ids[key]) for name, key in _ENVIRONMENT.items() if key in ids}
    if trace_id := ids.get("trace_id"):
        told["TRACEPARENT"] = _trace_parent(trace_id)
    return told


def in_log() -> str:
    """Return where whoever gets an error finds more: in the log, by the id of this request."""
    request_id = current().get("request_id", "")
    return f"`drystone log --request {request_id}` tells more" if request_id else "see its log"


def _trace_parent(trace_id: str) -> str:
    return f"00-{trace_id}-{os.urandom(8).hex()}-01"
