"""Operations on tokens: what programs show in place of a password.

A token belongs to an account, and may do what both its scopes and the role of its owner allow. It
is told once, only its hash is kept, and it is worthless from the next request on when it is
revoked. A token makes other tokens only with the scope `admin`: what was lent cannot outlive its
end by making its like.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from base.errors import UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import say, write_line, write_table
from gui.core.errors import ForbiddenError
from sql import Place, Scope, opened

__all__ = ["opened"]

NAME_LENGTH_MAX = 100
SCOPES_SHOWN = "read, label, write, admin, worker or database"

TokenName = Annotated[
    str, Field(min_length=1, max_length=NAME_LENGTH_MAX, description="What the token is called.")
]
Owner = Annotated[
    str | None,
    Field(max_length=NAME_LENGTH_MAX, description="Whose account; your own when it is left out."),
]


class OneToken(Document):
    """Which token of whom."""

    name: TokenName
    owner: Owner = None


class NewToken(OneToken):
    """A token that is to be made: with these scopes at most, until its end."""

    scopes: Annotated[
        tuple[Scope, ...],
        Field(max_length=6, description=f"What it may do: {SCOPES_SHOWN}; again for each."),
    ] = ("read",)
    until: Annotated[
        datetime | None, Field(description="When it ends, such as 2030-01-31; never without.")
    ] = None


class MadeToken(Document):
    """A token, shown once: only its hash is kept."""

    name: str
    owner: str
    scopes: tuple[Scope, ...]
    until: datetime | None
    token: str


class ListRequest(Document):
    """Whose tokens to list."""

    owner: Owner = None


class Token(Document):
    """A token without its secret."""

    name: str
    owner: str
    scopes: tuple[Scope, ...]
    created: datetime
    until: datetime | None
    used: datetime | None


_METAVARS = {"name": "NAME", "owner": "ACCOUNT", "scopes": "SCOPE", "until": "TIME"}


@operation(
    "token.create",
    role="operator",
    kind="change",
    route="POST /tokens",
    cli=Cli(
        positional=("name",),
        options={"scopes": ("--scope",)},
        metavars=_METAVARS,
        show=lambda made, _: write_line(made.token),
        example="drystone token create nightly --owner ann --scope read --until 2030-01-31",
    ),
    is_secret=True,
)
def create(place: Place, caller: Caller, asked: NewToken) -> MadeToken:
    """Make a token for a program and print it, once. An admin makes them for everybody."""
    from gui.access.people import make_token

    owner = _owner(caller, asked.owner)
    if caller.token and caller.role != "admin":
        raise ForbiddenError("a token makes others only with the scope admin")
    lifetime_s = None
    if asked.until is not None:
        until = asked.until if asked.until.tzinfo else asked.until.astimezone()
        lifetime_s = (until - datetime.now(until.tzinfo)).total_seconds()
    made = make_token(place.database, owner, asked.name, asked.scopes, lifetime_s)
    return MadeToken(
        name=asked.name, owner=owner, scopes=asked.scopes, until=asked.until, token=made.secret
    )


def _show_tokens(found: list[Token], _asked: ListRequest) -> None:
    def shown(time: datetime | None) -> str:
        return time.astimezone().strftime("%Y-%m-%d %H:%M") if time else "never"

    write_table(
        ("owner", "name", "scopes", "ends", "last used"),
        [
            (one.owner, one.name, ", ".join(one.scopes), shown(one.until), shown(one.used))
            for one in found
        ],
    )


@operation(
    "token.list",
    role="viewer",
    kind="question",
    route="GET /tokens",
    cli=Cli(metavars=_METAVARS, show=_show_tokens),
)
def list_tokens(place: Place, caller: Caller, asked: ListRequest) -> list[Token]:
    """List tokens without their secrets: one's own, for an admin those of everybody."""
    everybody = caller.role == "admin" and asked.owner is None
    return [
        Token(
            name=one.name,
            owner=one.user_name,
            scopes=tuple(one.scopes),
            created=one.create_time,
            until=one.expire_time,
            used=one.used_time,
        )
        for one in place.database.users.tokens(None if everybody else _owner(caller, asked.owner))
    ]


@operation(
    "token.revoke",
    role="operator",
    kind="change",
    route="DELETE /tokens/{name:path}",
    cli=Cli(
        positional=("name",),
        metavars=_METAVARS,
        show=lambda gone, _: say(f"token {gone.name} of {gone.owner} is worthless now"),
    ),
)
def revoke(place: Place, caller: Caller, asked: OneToken) -> OneToken:
    """Make a token worthless, from the next request on."""
    owner = _owner(caller, asked.owner)
    place.database.users.remove_token(owner, asked.name)
    return OneToken(name=asked.name, owner=owner)


def _owner(caller: Caller, named: str | None) -> str:
    """Return whose tokens are meant; those of others are an admin's business."""
    if caller.user_id is None and named is None:
        raise UsageError("whose token is it? Name the account with --owner")
    if named is not None and named != caller.name and caller.role != "admin":
        raise ForbiddenError(f"the tokens of {named!a} are theirs, or an admin's")
    return named or caller.name
