"""Operations on what programs sent: requests, and dead letters, shown and replayed."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, Field

from adapters.receive.receipts import Receipt, receipt_of
from adapters.receive.state import (
    LOOKED_AT_MAX,
    RequestLine,
    RequestPage,
    RequestState,
    RequestStatus,
    page_of,
    state_of,
    status_of,
)
from base.errors import EXIT_INCOMPLETE, UsageError
from base.model import Document, RowId
from base.operations.operation import Caller, Cli, operation
from base.output import say, write_line, write_table
from base.text import safe_text, time_text
from sql import LETTERS_MAX, LetterState, NotFoundError, Place, opened

if TYPE_CHECKING:
    from sql import Database, LetterRow

__all__ = ["opened"]

REQUESTS_MAX = 500
LETTERS_SHOWN_MAX = 500
PAGES_MAX = 10
"""So many times as many dead letters are replayed with one question."""
PARTS_SHOWN_MAX = 40

RequestId = Annotated[str, Field(max_length=100, description="As its sender was told.")]


# ---- Requests ------------------------------------------------------------------------------------


class RequestsQuestion(Document):
    """Which requests to list."""

    failed: Annotated[bool, Field(description="Only those of which a part failed.")] = False
    before: Annotated[str, Field(max_length=100, description="`next` of a page.")] = ""
    limit: Annotated[int, Field(ge=1, le=REQUESTS_MAX, description="At most so many.")] = 50


def _whose(caller: Caller) -> str | None:
    return None if caller.role == "admin" else caller.name


def _show_page(page: RequestPage, _asked: RequestsQuestion) -> None:
    rows = [
        (
            one.request_id,
            time_text(one.time),
            one.account,
            one.source,
            one.state,
            f"{one.parts:,}",
            f"{one.parts_failed:,}",
            safe_text(one.reason or ""),
        )
        for one in page.requests
    ]
    headings = ("request", "time", "account", "source", "state", ">parts", ">failed", "why")
    write_table(headings, rows)
    if page.next:
        say(f"more with --before {page.next}")


@operation(
    "request.list",
    role="operator",
    kind="question",
    route="GET /ingest",
    cli=Cli(metavars={"before": "REQUEST"}, show=_show_page),
)
def list_requests(place: Place, caller: Caller, asked: RequestsQuestion) -> RequestPage:
    """List your requests of the last seven days, the newest first; to admins everybody's."""
    account = _whose(caller)
    if place.received is not None:
        found: list[Receipt] = place.received().newest(account, asked.before)
    else:
        rows = place.database.received.newest(account, asked.before, LOOKED_AT_MAX + 1)
        found = [receipt_of(row) for row in rows]
    return page_of(place.database, found, asked.limit, failed_only=asked.failed)


def requests_shown(database: Database, account: str | None, limit: int) -> list[RequestLine]:
    """Return the newest requests of an account, or of all."""
    found = [receipt_of(row) for row in database.received.newest(account, "", limit)]
    return page_of(database, found, limit, failed_only=False).requests


def request_shown(database: Database, request_id: str) -> tuple[str, RequestState] | None:
    """Return who sent a request, and what became of it; None where there is none."""
    row = database.received.request(request_id)
    return None if row is None else (row.account, state_of(database, receipt_of(row)))


class OneRequest(Document):
    """Which request."""

    request_id: RequestId


def _state(place: Place, caller: Caller, request_id: str) -> RequestState:
    receipt: Receipt | None = place.received().find(request_id) if place.received else None
    if receipt is None and (row := place.database.received.request(request_id)) is not None:
        receipt = receipt_of(row)
    if receipt is None or _whose(caller) not in (None, receipt.account):
        raise NotFoundError("you sent no such request in the last seven days")
    return state_of(place.database, receipt)


def _show_request(state: RequestState, _asked: OneRequest) -> None:
    write_line(f"request {state.request_id}: {state.state}, {state.parts:,} parts")
    if state.reason:
        write_line(f"because  {safe_text(state.reason)}")
    if state.ingest_batch:
        write_line(f"batch    {state.ingest_batch}")
    for one in state.stages:
        write_line(f"{one.state:<9}{time_text(one.time) if one.time else ''}")
    shown = state.part_states[:PARTS_SHOWN_MAX]
    rows = [
        (one.system_id, one.state, safe_text(one.file_name or ""), safe_text(one.reason or ""))
        for one in shown
    ]
    write_table(("part", "state", "file", "why"), rows)
    if state.parts > len(shown):
        say(f"... and {state.parts - len(shown):,} more parts (--json lists the first 1,000)")


@operation(
    "request.show",
    role="operator",
    kind="question",
    route="GET /ingest/{request_id}",
    cli=Cli(positional=("request_id",), metavars={"request_id": "REQUEST"}, show=_show_request),
)
def show_request(place: Place, caller: Caller, asked: OneRequest) -> RequestState:
    """Tell what became of a request of the last seven days, and of each of its first parts."""
    return _state(place, caller, asked.request_id)


@operation(
    "request.status", role="operator", kind="question", route="GET /ingest/{request_id}/status"
)
def status(place: Place, caller: Caller, asked: OneRequest) -> RequestStatus:
    """Tell what became of a request: `queued`, `processing`, `done` or `failed`."""
    return status_of(_state(place, caller, asked.request_id))


# ---- Dead letters --------------------------------------------------------------------------------


class Letter(Document):
    """A part of a request that was not stored or described, and what it is of."""

    letter_id: int
    request_id: str
    account: str
    source: str
    system_id: str
    file_name: str | None
    content_type: str | None
    ingest_batch: str
    state: LetterState
    reason: str
    failures: int
    fail_time: AwareDatetime


class LetterPage(Document):
    """Dead letters by their numbers; `next` goes into `after`, null at the end."""

    letters: list[Letter]
    next: int | None


class LettersQuestion(Document):
    """Which dead letters to list."""

    request_id: Annotated[
        str | None, Field(max_length=100, description="Of this request only.")
    ] = None
    all_states: Annotated[bool, Field(description="Also those that were replayed.")] = False
    after: Annotated[int, Field(ge=0, le=2**63 - 1, description="`next` of a page.")] = 0
    limit: Annotated[int, Field(ge=1, le=LETTERS_SHOWN_MAX, description="At most so many.")] = 100


def letters_shown(database: Database, account: str | None, limit: int) -> list[Letter]:
    """Return open dead letters of an account, or of all, by their numbers."""
    return _page_of_letters(database, account, LettersQuestion(limit=limit)).letters


def _page_of_letters(database: Database, account: str | None, asked: LettersQuestion) -> LetterPage:
    found = database.received.letters(
        account,
        request_id=asked.request_id,
        state=None if asked.all_states else "open",
        after=asked.after,
        limit=asked.limit,
    )
    receipts: dict[str, Receipt] = {}
    shown = [_shown(database, one, receipts) for one in found]
    return LetterPage(
        letters=shown, next=found[-1].letter_id if len(found) == asked.limit else None
    )


def _shown(database: Database, one: LetterRow, receipts: dict[str, Receipt]) -> Letter:
    if one.request_id not in receipts:
        row = database.received.request(one.request_id)
        if row is None:
            raise NotFoundError("it was forgotten at this moment; ask again")
        receipts[one.request_id] = receipt_of(row)
    receipt = receipts[one.request_id]
    file = receipt.file_of(one.place)
    return Letter(
        letter_id=one.letter_id,
        request_id=one.request_id,
        account=one.account,
        source=one.source,
        system_id=receipt.key_of(one.place),
        file_name=file.file_name if file else None,
        content_type=file.content_type if file else None,
        ingest_batch=one.batch,
        state=one.state,
        reason=one.reason,
        failures=one.failures,
        fail_time=one.fail_time,
    )


def _show_letters(page: LetterPage, _asked: LettersQuestion) -> None:
    rows = [
        (
            str(one.letter_id),
            time_text(one.fail_time),
            one.account,
            one.source,
            safe_text(one.file_name or "JSON"),
            one.state,
            str(one.failures),
            safe_text(one.reason),
        )
        for one in page.letters
    ]
    headings = (">letter", "time", "account", "source", "what", "state", ">failures", "why")
    write_table(headings, rows)
    if page.next:
        say(f"more with --after {page.next}")


@operation(
    "request.letters",
    role="operator",
    kind="question",
    route="GET /dead-letters",
    cli=Cli(
        options={"request_id": ("--request",), "all_states": ("--all",)},
        metavars={"request_id": "REQUEST", "after": "LETTER"},
        show=_show_letters,
    ),
)
def list_letters(place: Place, caller: Caller, asked: LettersQuestion) -> LetterPage:
    """List dead letters: parts that were not stored or described, and why; to admins everybody's.

    What is stored and was not understood is in the quarantine instead.
    """
    return _page_of_letters(place.database, _whose(caller), asked)


class OneLetter(Document):
    """Which dead letter."""

    letter_id: Annotated[RowId, Field(description="Its number.")]


class LetterSight(Letter):
    """A dead letter with the beginning of its payload, where that is text.

    `payload` is null for what is no text, and for what is gone; then `size_bytes` is null too.
    """

    payload: str | None
    size_bytes: int | None


def _show_letter(one: LetterSight, _asked: OneLetter) -> None:
    write_line(f"letter   {one.letter_id}, {one.state}, failed {one.failures} times")
    write_line(f"request  {one.request_id} of {one.account}, {one.source}")
    write_line(f"part     {one.system_id} {safe_text(one.file_name or '')}".rstrip())
    write_line(f"batch    {one.ingest_batch}")
    write_line(f"because  {safe_text(one.reason)}")
    if one.size_bytes is None:
        say("its payload is gone: it has to be sent again")
        return
    write_line(f"payload  {one.size_bytes:,} bytes{'' if one.payload is not None else ', no text'}")
    for line in (one.payload or "").splitlines():
        write_line(safe_text(line))


@operation(
    "request.letter",
    role="operator",
    kind="question",
    route="GET /dead-letters/{letter_id}",
    cli=Cli(positional=("letter_id",), metavars={"letter_id": "LETTER"}, show=_show_letter),
)
def show_letter(place: Place, caller: Caller, asked: OneLetter) -> LetterSight:
    """Show a dead letter and the first 64 KiB of its payload."""
    found = letter_sight(place.config_path, place.database, asked.letter_id)
    if found is None or _whose(caller) not in (None, found.account):
        raise NotFoundError("you have no such dead letter; see `drystone request letters`")
    return found


def letter_sight(config_path: str, database: Database, letter_id: int) -> LetterSight | None:
    """Return a dead letter of anybody with its payload; None where there is none."""
    from adapters.receive.letters import payload_of

    found = database.received.letters(letters=(letter_id,))
    if not found:
        return None
    payload = payload_of(config_path, found[0])
    return LetterSight(
        **_shown(database, found[0], {}).model_dump(),
        payload=None if payload is None else _text_of(payload[0], payload[1]),
        size_bytes=None if payload is None else payload[1],
    )


def _text_of(data: bytes, size_bytes: int) -> str | None:
    """Return bytes as text; None where they are none. The last character may be cut."""
    try:
        text = data.decode("utf-8", errors="strict" if len(data) == size_bytes else "ignore")
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(one) == "Cc" and one not in "\t\r\n" for one in text):
        return None
    return text


class ReplayRequest(Document):
    """Which dead letters are replayed: some, those of a request, or all."""

    letters: Annotated[
        tuple[RowId, ...], Field(max_length=LETTERS_MAX, description="Their numbers.")
    ] = ()
    request_id: Annotated[str | None, Field(max_length=100, description="All of this request.")] = (
        None
    )
    every: Annotated[bool, Field(description="All that are open.")] = False


class RefusedLetter(Document):
    """A dead letter that stays, and why."""

    letter_id: int
    reason: str


class Replayed(Document):
    """What is in the inbox again, as these batches, and what is not."""

    replayed: int
    ingest_batches: list[str]
    refused: list[RefusedLetter]


def _show_replayed(done: Replayed, _asked: ReplayRequest) -> None:
    say(f"{done.replayed:,} parts are in the inbox again, and come in by themselves")
    for one in done.refused:
        say(f"letter {one.letter_id} stays: {safe_text(one.reason)}")


@operation(
    "request.replay",
    role="operator",
    kind="change",
    route="POST /dead-letters/replay",
    cli=Cli(
        positional=("letters",),
        options={"request_id": ("--request",), "every": ("--all",)},
        metavars={"letters": "LETTER", "request_id": "REQUEST"},
        show=_show_replayed,
        exit_code=lambda done, _: EXIT_INCOMPLETE if done.refused else 0,
    ),
)
def replay(place: Place, caller: Caller, asked: ReplayRequest) -> Replayed:
    """Bring dead letters in again: some, those of a request, or all; at most 50,000.

    Their payloads get into the inbox as batches of their own. A payload that changed or is gone is
    refused, and stays a dead letter.
    """
    from adapters.receive import letters

    if sum((bool(asked.letters), asked.request_id is not None, asked.every)) != 1:
        raise UsageError("say which: numbers of dead letters, --request REQUEST, or --all")
    account = _whose(caller)
    done = Replayed(replayed=0, ingest_batches=[], refused=[])
    if asked.letters:
        known = place.database.received.letters(account, letters=asked.letters)
        if missing := set(asked.letters) - {one.letter_id for one in known}:
            raise NotFoundError(f"you have no dead letter {min(missing)}; nothing was replayed")
        if closed := [one for one in known if one.state != "open"]:
            raise UsageError(
                f"dead letter {closed[0].letter_id} is {closed[0].state}; nothing was replayed"
            )
    after = 0
    for _ in range(PAGES_MAX):
        found = place.database.received.letters(
            account,
            request_id=asked.request_id,
            letters=asked.letters or None,
            state="open",
            after=after,
        )
        if found:
            after = found[-1].letter_id
            told = letters.replay(place.config_path, place.database, found)
            done = Replayed(
                replayed=done.replayed + told.replayed,
                ingest_batches=done.ingest_batches + told.batches,
                refused=done.refused
                + [
                    RefusedLetter(letter_id=number, reason=reason)
                    for number, reason in told.refused.items()
                ],
            )
        if len(found) < LETTERS_MAX:
            break
    return done
