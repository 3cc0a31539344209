"""The commands about runs: it owns `run start list show logs cancel retry` and `approve`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from jobs.cli.session import RunArgument, opened, person, time_text

if TYPE_CHECKING:
    from sql import Run, RunDetail, RunTask

TASKS_SHOWN_MAX = 40
TEXT_SHOWN_MAX = 70
RUN_STATES = ("queued", "running", "waiting", "done", "partial", "failed", "cancelled")
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; JSON, or else text. Again."),
]

run_app = typer.Typer(no_args_is_help=True, help="Runs of workflows: ingests, actions, backups.")


@run_app.command("start", epilog=EXIT_CODES)
def start_run(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="`list` names them.")],
    given: SetOption = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="FILE", help="A JSON object.")
    ] = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="The greater comes first among queued tasks.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be; starts nothing.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends, or waits itself.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Start a workflow. The same request as one that is going on is that run.

    \b
    Example:
      drystone run start ua_1 --set folder=~/scrape/cats --set batch=cats-2026-11
    """
    from jobs.runs.registry import workflow_names

    if workflow == "list":
        _list_workflows(json_output)
        return
    if workflow not in workflow_names():
        _load_own_workflows(config)
    wanted = _parameters(given or [], parameters)
    if dry_run:
        _dry_run(config, workflow, wanted)
        return
    with opened(config) as session:
        run, created = session.control.start(
            workflow, wanted, priority=priority, requested_by=person()
        )
        if not created:
            say(f"the same request is run {run.run_id} ({run.state}) already")
        if wait:
            from jobs.runs.follow import wait_for_run

            run = wait_for_run(session.database, run.run_id, say)
    if json_output:
        write_json(run.model_dump(mode="json"))
    else:
        write_line(f"run {run.run_id}  {run.workflow}  {run.state}")
    if wait:
        _end_as(run)


def _list_workflows(json_output: bool) -> None:
    from jobs.runs.registry import workflow_named, workflow_names

    found = [workflow_named(name) for name in workflow_names()]
    if json_output:
        write_json(
            [
                {
                    "name": one.name,
                    "description": one.description,
                    "steps": [step.name for step in one.steps],
                    "parameters": one.parameters.model_json_schema(),
                }
                for one in found
            ]
        )
        return
    rows = [
        (one.name, ", ".join(one.parameters.model_fields) or "none", one.description)
        for one in found
    ]
    write_table(("workflow", "parameters", "what it does"), rows)


def _load_own_workflows(config: str | None) -> None:
    from jobs.core.config import load_jobs_config
    from jobs.runs.registry import load_extra_workflows

    load_extra_workflows(load_jobs_config(find_config(config)))


def _dry_run(config: str | None, workflow: str, wanted: dict[str, Any]) -> None:
    from jobs.runs.control import dry_run

    told = dry_run(find_config(config), workflow, wanted)
    write_json(told)


def _parameters(given: list[str], path: str | None) -> dict[str, Any]:
    """Put a file and `--set` options together; the options win."""
    wanted: dict[str, Any] = {}
    if path is not None:
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} is no JSON file: {error}") from error
        if not isinstance(document, dict):
            raise UsageError(f"{path} has to hold a JSON object of parameters")
        wanted.update(document)
    for pair in given:
        name, mark, text = pair.partition("=")
        if not mark or not name:
            raise UsageError(f"{pair!a} is no NAME=VALUE")
        wanted[name] = _value(text)
    return wanted


def _value(text: str) -> Any:
    """Read a value as JSON where it is some, else as the text that it is."""
    if text[:1] in '[{"' or text in ("true", "false", "null"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if text.startswith("~"):
        return os.path.expanduser(text)
    return text


@run_app.command("list", epilog=EXIT_CODES)
def list_runs(
    state: Annotated[list[str] | None, typer.Option(help="Only in this state. Again.")] = None,
    workflow: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="That is somewhere in it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    before: Annotated[
        int | None, typer.Option(metavar="RUN", help="Only older ones: the next page.")
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List runs, the newest first."""
    from sql import RunFilter

    unknown = sorted(set(state or ()) - set(RUN_STATES))
    if unknown:
        raise UsageError(f"there is no state {unknown[0]!a}; take one of {', '.join(RUN_STATES)}")
    wanted = RunFilter.model_validate({"states": state or None, "workflow": workflow, "text": text})
    with opened(config) as session:
        page = session.database.runs.list_runs(wanted, limit=limit, before=before)
    if json_output:
        write_json(page.model_dump(mode="json"))
        return
    write_table(
        ("run", "workflow", "state", "asked", "ended", "by", "reason"), map(_row, page.runs)
    )
    if page.next_before is not None:
        say(f"more: drystone run list --before {page.next_before}")


def _row(run: Run) -> tuple[str, ...]:
    reason = run.reason or ""
    if len(reason) > TEXT_SHOWN_MAX:
        reason = reason[: TEXT_SHOWN_MAX - 4] + " ..."
    return (
        str(run.run_id),
        run.workflow,
        run.state,
        time_text(run.create_time),
        time_text(run.end_time),
        run.requested_by,
        reason,
    )


@run_app.command("show", epilog=EXIT_CODES)
def show_run(
    run: RunArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show a run with its tasks: what is done, what failed and why, what it waits for."""
    with opened(config) as session:
        detail = session.database.runs.show(run)
    if json_output:
        write_json(detail.model_dump(mode="json"))
        return
    _write_detail(detail)


def _write_detail(detail: RunDetail) -> None:
    run = detail.run
    write_line(f"run {run.run_id}  {run.workflow}  {run.state}")
    if run.reason:
        write_line(f"reason      {run.reason}")
    write_line(f"asked       {time_text(run.create_time)} by {run.requested_by or 'nobody'}")
    write_line(f"parameters  {json.dumps(run.parameters)}")
    if run.state == "waiting":
        write_line(f"waits       {_waits_for(detail)}")
    shown = detail.tasks[:TASKS_SHOWN_MAX]
    headings = ("task", "step", ">part", "queue", "state", ">tries", "worker", "what")
    write_table(headings, [_task_row(task) for task in shown])
    hidden = sum(detail.task_counts.values()) - len(shown)
    if hidden > 0:
        say(f"... and {hidden:,} more tasks (--json lists {len(detail.tasks):,})")


def _waits_for(detail: RunDetail) -> str:
    words = {
        "waiting_gpu_ready": "a GPU machine: `drystone gpu ready`",
        "waiting_approval": f"an approval: `drystone approve {detail.run.run_id}`",
        "waiting_space": "space in the store",
        "waiting_labels": "labels by people",
    }
    return ", ".join(words[state] for state in detail.task_counts if state in words)


def _task_row(task: RunTask) -> tuple[str, ...]:
    what = task.error or ""
    if not what and task.progress is not None:
        progress = task.progress
        total = f" of {progress.total:,}" if progress.total else ""
        counted = f"{progress.done:,}{total} {progress.unit}" if progress.done or total else ""
        what = f"{counted} {progress.text}".strip()
    return (
        str(task.task_id),
        task.step,
        str(task.part) if task.part else "",
        task.queue,
        task.state,
        f"{task.attempt}",
        task.worker or "",
        what[:TEXT_SHOWN_MAX],
    )


@run_app.command("logs", epilog=EXIT_CODES)
def show_logs(
    run: RunArgument,
    task: Annotated[int | None, typer.Option(metavar="TASK", help="Of this task only.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until the run ends.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the logs of a run's attempts, the oldest first."""
    from jobs.runs.follow import follow_logs

    with opened(config) as session:
        follow_logs(session.database, session.config.log_dir, run, task, follow=follow)


@run_app.command("cancel", epilog=EXIT_CODES)
def cancel_run(
    run: RunArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT")] = "",
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Cancel a run: what has not begun never will, what runs stops at its next border."""
    with opened(config) as session:
        state = session.control.cancel(run, reason or f"cancelled by {person()}")
    _answer(json_output, {"run_id": run, "state": state}, f"run {run} is {state}")


@run_app.command("retry", epilog=EXIT_CODES)
def retry_run(
    run: RunArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Begin anew what failed or was cancelled in a run; what is done stays done."""
    with opened(config) as session:
        count = session.control.retry(run)
    _answer(json_output, {"run_id": run, "tasks": count}, f"{count} tasks of run {run} begin anew")


def approve(run: RunArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Let a run go on that waits for an approval; `run show` tells what it is about to do."""
    with opened(config) as session:
        count = session.control.approve(run)
    _answer(json_output, {"run_id": run, "tasks": count}, f"{count} tasks of run {run} go on")


def _answer(json_output: bool, document: dict[str, Any], line: str) -> None:
    if json_output:
        write_json(document)
    else:
        say(line)


def _end_as(run: Run) -> None:
    if run.state in ("failed", "cancelled"):
        if run.reason:
            say(run.reason)
        raise typer.Exit(EXIT_FAILED)
    if run.state != "done":
        if run.reason:
            say(run.reason)
        raise typer.Exit(EXIT_INCOMPLETE)
