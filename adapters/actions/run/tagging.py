"""Tagging (AC1): it owns the row that every node of a batch gets; nothing is staged or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.actions.contract.rules import result_table
from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database, Explanation, IntentResult


def run_tagging(database: Database, loaded: LoadedContract, action_event_id: int) -> IntentResult:
    """Tag the nodes of the event's batch that are not yet; one transaction, done once."""
    tagging = loaded.contract.tagging
    if tagging is None:
        raise UsageError(f"action {loaded.contract.name} has no `tagging`")
    return database.actions.tag_batch(action_event_id, tagging.values, tagging.computed)


def explain_tagging(database: Database, loaded: LoadedContract) -> Explanation | None:
    """Return the SQL of the computed columns of a tag, None where there are none.

    Raises UsageError for a condition that names what the database does not have.
    """
    tagging, table = loaded.contract.tagging, result_table(loaded.contract)
    if tagging is None or not tagging.computed or table is None:
        return None
    return database.actions.explain_computed(table, tagging.computed)
