"""Received: the page on which people send files, and see what became of all that was sent."""

from __future__ import annotations

import functools

from adapters import DeadLetter, DeadLetterSight, ReceivedPart, ReceivedRequestLine
from adapters import ReceivedRequestState as RequestState
from gui.pages.explorer.bringing import DropFiles
from gui.pages.received.reading import LISTED, SetAside, read_received
from gui.reading.desk import Desk
from gui.widgets.acts import act_button
from gui.widgets.blocks import (
    at,
    box,
    card,
    clean,
    empty,
    first_line,
    link,
    many,
    notice,
    pairs,
    size,
    text,
    written,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View, follow
from gui.widgets.words import state_badge

KEY_SHOWN = 12


async def build(view: View, sent: str = "", letter: str = "") -> None:
    """Build the page; whoever is no admin has a reading of what they sent themselves."""
    desk, person = view.desk, visitor()
    account = None if person.may("admin") else person.name
    read = functools.partial(read_received, desk, account, sent, letter)
    view = View(desk, await follow(desk, f"/received {(account, sent, letter)}", read))
    with card("Send files", "they are stored under your name"):
        DropFiles()
    view.live(_show_requests, lambda found: found.requests)
    view.live(_show_request, lambda found: found.request)
    view.live(functools.partial(_show_letters, desk), lambda found: found.letters)
    view.live(functools.partial(_show_letter, desk), lambda found: found.letter)
    view.live(functools.partial(_show_set_aside, desk), lambda found: found.set_aside)


PAGE = Page(
    "Received", "/received", "operator", "Data", build=build, key="v", place=6,
    lead="What was sent over HTTP, what became of it, and what could not come in.",
)  # fmt: skip


# ---- Requests ------------------------------------------------------------------------------------


def _show_requests(found: tuple[ReceivedRequestLine, ...]) -> None:
    if not found:
        empty(
            "Nothing was sent in the last seven days.",
            "Drop files above, or let a program send what it has, with a token.",
            "curl -H 'Authorization: Bearer TOKEN' -F 'files[]=@FILE' SERVER/api/v1/ingest",
        )
        return
    cols = (
        Col("Request", lambda one: link(one.request_id[:KEY_SHOWN], _address(one.request_id))),
        Col("Sent", "time", at),
        Col("By", "account"),
        Col("Source", "source"),
        Col("State", "state", state_badge),
        Col(">Parts", "parts"),
        Col(">Failed", lambda one: one.parts_failed or ""),
        Col("Why", lambda one: first_line(one.reason)),
    )
    with card("Requests", "the newest first"):
        table(found, cols, "Requests")
        if len(found) == LISTED:
            text(f"The newest {LISTED}; `drystone request list` has all of them.", "hint")


def _address(request_id: str) -> str:
    return f"/received?sent={request_id}"


def _show_request(found: tuple[str, RequestState] | None) -> None:
    if found is None:
        return
    account, state = found
    with card(f"Request {state.request_id[:KEY_SHOWN]}", state.state):
        if state.reason:
            notice(state.reason, "bad")
        pairs(
            (
                ("Sent by", account),
                ("Source", state.source),
                ("Ingest batch", state.ingest_batch or "it is gathered with others"),
                ("Parts", f"{many(state.parts, 'part')}, {state.parts_failed:,} failed"),
            )
        )
        text("What became of it", tag="h3")
        cols = (
            Col("State", "state", state_badge),
            Col("Since", "time", at),
            Col("Why", lambda one: first_line(one.reason)),
        )
        table(state.stages, cols, "States of the request")
        text("Parts", tag="h3")
        cols = (
            Col("Part", _part),
            Col("File", lambda one: first_line(one.file_name) or "JSON"),
            Col("State", "state", state_badge),
            Col("Why", lambda one: first_line(one.reason)),
            Col("Dead letter", _letter_of),
        )
        table(state.part_states[:LISTED], cols, "Parts of the request")
        if state.parts > LISTED:
            text(f"The first {LISTED} of {state.parts:,} parts.", "hint")


def _part(one: ReceivedPart) -> None:
    if one.state in ("described", "done"):
        link(one.system_id[:KEY_SHOWN], f"/node/{one.system_id}")
    else:
        text(one.system_id[:KEY_SHOWN])


def _letter_of(one: ReceivedPart) -> None:
    if one.letter_id is not None:
        link(str(one.letter_id), f"/received?letter={one.letter_id}")


# ---- Dead letters --------------------------------------------------------------------------------


def _said(done: object) -> str:
    refused = getattr(done, "refused", ())
    told = f"{many(getattr(done, 'replayed', 0), 'part')} in the inbox again"
    return f"{told}; {refused[0].reason}" if refused else told


def _replay(desk: Desk, one: DeadLetter) -> None:
    if one.state == "open":
        act_button(
            desk, "request.replay", "Replay", {"letters": [one.letter_id]}, classes="small",
            done=_said,
        )  # fmt: skip


def _show_letters(desk: Desk, letters: tuple[DeadLetter, ...]) -> None:
    with card("Dead letters", "what was not stored or described"):
        if not letters:
            text("Everything that was sent came in.", "empty-line")
            return
        with box("row"):
            act_button(
                desk, "request.replay", "Replay all", {"every": True},
                title="Replay all dead letters?",
                lines=("Their payloads get into the inbox again, as batches of their own.",),
                agree="Replay them", done=_said,
            )  # fmt: skip
        cols = (
            Col(">Letter", lambda one: link(one.letter_id, f"/received?letter={one.letter_id}")),
            Col("What", lambda one: first_line(one.file_name) or "JSON"),
            Col("Source", "source"),
            Col("By", "account"),
            Col(">Failures", "failures"),
            Col("Failed", "fail_time", at),
            Col("Why", lambda one: first_line(one.reason)),
            Col("", functools.partial(_replay, desk)),
        )
        table(letters, cols, "Dead letters")
        if len(letters) == LISTED:
            text(f"The first {LISTED}; `drystone request letters` has all of them.", "hint")


def _show_letter(desk: Desk, one: DeadLetterSight | None) -> None:
    if one is None:
        return
    with card(f"Dead letter {one.letter_id}", one.state):
        notice(one.reason, "bad" if one.state == "open" else "info")
        with box("row"):
            _replay(desk, one)
            if one.state == "open":
                act_button(
                    desk, "request.replay", "Replay its request", {"request_id": one.request_id},
                    done=_said,
                )  # fmt: skip
        pairs(
            (
                ("Request", one.request_id),
                ("Part", one.system_id),
                ("File", first_line(one.file_name) or "JSON"),
                ("Sent as", first_line(one.content_type) or "-"),
                ("Ingest batch", one.ingest_batch),
                ("Size", "-" if one.size_bytes is None else size(one.size_bytes)),
            )
        )
        link("Its request", _address(one.request_id), "button")
        text("Payload", tag="h3")
        if one.size_bytes is None:
            text("It is gone: what it was has to be sent again.", "hint")
        elif one.payload is None:
            text("It is no text.", "hint")
        else:
            written(one.payload, "Payload")


# ---- Quarantine ----------------------------------------------------------------------------------


def _show_set_aside(desk: Desk, rows: tuple[SetAside, ...]) -> None:
    with card("Quarantine", "stored, and not understood"):
        if not rows:
            text("Everything that is stored was understood.", "empty-line")
            return
        # A batch is read again as a whole: the first of its rows has the button.
        first = {one.batch: one for one in reversed(rows)}
        cols = (
            Col("Batch", "batch"),
            Col("File", lambda one: clean(one.path)),
            Col(">Record", "record"),
            Col("Why", lambda one: first_line(one.reason)),
            Col("", lambda one: _read_again(desk, one) if first[one.batch] is one else None),
        )
        table(rows, cols, "Quarantine")
        if len(rows) == LISTED:
            text(f"The newest {LISTED}; `drystone quarantine list` has all of them.", "hint")


def _read_again(desk: Desk, one: SetAside) -> None:
    act_button(
        desk, "quarantine.replay", "Read again", {"batch": one.batch}, classes="small",
        done=lambda told: f"{told.understood:,} of {told.before:,} are understood now",
    )  # fmt: skip
