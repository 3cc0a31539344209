"""Actions from end to end on a real house: it owns the steps in their order, and no test.

Batch, part, stage, program, outputs, release: what the workflow UA_2 does, without a queue.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from command import ROOT
from ingest_harness import House

from adapters.actions.contract.check import LoadedContract, load_contract
from adapters.actions.contract.registry import declare_contract
from adapters.actions.outputs.events import begin_event, end_event
from adapters.actions.outputs.hand_off import HandOffReport, take_outputs
from adapters.actions.stage.batch import make_batch, verify_sealed
from adapters.actions.stage.command import checked_models, rendered_command
from adapters.actions.stage.parts import plan_parts
from adapters.actions.stage.stage import release_part, stage_part
from jobs.runners import RunOutcome, run_program
from jobs.runners.settings import RunnerSettings
from sql import Selector

LIBRARY = os.path.join(ROOT, "adapters", "actions", "library")
LEGACY = os.path.join(ROOT, "tests", "adapters", "legacy")


def shipped(name: str) -> LoadedContract:
    return load_contract(os.path.join(LIBRARY, name))


def legacy(name: str) -> LoadedContract:
    return load_contract(os.path.join(LEGACY, name))


@dataclass
class Performed:
    """One run of an action over one part."""

    outcome: RunOutcome
    report: HandOffReport
    event_state: str
    log: str


def perform(
    house: House,
    loaded: LoadedContract,
    parameters: dict[str, Any] | None = None,
    selector: Selector | None = None,
    models: dict[str, str] | None = None,
) -> Performed:
    """Run an action over what its selector finds; the batch must be one part."""
    database, client = house.database, house.store.client
    values = parameters or {}
    declare_contract(database, loaded)
    batch = make_batch(database, selector, contract=loaded)
    verify_sealed(database, batch)
    run_id = f"{loaded.contract.name}-{batch}"
    event = begin_event(database, loaded, batch, run_id=run_id, parameters=values)
    (part,) = plan_parts(database, loaded, batch, values)
    staged = stage_part(client, database, loaded, batch, part, values)
    log_path = os.path.join(house.store.root, "logs", f"{run_id}.log")
    paths = checked_models(loaded, models or {})
    outcome = run_program(
        rendered_command(loaded, staged, values, paths).model_dump(mode="json"),
        log_path=log_path,
        heartbeat=lambda progress: None,
        cancelled=lambda: False,
        settings=RunnerSettings(free_bytes_min=0),
    )
    report = take_outputs(
        client,
        database,
        loaded,
        staged,
        action_event_id=event,
        part=part.number,
        parameters=values,
        run_id=run_id,
        exit_state=outcome.state,
        reason=outcome.reason,
    )
    release_part(client, staged)
    assert not os.path.exists(staged.input_root) and not os.path.exists(staged.output_root)
    with open(log_path, encoding="utf-8", errors="replace") as file:
        return Performed(outcome, report, end_event(database, event), file.read())
