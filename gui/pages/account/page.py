"""One's own account: it owns changing the password, tokens for scripts, and logged-in browsers."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from gui.access.people import change_password, make_token
from gui.access.roles import Visitor
from gui.reading.desk import Desk
from gui.widgets.blocks import ago, at, box, button, card, pairs, table, text
from gui.widgets.frame import act, confirm, frame, page, visitor
from sql import ROLES, ApiToken, Session


def register(desk: Desk) -> None:
    """Add the page."""

    @page(desk, "/account", None)
    async def account() -> None:
        person = visitor()
        with frame(desk, "Your account", f"{person.name}, {person.role}"):
            with box("grid"):
                _password(desk, person)
                with card("Keyboard"):
                    pairs(
                        (
                            ("g, then a letter", "go to a page: the letter stands beside its name"),
                            ("/", "search"),
                            ("t", "dark or light"),
                            ("arrows", "move in the explorer's grid; Enter opens"),
                        )
                    )
            await _lists(desk, person)


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
            work = lambda: change_password(  # noqa: E731
                desk.database(), person.name, wanted, current=given, address=address,
                keep_session=person.session_hash,
            )  # fmt: skip
            if await act(desk, None, "The password is changed", work):
                current.value = new.value = ""

        with box("row"):
            button("Change it", change, "primary small")


async def _lists(desk: Desk, person: Visitor) -> None:
    holder = box("grid")

    def load() -> tuple[list[ApiToken], list[Session]]:
        book = desk.database().users
        return book.tokens(person.name), book.sessions(person.user_id)

    async def show() -> None:
        tokens, sessions = await desk.work(load)
        holder.clear()
        with holder:
            _tokens(desk, person, tokens, show)
            with card("Browsers that are logged in"):
                table(
                    ("From", "Browser", "Last used", "Since"),
                    [
                        (one.address, one.browser[:60], ago(one.seen_time), at(one.create_time))
                        for one in sessions
                    ],
                    "Sessions",
                )

    await show()


def _tokens(desk: Desk, person: Visitor, tokens: list[ApiToken], show: Any) -> None:
    async def remove(name: str) -> None:
        if await confirm(f"Remove token {name}?", ["Scripts that show it are refused."], "Remove"):
            work = lambda: desk.database().users.remove_token(person.name, name)  # noqa: E731
            await act(desk, None, f"{name} is worthless now", work)
            desk.sessions.forget()
            await show()

    with card("Tokens for scripts", "Authorization: Bearer TOKEN"):
        table(
            ("Name", "May", "Last used", "Ends", ""),
            [
                (
                    one.name,
                    one.role,
                    ago(one.used_time),
                    at(one.expire_time) if one.expire_time else "never",
                    lambda one=one: button("Remove", lambda: remove(one.name), "small"),
                )
                for one in tokens
            ],
            "Tokens",
            "No token yet. The API is described in /api/v1/openapi.json.",
        )
        with box("row"):
            button("Make a token", lambda: _make(desk, person, show), "small")


async def _make(desk: Desk, person: Visitor, show: Any) -> None:
    allowed = [role for role in ROLES if person.may(role)]
    with ui.dialog() as dialog, box("dialog"):
        text("Make a token", tag="h2")
        name = ui.input("What is it for?").props("outlined dense autofocus maxlength=100")
        role = ui.select(allowed, value=allowed[0], label="It may what a … may").props(
            "outlined dense"
        )
        days = ui.number("Days until it ends (empty: never)", min=1, max=3650, value=90)
        days.props("outlined dense")
        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button("Make it", lambda: dialog.submit(True), "primary")
    answer = await dialog
    given = (str(name.value or ""), role.value, days.value)
    dialog.delete()
    if not answer:
        return
    work = lambda: make_token(desk.database(), person.name, *given)  # noqa: E731
    made = await act(desk, None, "", work)
    if made:
        await show()
        with ui.dialog(value=True).props("persistent") as shown, box("dialog"):
            text(f"Token {made.name}", tag="h2")
            text("Copy it now: it is shown once and kept nowhere.", tag="p")
            text(made.secret, "command", "code")
            with box("dialog-buttons"):
                button("Done", shown.close, "primary")
