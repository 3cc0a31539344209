"""A request of UA_2: it owns which action over which nodes, checked before the run exists.

The contract is looked up once, here; its version and digest go into the request, so that a contract
which changes later stops the run and is never mixed into it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from adapters import store_client
from adapters.actions import (
    DryRun,
    LoadedContract,
    checked_parameters,
    contract_named,
    declared_pipelines,
    dry_run_action,
    gates_of_action,
    next_stage,
    verify_sealed,
)
from base.errors import UsageError
from jobs.core.errors import PermanentError
from jobs.runners import missing_for
from sql import Database, Selector, parse_selector


class ActionParameters(BaseModel):
    """An action over a sealed batch, or over what a selector finds (its contract's by default).

    With `pipeline` it is what the batch comes to next there, with the parameters of that stage;
    `enrol` puts the batch into the pipeline when the run begins, and is filled in with `pipeline`
    unless it is there already.
    With `nodes_max` the batch has at most so many: the next of which the action is not done yet. A
    run that finds none left is done, so a schedule goes on with what comes in.
    `parameters` are those of an AC4. With `approval` a person is asked first, and with `gpu_ready`
    a machine is waited for; what the contract or a declared pipeline asks for is asked in any case,
    so nobody can take it away. The last three are filled in, and given in vain; `contract_digest`
    refuses a contract that is another by now. `gate` is how an older request asked for one of the
    two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str = ""
    pipeline: str | None = None
    action_batch_id: int | None = Field(default=None, ge=1)
    selector: dict[str, Any] | str | None = None
    nodes_max: int | None = Field(default=None, ge=1, lt=2**31)
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    approval: bool = False
    gpu_ready: bool = False
    contract_digest: str | None = None
    gate: Literal["gpu", "approval"] | None = None
    enrol: str | None = None
    version: int | None = None
    queue: Literal["io", "cpu", "gpu"] = "cpu"
    approval_step: Literal["plan", "stage"] = "stage"

    @model_validator(mode="after")
    def _one_input(self) -> ActionParameters:
        if self.action_batch_id is not None and self.selector is not None:
            raise ValueError("give action_batch_id or selector, not both")
        if self.action_batch_id is not None and self.nodes_max is not None:
            raise ValueError("a sealed batch is worked on as a whole: leave nodes_max out")
        if self.pipeline is not None and self.action_batch_id is None:
            raise ValueError("a pipeline goes on with a sealed batch: give action_batch_id, too")
        if not self.action and self.pipeline is None:
            raise ValueError("give action, or a pipeline and the action_batch_id of its batch")
        return self


def prepare(config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Complete a request, or refuse it before there is a run."""
    given = ActionParameters.model_validate(parameters)
    with Database.open(config_path) as database:
        if given.action_batch_id is not None:
            verify_sealed(database, given.action_batch_id)
        given = _of_stage(database, given)
        _check_enrolment(database, given)
        asked = _gates(given) | gates_of_action(database, given.action)
    loaded = contract_named(config_path, given.action)
    if given.contract_digest not in (None, loaded.digest):
        raise PermanentError(
            f"the contract of {given.action} is another than the one that was asked for; start anew"
        )
    spec = loaded.contract.run_spec
    if spec is not None:
        asked |= {spec.gate}
    elif "gpu_ready" in asked:
        raise UsageError(f"{given.action} runs no program, so it waits for no machine")
    selector = selector_of(given.selector)
    completed = given.model_copy(
        update={
            "selector": None if selector is None else _document(selector),
            "parameters": checked_parameters(loaded.contract, given.parameters),
            "approval": "approval" in asked,
            "gpu_ready": "gpu_ready" in asked,
            "gate": None,
            "version": loaded.contract.version,
            "contract_digest": loaded.digest,
            "queue": spec.queue if spec else "io",
            # Before anything is done: these two begin their work, or ask people, in `plan`.
            "approval_step": "plan" if loaded.contract.type in ("AC1", "AC5") else "stage",
        }
    )
    return completed.model_dump(mode="json")


def _of_stage(database: Database, given: ActionParameters) -> ActionParameters:
    """Return the request of what a batch comes to next in a pipeline, where one is named."""
    if given.pipeline is None or given.action_batch_id is None:
        return given
    where = f"batch {given.action_batch_id} in pipeline {given.pipeline}"
    stages = next_stage(database, given.action_batch_id, given.pipeline)
    if not stages:
        raise UsageError(f"{where} has been through all of it; nothing is left to start")
    stage = stages[0]
    if given.action not in ("", stage.action):
        raise UsageError(f"{where} comes to {stage.action} next, not to {given.action}")
    if given.parameters and given.parameters != stage.parameters:
        raise UsageError(f"{where}: the pipeline gives the parameters of its stages")
    # A batch that is in it already is not put there again when the run begins: it may have been
    # taken out meanwhile. The gates of the pipeline are among those of the action.
    batches = {one.action_batch_id for one in database.pipelines.begun([given.pipeline])}
    enrol = None if given.action_batch_id in batches else given.pipeline
    update = {"pipeline": None, "enrol": enrol, "action": stage.action,
              "parameters": stage.parameters}  # fmt: skip
    return given.model_copy(update=update)


def _check_enrolment(database: Database, given: ActionParameters) -> None:
    """Refuse a run that enrols its batch in a pipeline which is not there, or has other actions."""
    if given.enrol is None:
        return
    pipeline = declared_pipelines(database).get(given.enrol)
    if pipeline is None:
        raise UsageError(
            f"there is no pipeline {given.enrol[:100]!a}; see `drystone pipeline list`"
        )
    if given.action not in (stage.action for stage in pipeline.stages):
        raise UsageError(f"pipeline {given.enrol} has no stage {given.action}")


def _gates(given: ActionParameters) -> frozenset[str]:
    """Return what the request itself asks for, in the words of contracts and pipelines."""
    asked = {"approval": given.approval, "gpu_ready": given.gpu_ready}
    if given.gate is not None:
        asked["gpu_ready" if given.gate == "gpu" else "approval"] = True
    return frozenset(name for name, wanted in asked.items() if wanted)


def request_key(parameters: dict[str, Any]) -> str:
    """Return what makes two requests one: action and digest, nodes, parameters."""
    names = ["action", "contract_digest", "action_batch_id", "selector", "parameters"]
    if parameters.get("nodes_max") is not None:
        names.append("nodes_max")
    return json.dumps({name: parameters.get(name) for name in names}, sort_keys=True)


def size_bytes(config_path: str, parameters: dict[str, Any]) -> int | None:
    """Return how much a request concerns; None where a selector is to say that."""
    if parameters["action_batch_id"] is None:
        return None
    with Database.open(config_path) as database:
        return database.action_context.batch(parameters["action_batch_id"]).size_bytes


def dry_run(config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Tell how many nodes, bytes, parts and files it would be, where they would lie, and the
    command; nothing is staged."""
    given = ActionParameters.model_validate(prepare(config_path, parameters))
    loaded = contract_named(config_path, given.action)
    with Database.open(config_path) as database:
        report = dry_run_action(
            store_client(config_path),
            database,
            loaded,
            selector_of(given.selector),
            given.action_batch_id,
            given.parameters,
            nodes_max=given.nodes_max,
        )
    # Through JSON, which has no tuples and no models: the form that pages and HTTP get.
    return {
        **TypeAdapter(DryRun).dump_python(report, mode="json"),
        "waits_for": waits_of(given),
        "missing": missing_for(report.command) if report.command is not None else "",
    }


def waits_of(given: ActionParameters) -> list[str]:
    """Return what a completed request waits for: gates of its contract, pipelines, and its own."""
    step = given.approval_step
    waits = [f"an approval, before the step {step}"] if given.approval else []
    return [*waits, *(["a GPU machine that is ready"] if given.gpu_ready else [])]


def contract_of(config_path: str, parameters: dict[str, Any]) -> LoadedContract:
    """Return the contract a run began with; PermanentError when it is another by now."""
    loaded = contract_named(config_path or None, parameters["action"])
    if loaded.digest != parameters["contract_digest"]:
        raise PermanentError(
            f"the contract of {parameters['action']} changed after this run was asked for: put "
            f"version {parameters['version']} back as it was and retry, or start another run"
        )
    return loaded


def selector_of(given: dict[str, Any] | str | None) -> Selector | None:
    """Return the selector of a request: a document, or YAML."""
    if given is None:
        return None
    return parse_selector(given if isinstance(given, str) else json.dumps(given))


def _document(selector: Selector) -> dict[str, Any]:
    return selector.model_dump(mode="json", by_alias=True, exclude_unset=True)
