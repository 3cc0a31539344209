"""People's tags and collections: virtual nodes, and edges from them to what is in them.

The edges say what holds now: `tagged` and `member`, as those of platforms, so that selectors and
words find both alike. Who did what when is an observation of the node, a row of meta_people, which
is kept when a tag is taken off. All of it goes through write-intents, in parts.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from base.errors import UsageError
from sql.core.declared import Column, DeclaredTable
from sql.core.errors import NotFoundError
from sql.core.repository import rows_of
from sql.core.statements import statements
from sql.database.database import Database
from sql.database.node_parts import in_parts
from sql.intent.intent import (
    CommonMetadata,
    Edge,
    Relationship,
    RemovedEdge,
    SourceMetadata,
    VirtualNode,
    WriteIntent,
)
from sql.selector import select
from sql.selector.selector import Selector

SOURCE = "people"
NODES_MAX = 1_000_000
"""So many nodes are tagged or collected at once: five minutes and a third of a gigabyte of rows, by
0.29 ms and 328 bytes a node, measured with 60,000 on a busy machine of two cores."""
NAME_LENGTH_MAX = 100
GROUPS_MAX = 10_000

Kind = Literal["tag", "collection"]
Act = Literal["tag", "untag", "add", "remove"]

_RELATIONSHIPS: dict[Kind, str] = {"tag": "tagged", "collection": "member"}
_KINDS: dict[Act, Kind] = {
    "tag": "tag", "untag": "tag", "add": "collection", "remove": "collection",
}  # fmt: skip
_TAKES_OUT = ("untag", "remove")
TABLE = DeclaredTable(
    kind="source",
    name=SOURCE,
    version=2,
    comment="What people of this store said about nodes; download_time is when",
    columns=(
        Column(name="user", type="text", comment="Who said it"),
        Column(name="act", type="text", comment="tag, untag, add, remove, or describe and replace"),
        Column(name="name", type="text", comment="The tag or the collection"),
        Column(name="said", type="jsonb", comment="Metadata that was said of an asset"),
    ),
)
_SQL = statements("groups")


def checked_name(name: str) -> str:
    """Return the name of a tag or a collection, spaces put right; ValueError when it is none."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name.isprintable() or not any(map(str.isalnum, name)):
        raise ValueError("a name has printable characters, and a letter or digit among them")
    return name


GroupName = Annotated[
    str, Field(min_length=1, max_length=NAME_LENGTH_MAX), AfterValidator(checked_name)
]


class Group(BaseModel):
    """A tag or a collection, how many nodes have it, and who made it."""

    model_config = ConfigDict(frozen=True)

    name: str
    node_id: int
    key: str
    nodes: int
    user: str


def description_of(kind: Kind, name: str) -> str:
    """Return the canonical description of a tag or a collection; tags are in lower case."""
    return f"{SOURCE}:{kind}:{name.lower() if kind == 'tag' else name}"


def groups(database: Database, kind: Kind) -> list[Group]:
    """Return all tags of people, or all collections, by name."""
    given = {
        "begin": f"{SOURCE}:{kind}:",
        "relationship": _RELATIONSHIPS[kind],
        "limit": GROUPS_MAX,
    }
    with database.reading() as connection:
        return rows_of(connection, Group, _SQL["groups"], given)


def create(database: Database, name: str, user: str) -> bool:
    """Make an empty collection; False when there is one of this name."""
    is_new = not _exists(database, "collection", name)
    if is_new:
        database.declare(TABLE)
        intent_id = f"collection-create-{user}-{name}-{now().isoformat()}"[:200]
        made = WriteIntent(intent_id=intent_id)
        database.apply_intent(made.model_copy(update=_node_of("collection", name, user)))
    return is_new


def preview(database: Database, act: Act, name: str, selector: Selector) -> select.Aggregate:
    """Return how many nodes an act is for. Raises UsageError when they are too many."""
    _check(database, act, name)
    with database.reading() as connection:
        total = select.aggregate(connection, selector)
    if total.count > NODES_MAX:
        raise UsageError(
            f"{total.count:,} nodes are chosen, and {NODES_MAX:,} can be changed at once: choose "
            "fewer (a source, a batch, a time), several times; nothing was done"
        )
    return total


def change(
    database: Database,
    act: Act,
    name: str,
    selector: Selector,
    user: str,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Tag, untag, add or remove the nodes of a selector; returns for how many that was new.

    When it is cut in between, the parts before are done and the same again does the rest.
    """
    preview(database, act, name, selector)
    database.declare(TABLE)
    group = VirtualNode(description=description_of(_KINDS[act], name)).key
    relationship, when = _RELATIONSHIPS[_KINDS[act]], now()

    def changed(intent_id: str, keys: list[str]) -> int:
        given = {"group": bytes.fromhex(group), "relationship": relationship,
                 "keys": [bytes.fromhex(key) for key in keys]}  # fmt: skip
        with database.reading() as connection:
            inside = {key for (key,) in connection.execute(_SQL["members"], given)}
        # What is so already is not said again, and nothing is in itself.
        wanted = [key for key in keys if (key in inside) == (act in _TAKES_OUT) and key != group]
        if wanted:
            said = {"user": user, "act": act, "name": name}
            rows = tuple(
                SourceMetadata(key=key, source=SOURCE, download_time=when, values=said)
                for key in wanted
            )
            intent = WriteIntent(intent_id=intent_id, source_metadata=rows)
            update = _edges_of(act, name, user, group, wanted)
            database.apply_intent(intent.model_copy(update=update))
        return len(wanted)

    with database.reading() as connection:
        keys = (row.key for row in select.query_nodes(connection, selector))
        return in_parts(f"node-{act}", keys, changed, progress)


def _edges_of(
    act: Act, name: str, user: str, group: str, keys: list[str]
) -> dict[str, tuple[object, ...]]:
    word = _RELATIONSHIPS[_KINDS[act]]
    if act in _TAKES_OUT:
        gone = (RemovedEdge(parent=group, child=key, relationship=word) for key in keys)
        return {"removed_edges": tuple(gone)}
    edges = tuple(Edge(parent=group, child=key, relationship=word) for key in keys)
    return {**_node_of(_KINDS[act], name, user), "edges": edges}


def now() -> datetime.datetime:
    """Return the moment at which somebody says something."""
    return datetime.datetime.now(datetime.UTC)


def _node_of(kind: Kind, name: str, user: str) -> dict[str, tuple[object, ...]]:
    """Return what makes the node of a tag or a collection, with its title."""
    node = VirtualNode(description=description_of(kind, name))
    title = CommonMetadata(
        key=node.key, source=SOURCE, is_raw=False, is_root=False, title=name, user=user
    )
    meaning = Relationship(description=_RELATIONSHIPS[kind], forms_tree=False)
    return {"virtual_nodes": (node,), "common_metadata": (title,), "relationships": (meaning,)}


def _exists(database: Database, kind: Kind, name: str) -> bool:
    key = VirtualNode(description=description_of(kind, name)).key
    with database.reading() as connection:
        found = connection.execute(_SQL["exists"], {"group": bytes.fromhex(key)})
        return found.fetchone() is not None


def _check(database: Database, act: Act, name: str) -> None:
    if act == "tag" or _exists(database, _KINDS[act], name):
        return
    if act == "untag":
        raise NotFoundError(f"nobody has given the tag {name!a}; `drystone node tags` lists all")
    raise NotFoundError(
        f"there is no collection {name!a}; `drystone collection list` lists all, "
        "`drystone collection create` makes one"
    )
