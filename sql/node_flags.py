"""Deleting (type A) and black-listing: it owns how the flags of a selector's nodes are set.

Nothing is removed here: the bytes stay until a purge of type B. Flags are set by write-intents of
bounded size, each a transaction. Only nodes whose flag differs are asked for, so the same command
again, after it was cut, does what is left. Its intents therefore need no name that comes again: one
made of the selector would make "delete, undelete, delete" skip the last.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sql.database import Database
from sql.intent import NodeFlag, WriteIntent
from sql.select import Aggregate
from sql.selector import Condition, Selector

Verb = Literal["delete", "undelete", "blacklist", "unblacklist"]
PART_NODES = 20_000


@dataclass(frozen=True, slots=True)
class _Change:
    """What a verb sets, and the nodes it is for: those where it is not so yet."""

    condition: Condition
    includes: dict[str, bool]
    flag: dict[str, bool]


_CHANGES: dict[Verb, _Change] = {
    "delete": _Change(Condition(is_deleted=False), {}, {"is_delete": True}),
    "undelete": _Change(
        Condition(is_deleted=True), {"include_deleted": True}, {"is_delete": False}
    ),
    "blacklist": _Change(Condition(is_blacklisted=False), {}, {"in_black_list": True}),
    "unblacklist": _Change(
        Condition(is_blacklisted=True), {"include_blacklisted": True}, {"in_black_list": False}
    ),
}


def affected(verb: Verb, selector: Selector) -> Selector:
    """Return the selector of the nodes that a verb would change: with bytes, and not so yet."""
    change = _CHANGES[verb]
    parts = (selector.where, Condition(is_physical=True), change.condition)
    where = Condition(all=tuple(part for part in parts if part is not None))
    return selector.model_copy(update={"where": where, **change.includes})


def preview(database: Database, verb: Verb, selector: Selector) -> Aggregate:
    """Return how many nodes and bytes a verb would change."""
    return database.aggregate(affected(verb, selector))


def set_flags(
    database: Database,
    verb: Verb,
    selector: Selector,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Set the flag of a selector's nodes, in parts; returns of how many.

    When it fails or is cut in between, the parts before are done and the same again does the rest.
    """
    command = uuid.uuid4().hex
    keys = (row.key for row in database.query_nodes(affected(verb, selector)))
    done = 0
    for number, part in enumerate(_parts(keys)):
        flags = tuple(NodeFlag(key=key, **_CHANGES[verb].flag) for key in part)
        database.apply_intent(WriteIntent(intent_id=f"node-{verb}-{command}-{number}", flags=flags))
        done += len(part)
        progress(done)
    return done


def _parts(keys: Iterator[str]) -> Iterator[list[str]]:
    while part := list(itertools.islice(keys, PART_NODES)):
        yield part
