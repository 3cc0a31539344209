"""The commands about what actions work on: it owns `batch create|show|stage` and `pipeline ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adapters.cli.action import SelectorOption, selector_of
from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text, size_text

if TYPE_CHECKING:
    from adapters.actions import Pipeline
    from sql import EnrolledBatch, PipelineState, WaitingDataset

app = typer.Typer()
batch_app = typer.Typer(no_args_is_help=True, help="Action batches: sealed choices of nodes.")
pipeline_app = typer.Typer(no_args_is_help=True, help="Pipelines: actions in a line.")
app.add_typer(batch_app, name="batch")
app.add_typer(pipeline_app, name="pipeline")

NameArgument = Annotated[str, typer.Argument(metavar="PIPELINE")]
BatchesArgument = Annotated[list[int], typer.Argument(metavar="BATCH...", min=1)]
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The pipeline, as YAML.")]


@batch_app.command("create", epilog=EXIT_CODES)
def create_batch(
    selector: SelectorOption = None,
    action: Annotated[
        str | None,
        typer.Option("--action", metavar="NAME", help="Only what this action can work on."),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option("--pipeline", metavar="NAME", help="Put it into this pipeline."),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make an action batch of what a selector finds now, and seal it.

    Without a selector it is all that the action can work on. A sealed batch never changes.

    \b
    Example:
      drystone batch create --selector cats.yaml --action image_probe
    """
    from adapters.actions import contract_named, make_batch
    from sql import Database

    path = find_config(config)
    contract = contract_named(path, action) if action else None
    with Database.open(path) as database:
        batch = make_batch(database, selector_of(selector), contract=contract)
        state = database.action_context.batch(batch)
        if pipeline is not None:
            database.pipelines.enrol(pipeline, [batch])
    if json_output:
        write_json({"action_batch_id": batch, "nodes": state.nodes, "size_bytes": state.size_bytes})
        return
    say(f"{state.nodes:,} nodes, {size_text(state.size_bytes)}")
    write_line(str(batch))


@batch_app.command("show", epilog=EXIT_CODES)
def show_batch(
    batch: Annotated[int, typer.Argument(metavar="BATCH")],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell what an action batch holds, what was done to it, and where it stands in pipelines."""
    from adapters.actions import next_stage
    from sql import Database

    with Database.open(find_config(config)) as database:
        held = database.action_context.batch(batch)
        state = database.pipeline_state(batch)
        coming = next_stage(database, batch)
    if json_output:
        write_json(
            {
                **state.model_dump(mode="json"),
                "size_bytes": held.size_bytes,
                "next": [stage.model_dump(mode="json") for stage in coming],
            }
        )
        return
    sealed = "not sealed" if held.seal_date is None else f"sealed {held.seal_date:%Y-%m-%d %H:%M}"
    write_line(
        f"action batch {batch}: {held.nodes:,} nodes, {size_text(held.size_bytes)}, {sealed}"
    )
    _show_state(state)


@batch_app.command("stage", epilog=EXIT_CODES)
def stage_batch(
    batch: Annotated[int, typer.Argument(metavar="BATCH")],
    layout: Annotated[
        str, typer.Option("--layout", metavar="ID", help="Name of the folder below the batch.")
    ],
    nodes: Annotated[
        list[int] | None,
        typer.Option("--node", metavar="ID", help="Only this node; may be given several times."),
    ] = None,
    mode: Annotated[
        Literal["copy", "view"], typer.Option("--mode", help="A copy in 3C, or a view.")
    ] = "copy",
    free: Annotated[bool, typer.Option("--free", help="Free it instead.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lay the nodes of a sealed batch out as 3c/BATCH/LAYOUT/NODE.EXTENSION, by hand.

    Runs of actions do that themselves. It stays until it is freed. Exit code 3 when nodes are left
    out: deleted, black-listed or without bytes.
    """
    from adapters import store_client
    from adapters.actions import stage_nodes
    from sql import Database

    path = find_config(config)
    client = store_client(path)
    if free:
        client.release_stage(str(batch), layout)
        say(f"3c/{batch}/{layout} is free")
        return
    with Database.open(path) as database:
        answer, left_out = stage_nodes(client, database, batch, layout, nodes, mode)
    if json_output:
        write_json({**answer.model_dump(), "left_out": [one._asdict() for one in left_out]})
    else:
        say(f"{answer.expected_files:,} files, {size_text(answer.expected_bytes)}")
        for one in left_out:
            say(f"  left out: node {one.node_id}, {one.reason}")
        write_line(answer.target_root)
    if left_out:
        raise typer.Exit(EXIT_INCOMPLETE)


def _show_state(state: PipelineState) -> None:
    if state.pipelines:
        rows = [
            (one.pipeline, str(stage.stage_id), stage.action, f"{stage.nodes_done:,}",
             "done" if stage.done else "next" if stage.stage_id == one.current_stage else "")
            for one in state.pipelines
            for stage in one.stages
        ]  # fmt: skip
        write_table(("pipeline", ">stage", "action", ">nodes done", ""), rows)
    if state.events:
        events = [
            (str(event.event_id), event.action, event.status,
             f"{event.start_time:%Y-%m-%d %H:%M}" if event.start_time else "")
            for event in state.events
        ]  # fmt: skip
        write_table((">event", "action", "status", "started"), events)


@pipeline_app.command("check", epilog=EXIT_CODES)
def check_pipeline(
    file: FileArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Explain every mistake of a pipeline."""
    from adapters.actions import contracts, load_pipeline

    pipeline = load_pipeline(file, contracts(find_config(config)))
    if json_output:
        write_json(pipeline)
        return
    write_line(f"{pipeline.name} is in order: {_line(pipeline)}")


@pipeline_app.command("declare", epilog=EXIT_CODES)
def declare(
    file: FileArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Make a pipeline known to the database; its gates and parameters may change later.

    Nothing is in it, and no dataset asks for it, until a batch is enrolled or a run names it. The
    datasets that wait for batches which are in it already are named.
    """
    from adapters.actions import contracts, declare_pipeline, load_pipeline
    from sql import Database

    path = find_config(config)
    known = contracts(path)
    pipeline = load_pipeline(file, known)
    with Database.open(path) as database:
        number = declare_pipeline(database, pipeline, known)
        waiting = database.pipelines.waiting_datasets(pipeline.name)
    if json_output:
        document = pipeline.model_dump(mode="json")
        write_json({"pipeline_id": number, **document, "datasets": _documents(waiting)})
        return
    write_line(f"{pipeline.name}: {_line(pipeline)}")
    _tell_waiting(waiting)


@pipeline_app.command("enrol", epilog=EXIT_CODES)
def enrol(
    name: NameArgument,
    batches: BatchesArgument,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put sealed action batches into a pipeline, and name the datasets that wait for it.

    A dataset with `require_complete: default` leaves out the files of a batch until every pipeline
    that the batch is in is complete for them. A pipeline with `advance: auto` begins by itself.
    """
    from sql import Database

    with Database.open(find_config(config)) as database:
        count = database.pipelines.enrol(name, batches)
        waiting = database.pipelines.waiting_datasets(name)
    if json_output:
        write_json({"enrolled": count, "datasets": _documents(waiting)})
        return
    write_line(f"{name}: {count:,} new in it")
    _tell_waiting(waiting)


@pipeline_app.command("withdraw", epilog=EXIT_CODES)
def withdraw(name: NameArgument, batches: BatchesArgument, config: ConfigOption = None) -> None:
    """Take action batches out of a pipeline; what was done for their nodes stays done."""
    from sql import Database

    with Database.open(find_config(config)) as database:
        database.pipelines.withdraw(name, batches)
    write_line(f"{name}: {len(set(batches)):,} taken out of it")


@pipeline_app.command("state", epilog=EXIT_CODES)
def show_pipeline_state(
    name: Annotated[str | None, typer.Argument(metavar="[PIPELINE]")] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="ID", help="This batch in all its pipelines.")
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell where the batches of a pipeline stand, or where one batch stands in its pipelines.

    \b
    Example:
      drystone pipeline state pictures
      drystone pipeline state --batch 7
    """
    from base.errors import UsageError
    from sql import Database

    if (name is None) == (batch is None):
        raise UsageError("name a pipeline, or a batch with --batch ID")
    with Database.open(find_config(config)) as database:
        if batch is not None:
            of_batch = database.pipeline_state(batch)
            if json_output:
                write_json(of_batch)
            else:
                _show_state(of_batch)
            return
        state = database.pipelines.state(name or "")
    if json_output:
        write_json(state)
        return
    rows = [
        (str(one.action_batch_id), f"{one.node_count:,}", f"{one.enrol_time:%Y-%m-%d %H:%M}",
         _place(one))
        for one in state.batches
    ]  # fmt: skip
    write_table((">batch", ">nodes", "enrolled", "stage"), rows)


def _place(one: EnrolledBatch) -> str:
    if one.current_stage is None:
        return "complete"
    stage = one.stages[one.current_stage - 1]
    done = f"{stage.nodes_done:,} of {one.node_count:,} nodes done"
    return f"{stage.stage_id} of {len(one.stages)}: {stage.action}, {done}"


def _documents(waiting: list[WaitingDataset]) -> list[dict[str, object]]:
    return [one._asdict() for one in waiting]


def _tell_waiting(waiting: list[WaitingDataset]) -> None:
    for one in waiting:
        say(
            f"dataset {one.name} waits for it: its next build leaves out {one.files_left_out:,} of "
            f"{one.files:,} files until it is complete for them"
        )


@pipeline_app.command("list", epilog=EXIT_CODES)
def list_pipelines(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the pipelines of the database."""
    from adapters.actions.contract.pipelines import declared_pipelines
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = declared_pipelines(database)
    if json_output:
        write_json([pipeline.model_dump(mode="json") for pipeline in found.values()])
        return
    write_table(("pipeline", "stages"), [(name, _line(one)) for name, one in found.items()])


@pipeline_app.command("show", epilog=EXIT_CODES)
def show_pipeline(
    name: NameArgument,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="ID", help="Where this batch stands in it.")
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell the stages of a pipeline, their gates and parameters, and what a batch comes to next.

    With --batch the exit code 3 says that the pipeline is not complete for it.
    """
    from adapters.actions import next_stage
    from adapters.actions.contract.pipelines import declared_pipelines
    from base.errors import UsageError
    from base.mistakes import suggestion
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = declared_pipelines(database)
        if name not in found:
            raise UsageError(f"there is no pipeline {name[:100]!a}{suggestion(name, found)}")
        coming = next_stage(database, batch, name) if batch is not None else []
    current = coming[0].stage_id if coming else None
    if json_output:
        document = found[name].model_dump(mode="json")
        write_json(document if batch is None else {**document, "next_stage": current})
    else:
        rows = [
            (str(number), step.action, step.gate, safe_text(_parameters(step.parameters)),
             "next" if number == current else "")
            for number, step in enumerate(found[name].stages, 1)
        ]  # fmt: skip
        write_table((">stage", "action", "gate", "parameters", ""), rows)
    if current is not None:
        raise typer.Exit(EXIT_INCOMPLETE)


def _line(pipeline: Pipeline) -> str:
    line = " -> ".join(
        step.action + (f" [{step.gate}]" if step.gate != "none" else "") for step in pipeline.stages
    )
    return line + (", by itself" if pipeline.advance == "auto" else "")


def _parameters(values: dict[str, str | int | float | bool]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
