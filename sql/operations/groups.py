"""Operations on tags of people and on collections: given, taken off, made and listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from base.model import Document
from base.operations.commands import local_caller
from base.operations.operation import Caller, Cli, NoRequest, Operation, Shell, operation
from base.output import say, write_json, write_table
from sql.database.node_groups import NAME_LENGTH_MAX, Act, Group, GroupName
from sql.operations.chosen import (
    CHANGE_TIMEOUT_S,
    CHOICE_LOADS,
    CHOICE_METAVARS,
    CHOICE_OPTIONS,
    Chosen,
    chosen_by,
    what,
)
from sql.operations.place import Place, opened

__all__ = ["opened"]

_WORDS: dict[Act, str] = {
    "tag": "tagged with", "untag": "without the tag", "add": "added to", "remove": "taken out of",
}  # fmt: skip


class GroupRequest(Chosen):
    """Which nodes get, or lose, which tag or collection."""

    name: Annotated[GroupName, Field(title="Name", description="Its name.")]


class GroupAnswer(Document):
    """How many nodes were chosen, and for how many it is new."""

    act: Act
    name: str
    dry_run: bool
    nodes: int
    size_bytes: int
    changed: int

    @property
    def told(self) -> str:
        """What was done, in words."""
        so_before = self.nodes - self.changed
        rest = f"; {so_before:,} were so before" if so_before > 0 else ""
        return f"{self.changed:,} nodes {_WORDS[self.act]} {self.name}{rest}"


def _tell_changed(shell: Shell, answer: GroupAnswer, _asked: GroupRequest) -> int:
    if not answer.nodes:
        say("no node is chosen, so nothing was done")
    elif answer.dry_run:
        say(f"{what(answer.nodes, answer.size_bytes)} would be {_WORDS[answer.act]} {answer.name}")
    else:
        say(answer.told)
    if shell.is_json:
        write_json(answer)
    return 0


def _changing(
    act: Act, name: str, words: str
) -> tuple[
    Operation[Place, GroupRequest, GroupAnswer], Operation[Place, GroupRequest, GroupAnswer]
]:
    """Return two operations: what an act would be for, and the act."""

    def looked(place: Place, caller: Caller, asked: GroupRequest, *, dry_run: bool) -> GroupAnswer:
        from sql.database import node_groups

        chosen, database = chosen_by(place, caller, asked), place.database
        total = node_groups.preview(database, act, asked.name, chosen)
        changed = 0
        if total.count and not dry_run:
            changed = node_groups.change(database, act, asked.name, chosen, caller.name)
        return GroupAnswer(
            act=act,
            name=asked.name,
            dry_run=dry_run,
            nodes=total.count,
            size_bytes=total.size_bytes,
            changed=changed,
        )

    def look(place: Place, caller: Caller, asked: GroupRequest) -> GroupAnswer:
        return looked(place, caller, asked, dry_run=True)

    def change(place: Place, caller: Caller, asked: GroupRequest) -> GroupAnswer:
        return looked(place, caller, asked, dry_run=False)

    def ask_first(shell: Shell, asked: GroupRequest) -> GroupRequest:
        if not shell.is_sure:
            found = looked(shell.place, local_caller(), asked, dry_run=True)
            if found.nodes:
                many = what(found.nodes, found.size_bytes)
                shell.confirm(f"{many}: {_WORDS[act]} {asked.name}?")
        return asked

    shown = name.replace(".", " ")
    path = f"/nodes/{act}" if name.startswith("node.") else f"/collections/{act}"
    look.__doc__, change.__doc__ = f"Tell how many nodes `{shown}` would be for.", words
    described: Callable[..., Any] = operation(
        f"{name}_plan",
        role="operator",
        kind="question",
        route=f"POST {path}/plan",
        cli=Cli(command=shown, is_shown=False, finish=_tell_changed),
    )
    plan = described(look)
    described = operation(
        name,
        role="operator",
        kind="change",
        route=f"POST {path}",
        timeout_s=CHANGE_TIMEOUT_S,
        cli=Cli(
            positional=("name",),
            options=CHOICE_OPTIONS,
            metavars={**CHOICE_METAVARS, "name": "NAME"},
            loads=CHOICE_LOADS,
            dry_run=plan,
            before=ask_first,
            is_asked_before=True,
            finish=_tell_changed,
        ),
    )
    return plan, described(change)


tag_plan, tag = _changing(
    "tag", "node.tag", "Give nodes a tag; `tag:` finds it, as those of platforms."
)
untag_plan, untag = _changing("untag", "node.untag", "Take a tag of people off nodes.")
add_plan, add = _changing("add", "collection.add", "Add nodes to a collection.")
remove_plan, remove = _changing("remove", "collection.remove", "Take nodes out of a collection.")


def _show_groups(rows: list[Group], _asked: NoRequest) -> None:
    cells = [[one.name, f"{one.nodes:,}", one.user, str(one.node_id)] for one in rows]
    write_table(("name", ">nodes", "made by", ">node"), cells)


@operation(
    "node.tags",
    role="viewer",
    kind="question",
    route="GET /tags",
    cli=Cli(show=_show_groups),
)
def tags(place: Place, _caller: Caller, _asked: NoRequest) -> list[Group]:
    """List the tags that people gave, and how many nodes have each."""
    from sql.database import node_groups

    return node_groups.groups(place.database, "tag")


@operation(
    "collection.list",
    role="guest",
    kind="question",
    route="GET /collections",
    cli=Cli(show=_show_groups),
)
def collections(place: Place, _caller: Caller, _asked: NoRequest) -> list[Group]:
    """List the collections, and how many nodes are in each."""
    from sql.database import node_groups

    return node_groups.groups(place.database, "collection")


class NewCollection(Document):
    """A collection that is to be."""

    name: Annotated[
        GroupName,
        Field(title="Name", description=f"Its name, of at most {NAME_LENGTH_MAX} characters."),
    ]


class CollectionMade(Document):
    """A collection, and whether it is new."""

    name: str
    is_new: bool


@operation(
    "collection.create",
    role="operator",
    kind="change",
    route="POST /collections",
    cli=Cli(
        positional=("name",),
        show=lambda made, _: say(f"{made.name}: {'made' if made.is_new else 'there already'}"),
    ),
)
def create(place: Place, caller: Caller, asked: NewCollection) -> CollectionMade:
    """Make an empty collection; one that is there stays as it is."""
    from sql.database import node_groups

    is_new = node_groups.create(place.database, asked.name, caller.name)
    return CollectionMade(name=asked.name, is_new=is_new)
