"""Operations on people: who may log in, as what, and the tokens of their scripts.

A password is asked for on the terminal or read from a file: never an argument, which every process
on the machine can see.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

from pydantic import Field

from base.errors import UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, Load, NoRequest, operation
from base.output import say, write_line, write_table
from sql import Place, Role, opened

__all__ = ["opened"]

NAME_LENGTH_MAX = 100
PASSWORD_LENGTH_MAX = 1_000


PersonName = Annotated[str, Field(max_length=NAME_LENGTH_MAX, description="The person's name.")]
RoleField = Annotated[Role, Field(description="viewer, labeller, operator or admin.")]
Password = Annotated[
    str,
    Field(max_length=PASSWORD_LENGTH_MAX, description="Its first line is it; - is stdin."),
]


def _password(path: str | None) -> str:
    if path is None:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask for a password on; use --password-file")
        import typer

        return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        if path == "-":
            return sys.stdin.readline().rstrip("\r\n")
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the password cannot be read from {path}: {error}") from error


_PASSWORD_FILE = {"password": ("--password-file",)}
_LOADS = {"password": Load(_password, is_needed=False)}
_METAVARS = {"name": "NAME", "role": "ROLE", "password": "FILE", "token_name": "TOKEN-NAME"}


class PersonAnswer(Document):
    """Somebody who may log in, and with which role."""

    name: str
    role: Role


class Person(PersonAnswer):
    """An account, and the names of its tokens."""

    disabled: bool
    created: datetime
    tokens: list[str]


class OnePerson(Document):
    """Which person."""

    name: PersonName


class NewPerson(OnePerson):
    """Somebody who is to be let in."""

    role: RoleField = "viewer"
    password: Password


class NewPassword(OnePerson):
    """Whose password, and what it is from now on."""

    password: Password


class NewRole(OnePerson):
    """Whose role, and what it is from now on."""

    role: RoleField


# ---- People --------------------------------------------------------------------------------------


@operation(
    "user.add",
    role="admin",
    kind="change",
    route="POST /people",
    cli=Cli(
        command="gui user add",
        positional=("name",),
        options=_PASSWORD_FILE,
        loads=_LOADS,
        metavars=_METAVARS,
        show=lambda made, _: say(f"{made.name} may log in as {made.role}"),
    ),
)
def add(place: Place, _caller: Caller, asked: NewPerson) -> PersonAnswer:
    """Add a person; the first one wants --role admin."""
    from gui.access.people import add_user

    made = add_user(place.database, asked.name, asked.role, asked.password)
    return PersonAnswer(name=made.name, role=made.role)


def _show_people(found: list[Person], _asked: NoRequest) -> None:
    write_table(
        ("name", "role", "state", "since", "tokens"),
        [
            (
                one.name,
                one.role,
                "disabled" if one.disabled else "active",
                one.created.astimezone().strftime("%Y-%m-%d"),
                ", ".join(one.tokens),
            )
            for one in found
        ],
    )


@operation(
    "user.list",
    role="admin",
    kind="question",
    route="GET /people",
    cli=Cli(command="gui user list", show=_show_people),
)
def list_people(place: Place, _caller: Caller, _asked: NoRequest) -> list[Person]:
    """List everybody, with their tokens."""
    people, tokens = place.database.users.users(), place.database.users.tokens()
    return [
        Person(
            name=one.name,
            role=one.role,
            disabled=one.is_disabled,
            created=one.create_time,
            tokens=[token.name for token in tokens if token.user_name == one.name],
        )
        for one in people
    ]


@operation(
    "user.password",
    role="admin",
    kind="change",
    route="POST /people/{name}/password",
    cli=Cli(
        command="gui user password",
        positional=("name",),
        options=_PASSWORD_FILE,
        loads=_LOADS,
        metavars=_METAVARS,
        show=lambda answer, _: say(f"{answer.name} has a new password"),
    ),
)
def password(place: Place, _caller: Caller, asked: NewPassword) -> OnePerson:
    """Set a password; all browsers of this person are logged out."""
    from gui.access.people import change_password

    place.database.users.user(asked.name)
    change_password(place.database, asked.name, asked.password)
    return OnePerson(name=asked.name)


@operation(
    "user.disable",
    role="admin",
    kind="change",
    route="POST /people/{name}/disable",
    cli=Cli(
        command="gui user disable",
        positional=("name",),
        metavars=_METAVARS,
        show=lambda answer, _: say(f"{answer.name} is shut out"),
    ),
)
def disable(place: Place, _caller: Caller, asked: OnePerson) -> OnePerson:
    """Shut a person out, with all browsers and tokens."""
    place.database.users.set_disabled(asked.name, is_disabled=True)
    return asked


@operation(
    "user.enable",
    role="admin",
    kind="change",
    route="POST /people/{name}/enable",
    cli=Cli(
        command="gui user enable",
        positional=("name",),
        metavars=_METAVARS,
        show=lambda answer, _: say(f"{answer.name} may log in again"),
    ),
)
def enable(place: Place, _caller: Caller, asked: OnePerson) -> OnePerson:
    """Let a person in again."""
    place.database.users.set_disabled(asked.name, is_disabled=False)
    return asked


@operation(
    "user.role",
    role="admin",
    kind="change",
    route="POST /people/{name}/role",
    cli=Cli(
        command="gui user role",
        positional=("name", "role"),
        metavars=_METAVARS,
        show=lambda answer, _: say(f"{answer.name} is {answer.role} now"),
    ),
)
def role(place: Place, _caller: Caller, asked: NewRole) -> PersonAnswer:
    """Give a person another role."""
    place.database.users.set_role(asked.name, asked.role)
    return PersonAnswer(name=asked.name, role=asked.role)


# ---- Tokens --------------------------------------------------------------------------------------


class OneToken(OnePerson):
    """Which token of whom."""

    token_name: Annotated[
        str, Field(max_length=NAME_LENGTH_MAX, description="What the token is called.")
    ] = "script"


class NewToken(OneToken):
    """A token for a script, with at most the role of its owner."""

    role: RoleField = "viewer"
    days: Annotated[float | None, Field(ge=0.01, description="Days until it ends.")] = None


class TokenAnswer(Document):
    """A token, shown once: only its hash is kept."""

    name: str
    token: str


@operation(
    "user.token_remove",
    role="admin",
    kind="change",
    route="DELETE /people/{name}/tokens/{token_name}",
    cli=Cli(
        command="gui user token --remove",
        is_shown=False,
        show=lambda gone, _: say(f"token {gone.token_name} of {gone.name} is worthless now"),
    ),
)
def remove_token(place: Place, _caller: Caller, asked: OneToken) -> OneToken:
    """Make it worthless. Now: `token revoke`."""
    place.database.users.remove_token(asked.name, asked.token_name)
    return asked


@operation(
    "user.token",
    role="admin",
    kind="change",
    route="POST /people/{name}/tokens",
    cli=Cli(
        command="gui user token",
        positional=("name", "token_name"),
        metavars=_METAVARS,
        switches={"remove": remove_token},
        show=lambda made, _: write_line(made.token),
    ),
    is_secret=True,
)
def make_token(place: Place, _caller: Caller, asked: NewToken) -> TokenAnswer:
    """Make a token by a role and print it, once; or remove one. Now: `token create`, `revoke`."""
    from gui.access.people import DAY_S, make_token
    from sql import scopes_of_role

    scopes, lifetime_s = scopes_of_role(asked.role), asked.days and asked.days * DAY_S
    made = make_token(place.database, asked.name, asked.token_name, scopes, lifetime_s)
    return TokenAnswer(name=made.name, token=made.secret)
