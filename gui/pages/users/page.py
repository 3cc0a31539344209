"""People and what they may do: it owns the admin's page for accounts."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from gui.access.passwords import PASSWORD_LENGTH_MIN
from gui.access.people import add_user, change_password
from gui.reading.desk import Desk
from gui.widgets.blocks import ago, badge, box, button, card, table, text
from gui.widgets.frame import Place, act, add_place, confirm, frame, page, visitor
from sql import ROLES, Session, User

_ROLE_WORDS = {
    "viewer": "viewer: looks",
    "labeller": "labeller: labels, and sees nothing else",
    "operator": "operator: also starts and stops work",
    "admin": "admin: also manages people and disks",
}


def register(desk: Desk) -> None:
    """Add the page."""
    add_place(Place("Users", "/users", "u", "admin", "Settings"))

    @page(desk, "/users", "admin")
    async def users() -> None:
        with frame(desk, "Users", "Who may log in, and what each of them may do."):
            await _content(desk)


async def _content(desk: Desk) -> None:
    holder = box("stack")

    async def show() -> None:
        people, sessions = await desk.work(_load, desk)
        holder.clear()
        with holder, card("People"):
            table(
                ("Name", "Role", "State", "Password set", "Logged in", ""),
                [
                    (
                        one.name,
                        one.role,
                        lambda one=one: badge(
                            "disabled" if one.is_disabled else "active",
                            "bad" if one.is_disabled else "good",
                        ),
                        ago(one.password_time),
                        _seen(one, sessions),
                        lambda one=one: _buttons(desk, one, show),
                    )
                    for one in people
                ],
                "People",
            )
            with box("row"):
                button("Add a person", lambda: _add(desk, show), "primary small")

    await show()


def _load(desk: Desk) -> tuple[list[User], list[Session]]:
    book = desk.database().users
    return book.users(), book.sessions()


def _seen(person: User, sessions: list[Session]) -> str:
    mine = [one for one in sessions if one.user_id == person.user_id]
    return f"{ago(mine[0].seen_time)}, {len(mine)} browsers" if mine else "no"


def _buttons(desk: Desk, person: User, show: Any) -> None:
    with box("row"):
        button("Role", lambda: _set_role(desk, person, show), "small")
        button("Password", lambda: _set_password(desk, person, show), "small")
        if person.name != visitor().name:
            label = "Enable" if person.is_disabled else "Disable"
            button(label, lambda: _set_disabled(desk, person, show), "small")


async def _add(desk: Desk, show: Any) -> None:
    with ui.dialog() as dialog, box("dialog"):
        text("Add a person", tag="h2")
        name = ui.input("Name").props("outlined dense autofocus autocapitalize=none")
        role = ui.select(_ROLE_WORDS, value="viewer", label="Role").props("outlined dense")
        password = ui.input("First password", password=True).props(
            "outlined dense autocomplete=new-password"
        )
        text(f"At least {PASSWORD_LENGTH_MIN} characters. Tell it on another way.", "hint")
        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button("Add", lambda: dialog.submit(True), "primary")
    answer = await dialog
    given = (str(name.value or "").strip().lower(), role.value, str(password.value or ""))
    dialog.delete()
    if answer:
        work = lambda: add_user(desk.database(), *given)  # noqa: E731
        await act(desk, "admin", f"{given[0]} may log in now", work)
        await show()


async def _set_role(desk: Desk, person: User, show: Any) -> None:
    with ui.dialog() as dialog, box("dialog"):
        text(f"Role of {person.name}", tag="h2")
        role = ui.select(_ROLE_WORDS, value=person.role, label="Role").props("outlined dense")
        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button("Set", lambda: dialog.submit(role.value), "primary")
    answer = await dialog
    dialog.delete()
    if answer in ROLES:
        work = lambda: desk.database().users.set_role(person.name, answer)  # noqa: E731
        await act(desk, "admin", f"{person.name} is {answer} now", work)
        desk.sessions.forget()
        await show()


async def _set_password(desk: Desk, person: User, show: Any) -> None:
    with ui.dialog() as dialog, box("dialog"):
        text(f"New password of {person.name}", tag="h2")
        text("All browsers of this person are logged out.", tag="p")
        password = ui.input("Password", password=True).props(
            "outlined dense autofocus autocomplete=new-password"
        )
        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button("Set", lambda: dialog.submit(True), "primary")
    answer = await dialog
    given = str(password.value or "")
    dialog.delete()
    if answer:
        work = lambda: change_password(desk.database(), person.name, given)  # noqa: E731
        await act(desk, "admin", f"{person.name} has a new password", work)
        desk.sessions.forget()
        await show()


async def _set_disabled(desk: Desk, person: User, show: Any) -> None:
    disable = not person.is_disabled
    if disable and not await confirm(
        f"Shut {person.name} out?", ["All browsers and tokens of this person stop at once."],
        "Disable",
    ):  # fmt: skip
        return
    work = lambda: desk.database().users.set_disabled(person.name, is_disabled=disable)  # noqa: E731
    await act(desk, "admin", f"{person.name} is {'shut out' if disable else 'back'}", work)
    desk.sessions.forget()
    await show()
