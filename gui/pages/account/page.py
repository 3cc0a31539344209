"""One's own account: it owns changing the password, tokens for scripts, and logged-in browsers."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends
from nicegui import ui
from pydantic import BaseModel, Field, create_model

from gui.access.people import DAY_S, change_password, make_token
from gui.access.roles import Visitor
from gui.reading.desk import Desk
from gui.widgets.acts import act, ask, confirm, dialog
from gui.widgets.blocks import ago, at, box, button, card, pairs, text
from gui.widgets.frame import KEYS, Page, visitor_of
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from sql import ROLES, ApiToken, Role, Session, scopes_of_role

# The first sign that is found counts: all of them call themselves Mozilla, and most of them Safari.
_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("Chrome/", "Chrome"), ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Windows", "Windows"),
    ("Mac OS X", "a Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip

_ROLE = Field(title="It may what a … may")


class NewToken(BaseModel):
    """A token that is to be made."""

    name: Annotated[str, Field(title="What is it for?", max_length=100)]
    role: Annotated[Role, _ROLE] = "viewer"
    days: Annotated[int | None, Field(title="Days until it ends (empty: never)", ge=1, le=3650)] = (
        90
    )


class Mine(NamedTuple):
    """What a person has."""

    person: Visitor
    tokens: list[ApiToken]
    sessions: list[Session]


def read_mine(desk: Desk, person: Annotated[Visitor, Depends(visitor_of)]) -> Mine:
    """Read tokens and sessions of a person; blocks."""
    book = desk.database().users
    return Mine(person, book.tokens(person.name), book.sessions(person.user_id))


def build(view: View) -> None:
    """Build the page."""
    desk, person = view.desk, view.reading.person
    with box("grid"):
        _password(desk, person)
        with card("Keyboard"):
            pairs(KEYS)
    with box("grid"):
        view.live(functools.partial(_show_tokens, desk, person), lambda mine: mine.tokens)
        view.live(_show_sessions, lambda mine: mine.sessions)


PAGE = Page(
    "Your account", "/account", None, read=read_mine, build=build,
    lead=lambda mine: f"{mine.person.name}, {mine.person.role}",
)  # fmt: skip


def _password(desk: Desk, person: Visitor) -> None:
    with card("Password", "all other browsers are logged out"):
        current = ui.input("Current password", password=True).props(
            "outlined dense autocomplete=current-password"
        )
        new = ui.input("New password", password=True).props(
            "outlined dense autocomplete=new-password"
        )

        async def change() -> None:
            request = ui.context.client.request
            address = request.client.host if request and request.client else "unknown"
            given, wanted = str(current.value or ""), str(new.value or "")

            def change_own_password() -> None:
                change_password(
                    desk.database(), person.name, wanted, current=given, address=address,
                    keep_session=person.session_hash,
                )  # fmt: skip

            if await act(desk, None, "The password is changed", change_own_password):
                current.value = new.value = ""

        with box("row"):
            button("Change it", change, "primary small")


def _show_sessions(sessions: list[Session]) -> None:
    cols = (
        Col("From", "address"),
        Col("Browser", lambda one: browser_words(one.browser)),
        Col("Last used", "seen_time", ago),
        Col("Since", "create_time", at),
    )
    with card("Browsers that are logged in"):
        table(sessions, cols, "Sessions")


def browser_words(agent: str) -> str:
    """Return which browser a User-Agent is of, and where it runs; what nobody knows as it is."""
    kind = next((words for sign, words in _BROWSERS if sign in agent), "")
    system = next((words for sign, words in _SYSTEMS if sign in agent), "")
    return f"{kind} on {system}" if kind and system else kind or agent[:60]


def _show_tokens(desk: Desk, person: Visitor, tokens: list[ApiToken]) -> None:
    async def remove(name: str) -> None:
        if await confirm(f"Remove token {name}?", ["Scripts that show it are refused."], "Remove"):

            def remove_own_token() -> None:
                desk.database().users.remove_token(person.name, name)

            await act(desk, None, f"{name} is worthless now", remove_own_token)
            desk.sessions.forget()

    cols = (
        Col("Name", "name"),
        Col("Scopes", lambda one: ", ".join(one.scopes)),
        Col("Last used", lambda one: ago(one.used_time)),
        Col("Ends", lambda one: at(one.expire_time)),
        Col("", lambda one: button("Remove", lambda: remove(one.name), "small")),
    )
    with card("Tokens for scripts", "Authorization: Bearer TOKEN"):
        nothing = "No token yet. The API is described in /api/v1/openapi.json."
        table(tokens, cols, "Tokens", nothing)
        with box("row"):
            button("Make a token", lambda: _make(desk, person), "small")


async def _make(desk: Desk, person: Visitor) -> None:
    allowed = tuple(role for role in ROLES if person.may(role))
    wanted: Any = (Literal[allowed], _ROLE)
    model = create_model("NewToken", __base__=NewToken, role=wanted)
    new = await ask("Make a token", model, "Make it", given={"role": allowed[0]})
    if new is None:
        return
    lifetime_s = None if new.days is None else new.days * DAY_S
    scopes = scopes_of_role(new.role)

    def make_own_token() -> Any:
        return make_token(desk.database(), person.name, new.name, scopes, lifetime_s)

    if made := await act(desk, None, "", make_own_token):

        def show() -> None:
            text("Copy it now: it is shown once and kept nowhere.", tag="p")
            text(made.secret, "command", "code")

        done = (("Done", True, "primary"),)
        await dialog(f"Token {made.name}", show, done, is_persistent=True)
