"""Action batches: it owns how one is made from a selector, sealed, and verified before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from base.errors import UsageError
from sql import Selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.actions.contract.check import LoadedContract
    from sql import Database, NodeRow


def make_batch(
    database: Database,
    selector: Selector | None,
    *,
    contract: LoadedContract | None = None,
    nodes_max: int | None = None,
) -> int:
    """Make an action batch of what the selector finds, seal it, and return its id.

    With a contract the batch has only what its input_selector finds too, and without a selector
    all of that; with `nodes_max` it is the next so many (`next_of`). UsageError when it would be
    empty.
    """
    if nodes_max is None:
        found = database.query_nodes(selector_of(selector, contract))
    else:
        found = next_of(database, selector, contract, nodes_max)
    node_ids = [row.node_id for row in found]
    if not node_ids:
        of = f" that {contract.contract.name} can work on" if contract else ""
        raise UsageError(f"the selector finds no node{of}: no action batch was made")
    return database.action_context.make_sealed_batch(node_ids)


def selector_of(selector: Selector | None, contract: LoadedContract | None) -> Selector:
    """Return what both the selector and the contract's input_selector find."""
    own = contract.contract.input_selector if contract else None
    if selector is None and own is None:
        raise UsageError("say which nodes: give a selector")
    if selector is None or own is None:
        return selector or own or Selector(version=1)
    if own.where is None:
        return selector
    if selector.where is None:
        return selector.model_copy(update={"where": own.where})
    both = {"all": [selector.where, own.where]}
    # Checked anew: together they may nest deeper than a selector may.
    document = selector.model_dump(by_alias=True, exclude={"where"}, exclude_none=True)
    return Selector.model_validate({**document, "where": both})


def next_of(
    database: Database,
    selector: Selector | None,
    contract: LoadedContract | None,
    nodes_max: int,
    *,
    again: bool = True,
) -> Iterator[NodeRow]:
    """Yield the first so many of what both find, of which the action is not done yet.

    By node_id, so the oldest come first, unless the selector has an order of its own; what the
    action failed with comes after all that it was not tried on, or never where `again` is false. In
    whatever version the action did a node, it is done.
    """
    chosen = selector_of(selector, contract)
    limit = nodes_max if chosen.limit is None else min(chosen.limit, nodes_max)
    name = contract.contract.name if contract else ""
    if not name or not database.actions.is_declared(name):
        yield from database.query_nodes(_with(chosen, {}, limit))
        return
    found: set[int] = set()
    for failed in (False, True) if again else (False,):
        if left := limit - len(found):
            state = {"action": {"name": name, "done": False, "failed": failed}}
            for row in database.query_nodes(_with(chosen, state, left)):
                # A run beside this one may have failed with it since it was found.
                if row.node_id not in found:
                    found.add(row.node_id)
                    yield row


def _with(selector: Selector, condition: dict[str, Any], limit: int) -> Selector:
    document = selector.model_dump(by_alias=True, exclude_unset=True) | {"limit": limit}
    where = document.get("where")
    if condition:
        document["where"] = {"all": [where, condition]} if where else condition
    return Selector.model_validate(document)


def verify_sealed(database: Database, action_batch_id: int) -> None:
    """Refuse a batch that is not sealed, is empty, or got nodes after its seal (UsageError)."""
    state = database.action_context.batch(action_batch_id)
    if state.seal_date is None:
        raise UsageError(f"action batch {action_batch_id} is not sealed; seal it before it runs")
    if state.late:
        raise UsageError(
            f"{state.late:,} nodes entered action batch {action_batch_id} after it was sealed: "
            "somebody changed the database by hand; make another batch"
        )
    if not state.nodes:
        raise UsageError(f"action batch {action_batch_id} has no nodes")
