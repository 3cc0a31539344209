"""What became of a request: by the ingest batch of its window, and what that could not read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime

from adapters.receive.receipts import Receipt
from base.model import Document
from sql import Database, IngestBatch, LetterRow, NotFoundError

PARTS_TOLD_MAX = 1_000
LOOKED_AT_MAX = 1_000
"""So many requests are looked at for a page of those that failed."""
INGEST = "ua_1"

COMPLETE = ("packed", "confirmed", "purging", "purged")

ReceivedState = Literal["accepted", "stored", "described", "done", "failed"]
Status = Literal["queued", "processing", "done", "failed"]


class PartState(Document):
    """One part of a request; `file_name` is that of a file, `reason` says why it failed.

    `letter_id` is the number of its dead letter, where it was not stored or described.
    """

    system_id: str
    state: ReceivedState
    file_name: str | None = None
    reason: str | None = None
    letter_id: int | None = None


class Stage(Document):
    """A state that a request reached, and when; of `failed`, why."""

    state: ReceivedState
    time: AwareDatetime | None
    reason: str | None = None


class RequestState(Document):
    """What became of a request, and of each of its first parts."""

    request_id: str
    source: str
    state: ReceivedState
    reason: str | None
    ingest_batch: str | None
    """None while its window is gathered."""
    parts: int
    parts_failed: int
    part_states: list[PartState]
    stages: list[Stage]


class RequestLine(Document):
    """A request in a list; `reason` is that of its first part that failed."""

    request_id: str
    account: str
    source: str
    time: AwareDatetime
    state: ReceivedState
    reason: str | None
    ingest_batch: str | None
    parts: int
    parts_failed: int


class RequestPage(Document):
    """Requests, the newest first; `next` goes into the next question, null at the end."""

    requests: list[RequestLine]
    next: str | None


class RequestStatus(Document):
    """What became of a request, for clients that know four states."""

    request_id: str
    status: Status
    state: ReceivedState
    reason: str | None


def status_of(state: RequestState) -> RequestStatus:
    """Return what became of a request in four states."""
    status: Status = "queued" if state.ingest_batch is None else "processing"
    if state.state in ("described", "done"):
        status = "done"
    elif state.state == "failed":
        status = "failed"
    return RequestStatus(
        request_id=state.request_id, status=status, state=state.state, reason=state.reason
    )


def state_of(database: Database, receipt: Receipt) -> RequestState:
    """Return what became of a request.

    `accepted` is durable on the SSD, `stored` has two verified copies, `described` is in the
    database and found, `done` is out of the inbox too.
    """
    of_batch = _of_batch(database, receipt.window) if receipt.window else ("accepted", None)
    state, reason, letters, faults = _of_parts(database, receipt, *of_batch, {})
    told = [
        _part_state(receipt, place, state, reason, letters.get(place), faults.get(place))
        for place in range(min(receipt.count, PARTS_TOLD_MAX))
    ]
    return RequestState(
        request_id=receipt.request_id,
        source=receipt.source,
        state=state,
        reason=reason,
        ingest_batch=receipt.window or None,
        parts=receipt.count,
        parts_failed=_failed(receipt, state, letters, faults),
        part_states=told,
        stages=_stages(database, receipt, state, reason),
    )


def page_of(
    database: Database, receipts: Sequence[Receipt], limit: int, *, failed_only: bool
) -> RequestPage:
    """Return a page of requests: all, or those of which something failed (dead letters)."""
    windows: dict[str, tuple[ReceivedState, str | None]] = {}
    set_aside: dict[str, dict[str, str]] = {}
    lines: list[RequestLine] = []
    for place, receipt in enumerate(receipts, 1):
        if receipt.window and receipt.window not in windows:
            windows[receipt.window] = _of_batch(database, receipt.window)
        of_batch = windows.get(receipt.window, ("accepted", None))
        state, reason, letters, faults = _of_parts(database, receipt, *of_batch, set_aside)
        failed = _failed(receipt, state, letters, faults)
        if failed or not failed_only:
            lines.append(
                RequestLine(
                    request_id=receipt.request_id,
                    account=receipt.account,
                    source=receipt.source,
                    time=datetime.fromtimestamp(receipt.time_s, UTC),
                    state=state,
                    reason=reason or next(iter(faults.values()), None),
                    ingest_batch=receipt.window or None,
                    parts=receipt.count,
                    parts_failed=failed,
                )
            )
        if len(lines) == limit or place == LOOKED_AT_MAX:
            is_last = place == len(receipts)
            return RequestPage(requests=lines, next=None if is_last else receipt.request_id)
    return RequestPage(requests=lines, next=None)


def _of_parts(
    database: Database,
    receipt: Receipt,
    state: ReceivedState,
    reason: str | None,
    set_aside: dict[str, dict[str, str]],
) -> tuple[ReceivedState, str | None, dict[int, LetterRow], dict[int, str]]:
    """Return the state of a request by that of its batch, its dead letters, and its faults.

    `set_aside` has what was read of windows before, and gets what is read now.
    """
    if state != "failed":
        is_in = state in ("described", "done")
        return state, reason, {}, _faults(database, receipt, set_aside) if is_in else {}
    found = database.received.letters(request_id=receipt.request_id)
    now, why = _after_replays(found, reason)
    return now, why, {one.place: one for one in found}, {}


def _after_replays(
    letters: Collection[LetterRow], reason: str | None
) -> tuple[ReceivedState, str | None]:
    """Return the state of a request whose batch failed, by what became of its dead letters."""
    states = {one.state for one in letters}
    if not states or "open" in states:
        return "failed", next((one.reason for one in letters if one.state == "open"), reason)
    return ("accepted" if "replaying" in states else "described"), None


def _failed(
    receipt: Receipt,
    state: ReceivedState,
    letters: Mapping[int, LetterRow],
    faults: Mapping[int, str],
) -> int:
    if state != "failed":
        return len(faults)
    return sum(one.state == "open" for one in letters.values()) or receipt.count


def _part_state(
    receipt: Receipt,
    place: int,
    state: ReceivedState,
    reason: str | None,
    letter: LetterRow | None,
    fault: str | None,
) -> PartState:
    if letter is not None:
        state, reason = _after_replays((letter,), None)
    elif state != "failed":
        state, reason = ("failed", fault) if fault else (state, None)
    file = receipt.file_of(place)
    return PartState(
        system_id=receipt.key_of(place),
        state=state,
        file_name=file.file_name if file else None,
        reason=reason,
        letter_id=letter.letter_id if letter else None,
    )


def _stages(
    database: Database, receipt: Receipt, state: ReceivedState, reason: str | None
) -> list[Stage]:
    """Return the states that were reached, in their order, as events tell of them."""
    stages = [Stage(state="accepted", time=datetime.fromtimestamp(receipt.time_s, UTC))]
    if not receipt.window:
        return stages
    times = database.events.times_of_batch(receipt.window)
    reached: tuple[tuple[ReceivedState, str], ...] = (
        ("stored", "batch.stored"),
        ("described", "batch.described"),
    )
    stages += [Stage(state=one, time=times[kind]) for one, kind in reached if kind in times]
    if state in ("done", "failed"):
        batch = _batch(database, receipt.window)
        time = batch.update_time if batch else None
        stages.append(Stage(state=state, time=time, reason=reason))
    return stages


def _batch(database: Database, name: str) -> IngestBatch | None:
    try:
        return database.ingests.batch(name)
    except NotFoundError:
        return None


def _of_batch(database: Database, name: str) -> tuple[ReceivedState, str | None]:
    batch = _batch(database, name)
    state = batch.state if batch else "frozen"
    if batch is not None and state == "stopped":
        return "failed", batch.state_reason
    if state in COMPLETE:
        return "done", None
    if state == "described":
        return "described", None
    run = database.runs.last_of_key(f"{INGEST}:{name}")
    if run is not None and run.state in ("failed", "cancelled"):
        return "failed", f"run {run.run_id}: {run.reason or run.state}"
    return ("stored" if state == "stored" else "accepted"), None


def _faults(
    database: Database, receipt: Receipt, set_aside: dict[str, dict[str, str]]
) -> dict[int, str]:
    """Return why parts were not understood, by their place in the request."""
    if receipt.window not in set_aside:
        rows = database.quarantine.of_batches(receipt.window)
        set_aside[receipt.window] = {row.path: row.reason for row in rows}
    known = set_aside[receipt.window]
    paths = {receipt.path_of(place): place for place in range(receipt.count)} if known else {}
    return {paths[path]: reason for path, reason in known.items() if path in paths}
