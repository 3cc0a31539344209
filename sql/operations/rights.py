"""Operations on groups and grants: who besides those who see everything may see what."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from base.errors import UsageError
from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import say, write_line, write_table
from sql.database.node_groups import GroupName
from sql.operations.chosen import Document
from sql.operations.place import Place, opened
from sql.rights.grant_book import Grant, Level, NewGrant

__all__ = ["opened"]

NAME_LENGTH_MAX = 100
LINK_SECRET_BYTES = 32
REACHED_S = 2.0
"""So long a request reaches what it grants; the rest is the scheduler's."""

_GroupField = Annotated[
    str, Field(title="Group", max_length=NAME_LENGTH_MAX, description="The group's name.")
]
_AccountField = Annotated[
    str, Field(title="Account", max_length=NAME_LENGTH_MAX, description="The account's name.")
]


# ---- Groups --------------------------------------------------------------------------------------


class AccountGroupAnswer(Document):
    """A group, who is in it, and how much is granted to it."""

    name: str
    accounts: list[str]
    grants: int


class OneGroup(Document):
    """Which group."""

    group: _GroupField


class Membership(OneGroup):
    """Which account, in which group."""

    account: _AccountField


class Changed(Document):
    """Whether something is new."""

    is_new: bool


def _show_groups(found: list[AccountGroupAnswer], _asked: NoRequest) -> None:
    cells = [(one.name, ", ".join(one.accounts), str(one.grants)) for one in found]
    write_table(("group", "accounts", ">grants"), cells)


def _tell_made(made: Changed, asked: OneGroup) -> None:
    say(f"{asked.group}: {'made' if made.is_new else 'is there'}")


def _tell_in(made: Changed, asked: Membership) -> None:
    say(f"{asked.account} is in {asked.group}{'' if made.is_new else ', as before'}")


@operation(
    "group.list",
    role="operator",
    kind="question",
    route="GET /groups",
    cli=Cli(show=_show_groups),
)
def groups(place: Place, _caller: Caller, _asked: NoRequest) -> list[AccountGroupAnswer]:
    """List the groups of accounts, and who is in them."""
    return [AccountGroupAnswer(**one._asdict()) for one in place.database.rights.groups()]


@operation(
    "group.create",
    role="admin",
    kind="change",
    route="POST /groups",
    cli=Cli(
        positional=("group",),
        show=_tell_made,
    ),
)
def create_group(place: Place, _caller: Caller, asked: OneGroup) -> Changed:
    """Make an empty group of accounts; one that is there stays as it is."""
    return Changed(is_new=place.database.rights.add_group(asked.group))


@operation(
    "group.add",
    role="admin",
    kind="change",
    route="POST /groups/{group}/accounts",
    cli=Cli(
        positional=("group", "account"),
        show=_tell_in,
    ),
)
def add_member(place: Place, _caller: Caller, asked: Membership) -> Changed:
    """Put an account into a group: it sees what is granted to the group."""
    return Changed(is_new=place.database.rights.add_member(asked.group, asked.account))


@operation(
    "group.remove",
    role="admin",
    kind="change",
    route="DELETE /groups/{group}/accounts/{account}",
    cli=Cli(
        positional=("group", "account"),
        show=lambda gone, _: say(f"{gone.account} is not in {gone.group} any more"),
    ),
)
def remove_member(place: Place, _caller: Caller, asked: Membership) -> Membership:
    """Take an account out of a group."""
    place.database.rights.remove_member(asked.group, asked.account)
    return asked


@operation(
    "group.delete",
    role="admin",
    kind="change",
    route="DELETE /groups/{group}",
    cli=Cli(positional=("group",), show=lambda gone, _: say(f"{gone.group} is gone")),
)
def delete_group(place: Place, _caller: Caller, asked: OneGroup) -> OneGroup:
    """Remove a group, with all that was granted to it."""
    place.database.rights.remove_group(asked.group)
    return asked


# ---- Grants --------------------------------------------------------------------------------------


class GrantAnswer(Document):
    """What was granted to whom; one of account and group, of node and batch."""

    grant_id: int
    account: str | None
    group: str | None
    node: str | None
    description: str
    batch: str | None
    level: Level
    with_metadata: bool
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    is_live: bool
    is_complete: bool
    """Whether all that it reaches is reached already."""
    whom: str
    place: str


class NewGrantRequest(Document):
    """What is granted to whom."""

    level: Annotated[
        Level,
        Field(
            title="Level",
            description="viewer, editor or owner, or a single right: analyze, export, delete, "
            "share, api.",
        ),
    ] = "viewer"
    account: Annotated[
        str | None,
        Field(title="Account", max_length=NAME_LENGTH_MAX, description="To this account."),
    ] = None
    group: Annotated[
        str | None,
        Field(title="Group", max_length=NAME_LENGTH_MAX, description="To this group of accounts."),
    ] = None
    node: Annotated[
        str | None,
        Field(max_length=4_096, description="On a node: its key, node id or description."),
    ] = None
    collection: Annotated[
        GroupName | None, Field(description="On the collection of this name.")
    ] = None
    batch: Annotated[
        str | None, Field(max_length=4_096, description="On the ingest batch of this name.")
    ] = None
    until: Annotated[
        datetime | None, Field(title="Until", description="When it ends, with a zone.")
    ] = None
    with_metadata: Annotated[
        bool,
        Field(
            title="With all metadata",
            description="Show what every batch said of the nodes, not granted batches only.",
        ),
    ] = False


class OneGrant(Document):
    """Which grant."""

    grant_id: Annotated[int, Field(ge=1, description="The grant's number.")]


class GrantFilter(Document):
    """Which grants."""

    account: Annotated[
        str | None,
        Field(max_length=NAME_LENGTH_MAX, description="Those of an account and of its groups."),
    ] = None
    group: Annotated[
        str | None, Field(max_length=NAME_LENGTH_MAX, description="Those of a group.")
    ] = None
    ended: Annotated[bool, Field(description="Also those that ended or were taken back.")] = False


def _answer(grant: Grant) -> GrantAnswer:
    told = {name: value for name, value in grant._asdict().items() if name != "is_link"}
    return GrantAnswer.model_validate({**told, "whom": grant.whom, "place": grant.place})


def _told(one: GrantAnswer) -> str:
    reached = "" if one.is_complete else "; not all that it holds for is reached yet"
    until = f", until {one.expires_at:%Y-%m-%d %H:%M %Z}" if one.expires_at else ""
    return f"{one.grant_id}: {one.level} for {one.whom} on {one.place}{until}{reached}"


@operation(
    "grant.add",
    role="operator",
    right="share",
    kind="change",
    route="POST /grants",
    cli=Cli(
        metavars={"account": "NAME", "group": "NAME", "level": "LEVEL", "node": "NODE"},
        show=lambda made, _: say(_told(made)),
        example="drystone grant add --collection Walls --account bob",
    ),
)
def add(place: Place, caller: Caller, asked: NewGrantRequest) -> GrantAnswer:
    """Grant an account or a group something on a node, a collection or an ingest batch.

    It holds for what lies below, also for what arrives later. The same again changes its end. A
    guest grants what that guest has, for as long, to its groups and those in them, and no further.
    """
    from sql.database.node_groups import description_of

    if asked.node is not None and asked.collection is not None:
        raise UsageError("say what is granted: a node, a collection or a batch, one of these")
    collection = asked.collection and description_of("collection", asked.collection)
    new = NewGrant(
        level=asked.level,
        granted_by=caller.name,
        account=asked.account,
        group=asked.group,
        node=collection or asked.node,
        batch=asked.batch,
        expires_at=asked.until,
        with_metadata=asked.with_metadata,
    )
    grant_id = place.database.rights.add(new)
    place.database.read_rights(REACHED_S)
    return _answer(place.database.rights.grant(grant_id))


class NewLink(Document):
    """What whoever has a link is shown, and until when."""

    node: Annotated[
        str | None,
        Field(max_length=4_096, description="A node: its key, node id or description."),
    ] = None
    collection: Annotated[GroupName | None, Field(description="The collection of this name.")] = (
        None
    )
    until: Annotated[datetime, Field(title="Until", description="When it ends, with a zone.")]
    level: Annotated[
        Literal["viewer", "export"],
        Field(
            title="Level", description="viewer shows pictures alone, export gives the files, too."
        ),
    ] = "export"


class MadeLink(Document):
    """A link, shown once: only the hash of its secret is kept."""

    grant_id: int
    path: str
    """Below the address of the pages."""
    expires_at: datetime


@operation(
    "grant.link",
    role="operator",
    right="share",
    kind="change",
    route="POST /grants/links",
    cli=Cli(
        metavars={"node": "NODE", "until": "TIME", "level": "[viewer|export]"},
        show=lambda made, _: write_line(made.path),
        example="drystone grant link --collection Walls --until 2030-01-31T00:00:00Z",
    ),
    is_secret=True,
)
def link(place: Place, caller: Caller, asked: NewLink) -> MadeLink:
    """Share a node or a collection by a link, and print its path, once.

    Whoever has it sees the pictures of what lies there and below, and with the level `export` gets
    the contents, without an account, until it ends or `grant remove` takes it back.
    """
    from sql.core.guests import hash_of_link
    from sql.database.node_groups import description_of

    if (asked.node is None) == (asked.collection is None):
        raise UsageError("say what is shared: a node or a collection, one of these")
    collection = asked.collection and description_of("collection", asked.collection)
    place.database.check_guests()
    secret = secrets.token_urlsafe(LINK_SECRET_BYTES)
    new = NewGrant(
        level=asked.level,
        granted_by=caller.name,
        secret_hash=hash_of_link(secret),
        node=collection or asked.node,
        expires_at=asked.until,
    )
    grant_id = place.database.rights.add(new)
    place.database.read_rights(REACHED_S)
    return MadeLink(grant_id=grant_id, path=f"/shared/{secret}", expires_at=asked.until)


@operation(
    "grant.remove",
    role="operator",
    right="share",
    kind="change",
    route="DELETE /grants/{grant_id}",
    cli=Cli(
        positional=("grant_id",),
        metavars={"grant_id": "NUMBER"},
        show=lambda gone, _: say(f"grant {gone.grant_id} is taken back"),
    ),
)
def remove(place: Place, _caller: Caller, asked: OneGrant) -> OneGrant:
    """Take a grant back; it holds for nobody's next request."""
    place.database.rights.revoke(asked.grant_id)
    return asked


def _show_grants(found: list[GrantAnswer], _asked: GrantFilter) -> None:
    cells = [
        (
            str(one.grant_id),
            one.whom,
            one.level,
            one.place,
            f"{one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else "",
            one.granted_by,
            ("" if one.is_complete else "reaching") if one.is_live else "ended",
        )
        for one in found
    ]
    write_table((">grant", "whom", "level", "on", "until", "granted by", "state"), cells)


@operation(
    "grant.list",
    role="operator",
    right="share",
    kind="question",
    route="GET /grants",
    cli=Cli(show=_show_grants, metavars={"account": "NAME", "group": "NAME"}),
)
def grants(place: Place, _caller: Caller, asked: GrantFilter) -> list[GrantAnswer]:
    """List what is granted to whom; to a guest what that guest was granted, or granted."""
    found = place.database.rights.grants(
        account=asked.account, group=asked.group, include_ended=asked.ended
    )
    return [_answer(one) for one in found]


class Shared(Document):
    """Which node."""

    name: Annotated[
        str, Field(description="Its key, node id or canonical description.", max_length=4_096)
    ]


class StaffAnswer(Document):
    """Somebody who sees a node by the role."""

    account: str
    role: str


class Explained(Document):
    """Who sees a node: by the role, and by which grants."""

    staff: list[StaffAnswer]
    grants: list[GrantAnswer]


def _show_explained(found: Explained, asked: Shared) -> None:
    for one in found.staff:
        write_line(f"{one.account}: is {one.role}")
    for one in found.grants:
        write_line(_told(one))


@operation(
    "grant.explain",
    role="operator",
    right="share",
    kind="question",
    route="GET /grants/explain/{name:path}",
    cli=Cli(positional=("name",), metavars={"name": "NODE"}, show=_show_explained),
)
def explain(place: Place, _caller: Caller, asked: Shared) -> Explained:
    """Say who sees a node, and why: by the role, or by a grant on it or on what it lies below."""
    staff, found = place.database.rights.who_sees(asked.name)
    return Explained(
        staff=[StaffAnswer(**one._asdict()) for one in staff],
        grants=[_answer(one) for one in found],
    )
