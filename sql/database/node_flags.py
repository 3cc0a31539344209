"""Deleting (type A) and black-listing: it owns how the flags of a selector's nodes are set.

Nothing is removed here: the bytes stay until a purge of type B. Flags are set by write-intents of
bounded size, each a transaction. The selector chooses among all nodes, hidden ones too, and of
those only the ones whose flag differs are changed: the same command again, after it was cut, does
what is left, and with a limit or a sample it takes no others. Its intents therefore need no name
that comes again: one made of the selector would make "delete, undelete, delete" skip the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from base.errors import UsageError
from sql.database.database import Database
from sql.database.node_parts import in_parts
from sql.intent.intent import NodeFlag, WriteIntent
from sql.selector import select
from sql.selector.select import Aggregate
from sql.selector.selector import Condition, Selector

Verb = Literal["delete", "undelete", "blacklist", "unblacklist"]


@dataclass(frozen=True, slots=True)
class _Change:
    """What a verb sets, and the nodes it is for: those where it is not so yet."""

    condition: Condition
    flag: dict[str, bool]


_CHANGES: dict[Verb, _Change] = {
    "delete": _Change(Condition(is_physical=True, is_deleted=False), {"is_delete": True}),
    "undelete": _Change(Condition(is_physical=True, is_deleted=True), {"is_delete": False}),
    "blacklist": _Change(
        Condition(is_physical=True, is_blacklisted=False), {"in_black_list": True}
    ),
    "unblacklist": _Change(
        Condition(is_physical=True, is_blacklisted=True), {"in_black_list": False}
    ),
}


def affected(
    verb: Verb, selector: Selector, *, all_nodes: bool = False
) -> tuple[Selector, Condition | None]:
    """Return whom a selector chooses, and what those must fulfil that the verb would change.

    Raises UsageError for a selector without a condition, unless all nodes are meant.
    """
    if selector.where is None and not all_nodes:
        raise UsageError(
            f"the selector has no condition (where), so {verb} would be for every node; write one, "
            "or give --all if that is meant"
        )
    differs = _CHANGES[verb].condition
    shown = {"include_deleted": True, "include_blacklisted": True}
    if selector.limit is not None or selector.sample is not None:
        return selector.model_copy(update=shown), differs
    # Where nothing is cut it is the same, and the planner sees all conditions together.
    parts = (differs,) if selector.where is None else (selector.where, differs)
    return selector.model_copy(update={"where": Condition(all=parts), **shown}), None


def preview(
    database: Database, verb: Verb, selector: Selector, *, all_nodes: bool = False
) -> Aggregate:
    """Return how many nodes and bytes a verb would change."""
    chosen, only = affected(verb, selector, all_nodes=all_nodes)
    with database.reading() as connection:
        return select.aggregate(connection, chosen, only=only)


def set_flags(
    database: Database,
    verb: Verb,
    selector: Selector,
    progress: Callable[[int], None] = lambda _: None,
    *,
    all_nodes: bool = False,
) -> int:
    """Set the flag of a selector's nodes, in parts; returns of how many.

    When it is cut in between, the parts before are done and the same again does the rest; when it
    fails there, PartlyDoneError says so.
    """
    chosen, only = affected(verb, selector, all_nodes=all_nodes)

    def changed(intent_id: str, keys: list[str]) -> int:
        flags = tuple(NodeFlag(key=key, **_CHANGES[verb].flag) for key in keys)
        database.apply_intent(WriteIntent(intent_id=intent_id, flags=flags))
        return len(keys)

    with database.reading() as connection:
        keys = (row.key for row in select.query_nodes(connection, chosen, only=only))
        return in_parts(f"node-{verb}", keys, changed, progress)
