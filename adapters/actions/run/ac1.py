"""Actions of SQL alone (AC1): it owns their run, from the event to what became of every node.

tagging    a row of results for every node of the batch
grouping   near hashes of another action's results -> groups, as virtual nodes over their members
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from adapters.actions.outputs.events import check_event
from adapters.actions.outputs.hand_off import HandOffReport, intent_id_of, report_of
from adapters.actions.run.grouping import near_groups, parse_hashes
from adapters.actions.run.tagging import run_tagging as tag
from base.errors import UsageError
from sql import (
    Edge,
    NodeOutcome,
    Relationship,
    ResultRow,
    SupersededResults,
    VirtualNode,
    WriteIntent,
    key_of,
)

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from sql import Database

INTENT_GROUPS_ROWS_MAX = 200_000
PART = 0


def run_ac1(database: Database, loaded: LoadedContract, action_event_id: int) -> HandOffReport:
    """Do the whole of an AC1 for an event that has begun; safe to call again."""
    if loaded.contract.tagging is not None:
        return run_tagging(database, loaded, action_event_id)
    return run_grouping(database, loaded, action_event_id)


def run_tagging(database: Database, loaded: LoadedContract, action_event_id: int) -> HandOffReport:
    """Tag every node of the event's batch."""
    check_event(database, loaded, action_event_id, {})
    result = tag(database, loaded, action_event_id)
    outcomes = list(database.actions.outcomes(action_event_id))
    return report_of(action_event_id, PART, outcomes).model_copy(
        update={
            "results": result.rows_new,
            "superseded": result.results_superseded,
            "repeated": result.repeated,
            # Nothing left to do is done.
            **({} if outcomes else {"state": "done"}),
        }
    )


def run_grouping(database: Database, loaded: LoadedContract, action_event_id: int) -> HandOffReport:
    """Find the groups among all nodes of the event's batch, and write them.

    A node is in the group of every batch that had it: groups of two runs meet at their members, and
    component_id holds all of them together. A node without a hash is missing; one that is near
    nothing is done and in no group.
    """
    grouping = loaded.contract.grouping
    if grouping is None:
        raise UsageError(f"action {loaded.contract.name} has no `grouping`")
    event = check_event(database, loaded, action_event_id, {})
    book, intent_id = database.actions, intent_id_of(action_event_id, PART)
    keys, texts, outcomes = _read(
        book.column_of_batch(event.action_batch_id, grouping.action, grouping.column)
    )
    report = report_of(action_event_id, PART, outcomes)
    if not book.intent_applied(intent_id):
        groups = near_groups(parse_hashes(texts), grouping.distance_max)
        members = _members(groups, keys)
        results = [
            database.apply_intent(intent)
            for intent in _intents(loaded.contract, action_event_id, intent_id, keys, members)
        ]
        report = report.model_copy(
            update={
                "children": len(members),
                "results": sum(len(group) for group in members) if _columns(loaded) else 0,
                "superseded": sum(result.results_superseded for result in results),
                "nodes_new": sum(result.nodes_new for result in results),
                "edges_new": sum(result.edges_new for result in results),
            }
        )
    else:
        report = report.model_copy(update={"repeated": True})
    # A crash before this line leaves the intents: the next call only records the outcomes.
    book.record_outcomes(action_event_id, PART, outcomes)
    return report


def _columns(loaded: LoadedContract) -> bool:
    return bool(loaded.contract.result_schema)


def _read(
    rows: Iterator[tuple[int, str, Any]],
) -> tuple[list[str], list[str], list[NodeOutcome]]:
    keys, texts, outcomes = list[str](), list[str](), list[NodeOutcome]()
    for node_id, key, value in rows:
        try:
            parse_hashes([value])
        except (TypeError, ValueError):
            reason = "it has no perceptual hash" if value is None else "its hash is no hash"
            outcomes.append(NodeOutcome(node_id=node_id, outcome="missing", reason=reason))
            continue
        keys.append(key)
        texts.append(value)
        outcomes.append(NodeOutcome(node_id=node_id, outcome="done"))
    return keys, texts, outcomes


def _members(groups: np.ndarray[Any, np.dtype[np.int64]], keys: list[str]) -> list[list[str]]:
    """Return the keys of every group of two or more, sorted; groups by their least key."""
    by_group: dict[int, list[str]] = {}
    counts = np.bincount(groups, minlength=len(keys)) if len(keys) else np.zeros(0, np.int64)
    for place in np.flatnonzero(counts[groups] > 1).tolist() if len(keys) else ():
        by_group.setdefault(int(groups[place]), []).append(keys[place])
    return sorted(sorted(members) for members in by_group.values())


def _intents(
    contract: ActionContract,
    event_id: int,
    intent_id: str,
    keys: list[str],
    members: list[list[str]],
) -> Iterator[WriteIntent]:
    """Yield the intents; the last one has the id itself and supersedes what was said before."""
    grouping = contract.grouping
    assert grouping is not None
    relationship = Relationship(
        description=grouping.relationship, forms_tree=True, action_id=contract.action_id
    )
    virtual, edges, number = list[VirtualNode](), list[Edge](), 0
    for group in members:
        node = _node_of(contract, group)
        virtual.append(node)
        edges += [
            Edge(
                parent=node.key,
                child=key,
                relationship=grouping.relationship,
                action_id=contract.action_id,
            )
            for key in group
        ]
        if len(edges) >= INTENT_GROUPS_ROWS_MAX:
            number += 1
            yield WriteIntent(
                intent_id=f"{intent_id}:{number}:{key_of(''.join(keys))[:12]}",
                virtual_nodes=tuple(virtual),
                relationships=(relationship,),
                edges=tuple(edges),
            )
            virtual, edges = [], []
    has_results = bool(contract.result_schema)
    yield WriteIntent(
        intent_id=intent_id,
        virtual_nodes=tuple(virtual),
        relationships=(relationship,),
        edges=tuple(edges),
        results=tuple(_results(contract, event_id, members)) if has_results else (),
        superseded_results=tuple(
            SupersededResults(action=contract.name, key=key, action_event_id=event_id)
            for key in (keys if has_results else ())
        ),
    )


def _node_of(contract: ActionContract, group: list[str]) -> VirtualNode:
    """The least key names the group, whatever batch it was found in."""
    return VirtualNode(description=f"drystone:{contract.name}:{group[0]}")


def _results(
    contract: ActionContract, event_id: int, members: list[list[str]]
) -> Iterator[ResultRow]:
    for group in members:
        said = {"group_key": _node_of(contract, group).key, "members": len(group)}
        values = {name: said[name] for name in contract.result_schema if name in said}
        for key in group:
            yield ResultRow(action=contract.name, key=key, action_event_id=event_id, values=values)
