"""`drystone gui user`: it owns adding people and changing what they may do, without a browser.

A password is asked for on the terminal or read from a file: never an argument, which every process
on the machine can see.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table

if TYPE_CHECKING:
    from sql import Database, Role

app = typer.Typer(help="Who may log in.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
RoleOption = Annotated[str, typer.Option("--role", help="viewer, labeller, operator or admin.")]
PasswordFileOption = Annotated[
    str | None,
    typer.Option(
        "--password-file", metavar="FILE", help="Its first line is the password; - is stdin."
    ),
]


@app.command(epilog=EXIT_CODES)
def add(
    name: NameArgument,
    role: RoleOption = "viewer",
    password_file: PasswordFileOption = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a person; the first one wants --role admin."""
    from gui.access.people import add_user

    with _database(config) as database:
        made = add_user(database, name, _role(role), _password(password_file))
    if json_output:
        write_json({"name": made.name, "role": made.role})
    else:
        say(f"{made.name} may log in as {made.role}")


@app.command("list", epilog=EXIT_CODES)
def list_users(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List everybody, with their tokens."""
    with _database(config) as database:
        people, tokens = database.users.users(), database.users.tokens()
    if json_output:
        write_json(
            [
                {
                    "name": one.name,
                    "role": one.role,
                    "disabled": one.is_disabled,
                    "created": one.create_time.isoformat(),
                    "tokens": [token.name for token in tokens if token.user_name == one.name],
                }
                for one in people
            ]
        )
        return
    write_table(
        ("name", "role", "state", "since", "tokens"),
        [
            (
                one.name,
                one.role,
                "disabled" if one.is_disabled else "active",
                one.create_time.astimezone().strftime("%Y-%m-%d"),
                ", ".join(token.name for token in tokens if token.user_name == one.name),
            )
            for one in people
        ],
    )


@app.command(epilog=EXIT_CODES)
def password(
    name: NameArgument, password_file: PasswordFileOption = None, config: ConfigOption = None
) -> None:
    """Set a password; all browsers of this person are logged out."""
    from gui.access.people import change_password

    with _database(config) as database:
        database.users.user(name)
        change_password(database, name, _password(password_file))
    say(f"{name} has a new password")


@app.command(epilog=EXIT_CODES)
def disable(name: NameArgument, config: ConfigOption = None) -> None:
    """Shut a person out, with all browsers and tokens."""
    with _database(config) as database:
        database.users.set_disabled(name, is_disabled=True)
    say(f"{name} is shut out")


@app.command(epilog=EXIT_CODES)
def enable(name: NameArgument, config: ConfigOption = None) -> None:
    """Let a person in again."""
    with _database(config) as database:
        database.users.set_disabled(name, is_disabled=False)
    say(f"{name} may log in again")


@app.command(epilog=EXIT_CODES)
def role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE")],
    config: ConfigOption = None,
) -> None:
    """Give a person another role."""
    with _database(config) as database:
        database.users.set_role(name, _role(role))
    say(f"{name} is {role} now")


@app.command(epilog=EXIT_CODES)
def token(
    name: NameArgument,
    token_name: Annotated[str, typer.Argument(metavar="TOKEN-NAME")] = "script",
    role: RoleOption = "viewer",
    days: Annotated[float | None, typer.Option(min=0.01, help="Days until it ends.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Make it worthless.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a token for a script and print it, once; or remove one."""
    from gui.access.people import make_token

    with _database(config) as database:
        if remove:
            database.users.remove_token(name, token_name)
            say(f"token {token_name} of {name} is worthless now")
            return
        made = make_token(database, name, token_name, _role(role), days)
    if json_output:
        write_json({"name": made.name, "token": made.secret})
    else:
        write_line(made.secret)


def _database(config: str | None) -> Database:
    from sql import Database

    return Database.open(find_config(config), say)


def _role(text: str) -> Role:
    from base.errors import UsageError
    from sql import ROLES

    if text not in ROLES:
        raise UsageError(f"there is no role {text!a}; the roles are {', '.join(ROLES)}")
    return text


def _password(path: str | None) -> str:
    from base.errors import UsageError

    if path is None:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask for a password on; use --password-file")
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        if path == "-":
            return sys.stdin.readline().rstrip("\r\n")
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the password cannot be read from {path}: {error}") from error
