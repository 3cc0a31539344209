"""Runs of actions in the history: it owns how one begins and ends, and when outputs are its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database, EventDetail


def begin_event(
    database: Database,
    loaded: LoadedContract,
    action_batch_id: int,
    *,
    run_id: int | str,
    parameters: Mapping[str, Any],
) -> int:
    """Record that a run began over a sealed batch; the same run again gets the same event.

    The action must be declared (`declare_contract`). UsageError when the run began with another
    contract, batch or parameters.
    """
    return database.actions.begin_event(
        loaded.contract.action_id,
        action_batch_id,
        run_reference=f"run:{run_id}",
        version=loaded.contract.version,
        contract_digest=loaded.digest,
        parameters=parameters,
    )


def event_of_run(database: Database, run_id: int | str) -> EventDetail | None:
    """Return the event that a run began, or None when it began none yet."""
    return database.actions.event_of_run(f"run:{run_id}")


def end_event(database: Database, action_event_id: int, *, cancelled: bool = False) -> str:
    """End a run as its nodes say: done, partial, failed or cancelled; an ended one stays so."""
    return database.actions.end_event(action_event_id, cancelled=cancelled)


def check_event(
    database: Database, loaded: LoadedContract, action_event_id: int, parameters: Mapping[str, Any]
) -> EventDetail:
    """Return the event; UsageError when the contract or the parameters are no longer its own.

    What was staged for one contract is never read by another.
    """
    event = database.actions.event(action_event_id)
    if event.contract_digest != loaded.digest:
        raise UsageError(
            f"the contract of {event.action} changed after run {event.run_reference} had begun: "
            f"put version {event.version} back as it was and retry, or cancel and start anew"
        )
    if event.parameters != dict(parameters):
        raise UsageError(
            f"run {event.run_reference} began with the parameters {event.parameters}; "
            "start another run for others"
        )
    return event
