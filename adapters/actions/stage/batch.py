"""Action batches: it owns how one is made from a selector, sealed, and verified before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.errors import UsageError
from sql import Selector

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database


def make_batch(
    database: Database, selector: Selector | None, *, contract: LoadedContract | None = None
) -> int:
    """Make an action batch of what the selector finds, seal it, and return its id.

    With a contract the batch has only what its input_selector finds too, and without a selector
    all of that. UsageError when it would be empty.
    """
    chosen = selector_of(selector, contract)
    node_ids = [row.node_id for row in database.query_nodes(chosen)]
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
