"""UA_2, the worker on the data: it owns the steps of an action, and none of what they do.

    plan      io        a sealed batch, its event, and its parts; AC1 does all of its work here,
                        and AC5 asks people, so these two wait here for an approval
    stage     io        each part into 3C; waits while there is no space, or for an approval
    run       cpu, gpu  the program, maybe on another machine; waits for a GPU machine
    apply     io        its outputs become rows, children and edges; 3C is freed
    labels    io        AC5: waits for people, then writes what they agreed upon
    finish    always    failed parts are recorded, 3C is freed, the event ends

Every step may be killed anywhere and done again. What an attempt left half written is emptied
before the next; outputs are taken once, whoever takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from adapters import store_client
from adapters.actions import (
    ActionPart,
    StagedPart,
    begin_event,
    changed_input,
    checked_models,
    declare_contract,
    empty_output,
    event_of_run,
    load_actions_config,
    make_batch,
    make_label_tasks,
    next_of,
    plan_parts,
    publish_labels,
    release_part,
    rendered_command,
    run_ac1,
    stage_limit_bytes,
    stage_part,
    take_outputs,
    verify_sealed,
)
from jobs.core.errors import GivenBackError, JobsError, PermanentError, SpaceError, WaitError
from jobs.runners import RunOutcome, RunProgress, load_runner_settings, run_program
from jobs.runs.local_state import program_log
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
from jobs.runs.workflows.action_end import finish
from jobs.runs.workflows.action_request import (
    ActionParameters,
    contract_of,
    dry_run,
    prepare,
    request_key,
    selector_of,
    size_bytes,
)

LABELS_LOOK_S = 60.0
"""Between two looks at what people have answered; an answer in the GUI does not wait for it."""
HOPELESS = ("missing", "refused")
"""Causes that are the same on this machine next time."""


def plan(context: TaskContext) -> StepResult:
    """Seal a batch if there is none, begin its event, and cut it into parts."""
    loaded = contract_of(context.config_path, context.parameters)
    database = context.database
    declare_contract(database, loaded)
    # Begun before, and killed: what the selector finds by now is another batch, not this run's.
    begun = event_of_run(database, context.run_id)
    batch_id = begun.action_batch_id if begun else context.parameters["action_batch_id"]
    if batch_id is None:
        # Killed after this line, the run seals another batch next time; this one has no event.
        selector = selector_of(context.parameters["selector"])
        nodes_max = context.parameters.get("nodes_max")
        # One is enough to know: the batch asks for itself.
        if nodes_max is not None and not any(next_of(database, selector, loaded, 1)):
            context.log("nothing is left to do: no node that is found lacks this action")
            return StepResult({"nodes": 0})
        batch_id = make_batch(database, selector, contract=loaded, nodes_max=nodes_max)
    verify_sealed(database, batch_id)
    database.runs.set_size(context.run_id, database.action_context.batch(batch_id).size_bytes)
    if context.parameters.get("enrol"):
        by = f"run {context.run_id}"
        database.pipelines.enrol(context.parameters["enrol"], [batch_id], by)
    parameters = context.parameters["parameters"]
    event_id = begin_event(database, loaded, batch_id, run_id=context.run_id, parameters=parameters)
    passed = {"action_batch_id": batch_id, "action_event_id": event_id}
    if loaded.contract.type == "AC1":
        report = run_ac1(database, loaded, event_id).model_dump(mode="json")
        return StepResult({**passed, **report}, pass_on=passed)
    if loaded.contract.type == "AC5":
        make_label_tasks(database, loaded, event_id)
    if loaded.contract.stage_layout is None:
        return StepResult(passed, pass_on=passed)
    limit_bytes = stage_limit_bytes(store_client(context.config_path))
    parts = plan_parts(database, loaded, batch_id, parameters, limit_bytes)
    if not parts:
        context.log("every node of the batch is done already, by this or by another run")
    specs = [{"action_part": part.model_dump(mode="json")} for part in parts]
    nodes = sum(len(part.node_ids) for part in parts)
    return StepResult({**passed, "parts": len(parts), "nodes": nodes}, specs, passed)


def stage(context: TaskContext) -> StepResult:
    """Lay a part out in 3C."""
    loaded = contract_of(context.config_path, context.parameters)
    part = ActionPart.model_validate(context.spec["action_part"])
    staged = stage_part(
        store_client(context.config_path),
        context.database,
        loaded,
        context.spec["action_batch_id"],
        part,
        context.parameters["parameters"],
        context.run_id,
    )
    document = staged.to_json()
    values = {"staged": document, "files": staged.staged_files, "size_bytes": staged.staged_bytes}
    # The ids are in the staged part from now on.
    return StepResult(values, pass_on={"staged": document, "action_part": None})


def run(context: TaskContext) -> StepResult:
    """Run the program over a staged part; the same on this machine and on another."""
    loaded = contract_of(context.config_path, context.parameters)
    if loaded.contract.run_spec is None:
        return StepResult()  # AC5: people work with what is staged, and `labels` waits for them.
    staged = StagedPart.of_json(context.spec["staged"])
    staged.check_files()
    if not staged.files:
        # Every node of the part was deleted or black-listed after the seal.
        return StepResult(pass_on={"exit_state": "done"})
    if context.token > 1 and (changed := changed_input(staged)):
        raise PermanentError(
            f"the attempt before this one changed its inputs ({changed}), so they would give "
            "something else now; `drystone run retry` stages them anew"
        )
    parameters = context.parameters["parameters"]
    empty_output(loaded, staged, parameters)
    models = checked_models(loaded, load_actions_config(context.config_path or None).models)
    rendered = rendered_command(loaded, staged, parameters, models, context.run_id)
    context.log("runs: " + " ".join(rendered.argv))
    outcome = run_program(
        {**rendered.model_dump(mode="json"), "attempt": context.token},
        log_path=program_log(context.log_path),
        heartbeat=lambda progress: _tell(context, progress),
        cancelled=context.cancelled,
        lease_left_s=context.lease_left_s,
        settings=load_runner_settings(context.config_path or None),
    )
    context.log(f"ended: {outcome.state}, {outcome.reason}")
    raise_if_failed(context, outcome)
    document = outcome.document()
    return StepResult({"outcome": document}, pass_on={"exit_state": outcome.state})


def apply(context: TaskContext) -> StepResult:
    """Take the outputs of a part, then free its place in 3C."""
    loaded = contract_of(context.config_path, context.parameters)
    if loaded.contract.run_spec is None:
        return StepResult()
    client = store_client(context.config_path)
    staged = _as_staged_here(context)
    report = take_outputs(
        client,
        context.database,
        loaded,
        staged,
        action_event_id=context.spec["action_event_id"],
        part=staged.part,
        parameters=context.parameters["parameters"],
        run_id=context.run_id,
        exit_state=context.spec["exit_state"],
    )
    # A crash here leaves the part in 3C; the same step again finds it applied and frees it.
    release_part(client, staged)
    if report.state == "failed" and report.reason:
        raise PermanentError(report.reason)  # Nothing was taken: a retry stages and runs it anew.
    values = report.model_dump(mode="json")
    if report.state == "done":
        return StepResult(values)
    left = f"{report.missing:,} of {report.inputs:,} inputs are missing, {report.failed:,} failed"
    return StepResult(values, state="partial", error=report.reason or left)


def _as_staged_here(context: TaskContext) -> StagedPart:
    """Return the part as `stage` made it: what a worker elsewhere says is no place to read from."""
    result = context.database.runs.result_of(context.run_id, "stage", context.part)
    if not result:
        raise PermanentError("this part was not staged; `drystone run retry` stages it anew")
    return StagedPart.of_json(result["staged"])


def labels(context: TaskContext) -> StepResult:
    """Write what people agree on so far, and wait until every task is answered (AC5 only)."""
    loaded = contract_of(context.config_path, context.parameters)
    event = event_of_run(context.database, context.run_id)
    if loaded.contract.type != "AC5" or event is None:
        return StepResult()
    report = publish_labels(context.database, loaded, event.event_id)
    context.progress(report.complete, report.tasks, "tasks")
    if report.complete + report.hidden < report.tasks:
        raise WaitError(
            f"{report.complete:,} of {report.tasks:,} tasks are answered", LABELS_LOOK_S
        )
    return StepResult(report.model_dump(mode="json"))


def raise_if_failed(context: TaskContext, outcome: RunOutcome) -> None:
    """Raise what the end of a program means for its task; nothing when its outputs can be taken."""
    if outcome.state in ("done", "partial"):
        return
    if outcome.cause in ("cancelled", "lease"):
        # Only who asked for a cancel gets one. That the server was away is nobody's failure.
        context.check_cancelled()
        raise GivenBackError(f"the program was ended ({outcome.reason}), and is run again")
    if outcome.cause == "free_space" and not outcome.started:
        # A program that had room and used it up has failed; else it might come back for ever.
        raise SpaceError(outcome.reason)
    if outcome.cause in HOPELESS:
        raise PermanentError(outcome.reason)
    raise JobsError(outcome.reason)


def _tell(context: TaskContext, progress: RunProgress) -> None:
    context.progress(progress.output_files, 0, "files")


def _approval(step: str) -> Callable[[dict[str, Any]], Literal["approval"] | None]:
    """Return the gate of a step; a run may have been asked for before there were its words."""

    def gate(parameters: dict[str, Any]) -> Literal["approval"] | None:
        asked = parameters.get("approval") or parameters.get("gate") == "approval"
        is_here = parameters.get("approval_step", "stage") == step
        return "approval" if asked and is_here else None

    return gate


def _gpu(parameters: dict[str, Any]) -> Literal["gpu"] | None:
    asked = parameters.get("gpu_ready") or parameters.get("gate") == "gpu"
    return "gpu" if asked else None


def _queue(parameters: dict[str, Any]) -> str:
    return parameters["queue"]


WORKFLOW = Workflow(
    name="ua_2",
    description="Run an action over a sealed batch: stage, run, take the outputs",
    steps=(
        Step("plan", plan, queue="io", gate=_approval("plan")),
        Step(
            "stage",
            stage,
            queue="io",
            per_part=True,
            # Asked before anything is copied; a GPU machine is waited for with the part in place.
            gate=_approval("stage"),
        ),
        Step(
            "run",
            run,
            queue=_queue,
            per_part=True,
            gate=_gpu,
            remote=True,
            passes_on=("exit_state",),
            restart_at="stage",
        ),
        Step("apply", apply, queue="io", per_part=True, restart_at="stage"),
        Step("labels", labels, queue="io"),
        Step("finish", finish, queue="io", always=True),
    ),
    parameters=ActionParameters,
    key=request_key,
    prepare=prepare,
    dry_run=dry_run,
    size_bytes=size_bytes,
)
