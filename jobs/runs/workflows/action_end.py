"""The end of UA_2: it owns what is put in order when the last part of an action has ended.

It needs the contract as it was when the run began, which the database keeps: a contract that was
changed or removed meanwhile neither holds room in 3C nor leaves an event without an end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters import store_client
from adapters.actions import (
    LoadedContract,
    StagedPart,
    begin_event,
    end_event,
    event_of_run,
    registered_contract,
    release_part,
    release_stage_of,
    take_outputs,
)
from jobs.runs.workflow import StepResult, TaskContext

if TYPE_CHECKING:
    from sql import EventDetail


def finish(context: TaskContext) -> StepResult:
    """Record the parts that failed, free what is left in 3C, and end the event."""
    runs, database = context.database.runs, context.database
    event = event_of_run(database, context.run_id)
    if event is None:
        return StepResult()  # Nothing was begun.
    loaded = registered_contract(database, event.contract_digest)
    _close_parts(context, loaded, event)
    run_now = runs.run(context.run_id)
    cancelled = run_now.cancel_time is not None
    state = end_event(database, event.event_id, cancelled=cancelled)
    if run_now.round > 1 and state != "done":
        # What ended stays as it ended: a run that was retried has an event for each time.
        again = begin_event(
            database,
            loaded,
            event.action_batch_id,
            run_id=f"{context.run_id}.{run_now.round}",
            parameters=context.parameters["parameters"],
        )
        state = end_event(database, again, cancelled=cancelled)
    counts = database.actions.outcome_counts(event.event_id)
    values = {"action_event_id": event.event_id, "event_state": state, "outcomes": dict(counts)}
    if state in ("done", "cancelled"):
        return StepResult(values)
    left = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    return StepResult(values, state="partial", error=f"not every node is done: {left or 'none is'}")


def _close_parts(context: TaskContext, loaded: LoadedContract, event: EventDetail) -> None:
    """Free the parts that were staged and never applied, and say why their nodes failed."""
    client, runs = store_client(context.config_path), context.database.runs
    has_program = loaded.contract.run_spec is not None
    applied = {one.part for one in runs.results(context.run_id, "apply") if one.result}
    ended = {one.part: (one.state, one.error) for one in runs.results(context.run_id, "run")}
    for planned in runs.results(context.run_id, "stage"):
        part, result = planned.part, planned.result
        if part in applied and has_program:
            continue
        if not result:
            # Killed in the middle, or never begun: perhaps the store has made it all the same.
            release_stage_of(client, loaded, event.action_batch_id, part - 1, context.run_id)
            continue
        staged = StagedPart.of_json(result["staged"])
        state, error = ended.get(part, ("cancelled", None))
        if state == "failed":
            take_outputs(
                client,
                context.database,
                loaded,
                staged,
                action_event_id=event.event_id,
                part=staged.part,
                parameters=context.parameters["parameters"],
                run_id=context.run_id,
                exit_state="failed",
                reason=error or "",
            )
        release_part(client, staged)
