"""People and what they may do: it owns the admin's page for accounts."""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, Field, field_validator
from pydantic.config import JsonDict

from gui.access.passwords import PASSWORD_LENGTH_MIN
from gui.reading.desk import Desk
from gui.widgets.acts import ask, confirm, operate
from gui.widgets.blocks import ago, box, button, card, first_line, many, text
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import listed, state_badge
from sql import AuditEntry, Role, User

CHANGES_SHOWN = 50
ASKED_LENGTH_MAX = 160
_ROLE_WORDS: JsonDict = {
    "guest": "guest: sees what is granted, and nothing else",
    "viewer": "viewer: looks",
    "labeller": "labeller: labels, and sees nothing else",
    "operator": "operator: also starts and stops work",
    "admin": "admin: also manages people and disks",
}
_Role = Annotated[Role, Field(title="Role", json_schema_extra={"choices": _ROLE_WORDS})]


class NewRole(BaseModel):
    """What a person may do from now on."""

    role: _Role = "viewer"


class NewPassword(BaseModel):
    """A password that is given to a person."""

    password: Annotated[str, Field(title="Password", json_schema_extra={"format": "password"})]


class NewPerson(BaseModel):
    """An account that is to be made."""

    name: Annotated[str, Field(title="Name", max_length=100)]
    role: _Role = "viewer"
    password: Annotated[
        str,
        Field(
            title="First password",
            description=f"At least {PASSWORD_LENGTH_MIN} characters. Tell it on another way.",
            json_schema_extra={"format": "password"},
        ),
    ]

    @field_validator("name")
    @classmethod
    def _as_names_are(cls, name: str) -> str:
        return name.lower()


class Person(NamedTuple):
    """An account, and from how many browsers it is used."""

    user: User
    seen: str

    @property
    def state(self) -> str:
        """Whether the person may log in."""
        return "disabled" if self.user.is_disabled else "active"


class Reading(NamedTuple):
    """All accounts, and what was done lately."""

    people: tuple[Person, ...]
    changes: tuple[AuditEntry, ...]


def read_people(desk: Desk) -> Reading:
    """Read all accounts, and the end of the audit log; blocks."""
    book = desk.database().users
    sessions = book.sessions()

    def seen(user: User) -> str:
        mine = [one for one in sessions if one.user_id == user.user_id]
        return f"{ago(mine[0].seen_time)}, {many(len(mine), 'browser')}" if mine else "no"

    changes = desk.database().audit.entries(limit=CHANGES_SHOWN)
    return Reading(tuple(Person(user, seen(user)) for user in book.users()), tuple(changes))


def build(view: View) -> None:
    """Build the page."""
    desk = view.desk
    cols = (
        Col("Name", lambda one: one.user.name),
        Col("Role", lambda one: one.user.role),
        Col("State", "state", state_badge),
        Col("Password set", lambda one: ago(one.user.password_time)),
        Col("Logged in", "seen"),
        Col("", lambda one: _buttons(desk, one.user)),
    )

    def show(people: tuple[Person, ...]) -> None:
        with card("People"):
            table(people, cols, "People")
            with box("row"):
                button("Add a person", lambda: _add(desk), "primary small")

    view.live(show, lambda reading: reading.people)
    view.live(_show_changes, lambda reading: reading.changes)


def _show_changes(changes: tuple[AuditEntry, ...]) -> None:
    cols = (
        Col("When", "begin_time", ago),
        Col("Who", lambda one: one.name + (f" ({one.token_name})" if one.token_name else "")),
        Col("Role", "role"),
        Col("By", lambda one: f"{one.way} {one.address}".strip()),
        Col("What", lambda one: text(one.operation, "nowrap")),
        Col("With", lambda one: asked_words(one.request)),
        Col("Outcome", lambda one: one.outcome or "unknown"),
        Col("Why", lambda one: one.detail[:200]),
    )
    with card("Audit log", "the newest changes; drystone audit-log list has all"):
        table(changes, cols, "Changes", "Nothing was changed yet.")


def asked_words(request: str) -> str:
    """Return the values of a request in words; what is no whole JSON as it was kept."""
    try:
        values = json.loads(request or "{}")
    except ValueError:
        return first_line(request, ASKED_LENGTH_MAX)
    if not isinstance(values, dict):
        return first_line(request, ASKED_LENGTH_MAX)
    return first_line(listed(cast("dict[str, Any]", values)), ASKED_LENGTH_MAX)


PAGE = Page(
    "Users", "/users", "admin", "Settings", read=read_people, build=build, key="u", place=1,
    lead="Who may log in, and what each of them may do.",
)  # fmt: skip


def _buttons(desk: Desk, person: User) -> None:
    with box("row"):
        button("Role", lambda: _set_role(desk, person), "small")
        button("Password", lambda: _set_password(desk, person), "small")
        if person.name != visitor().name:
            label = "Enable" if person.is_disabled else "Disable"
            button(label, lambda: _set_disabled(desk, person), "small")


async def _change(desk: Desk, name: str, values: dict[str, Any], done: str) -> None:
    """Do something to an account; what is known of sessions may be wrong then."""
    await operate(desk, name, values, done)
    desk.sessions.forget()


async def _add(desk: Desk) -> None:
    if new := await ask("Add a person", NewPerson, "Add"):
        await _change(desk, "user.add", new.model_dump(), f"{new.name} may log in now")


async def _set_role(desk: Desk, person: User) -> None:
    given = {"role": person.role}
    if new := await ask(f"Role of {person.name}", NewRole, "Set", given=given):
        values = {"name": person.name, "role": new.role}
        await _change(desk, "user.role", values, f"{person.name} is {new.role} now")


async def _set_password(desk: Desk, person: User) -> None:
    lines = ["All browsers of this person are logged out."]
    if new := await ask(f"New password of {person.name}", NewPassword, "Set", lines=lines):
        values = {"name": person.name, "password": new.password}
        await _change(desk, "user.password", values, f"{person.name} has a new password")


async def _set_disabled(desk: Desk, person: User) -> None:
    disable, name = not person.is_disabled, person.name
    lines = ["All browsers and tokens of this person stop at once."]
    if not disable or await confirm(f"Shut {name} out?", lines, "Disable"):
        verb, state = ("disable", "shut out") if disable else ("enable", "back")
        await _change(desk, f"user.{verb}", {"name": name}, f"{name} is {state}")
