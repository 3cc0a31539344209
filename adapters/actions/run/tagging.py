"""Tagging (AC1): it owns the row that every node of a batch gets; nothing is staged or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database, IntentResult


def run_tagging(database: Database, loaded: LoadedContract, action_event_id: int) -> IntentResult:
    """Tag the nodes of the event's batch that are not yet; one transaction, done once."""
    tagging = loaded.contract.tagging
    if tagging is None:
        raise UsageError(f"action {loaded.contract.name} has no `tagging`")
    return database.actions.tag_batch(action_event_id, tagging.values)
