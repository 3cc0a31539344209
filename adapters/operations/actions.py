"""Operations on actions: what one would do, and what it left behind that was not understood."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from adapters.operations.quarantine import Limit, number_of
from base.errors import EXIT_INCOMPLETE
from base.model import Document, PlainText, RowId
from base.operations.operation import Caller, Cli, Shell, operation, unlimited
from base.output import say, write_json, write_line, write_table
from base.text import size_text
from sql import CHOICE_LOADS, SelectorField, opened, read_selector

if TYPE_CHECKING:
    from adapters.actions import DryRun
    from adapters.actions.outputs.replay_outputs import ReplayReport
    from sql import Explanation, Place, Quarantined

__all__ = ["opened"]


# ---- What one would do ---------------------------------------------------------------------------


class DryRunRequest(Document):
    """Which action, and on what."""

    action: Annotated[PlainText, Field(description="Its name.")]
    selector: SelectorField = None
    batch: Annotated[int | None, Field(description="A sealed action batch.")] = None
    parameters: Annotated[
        dict[str, Any] | None, Field(description="A parameter; may be given several times.")
    ] = None
    limit: Annotated[int, Field(ge=0, le=10_000, description="So many paths at most.")] | None = 200
    paths: Annotated[bool, Field(description="List where every file lies.")] = False

    @model_validator(mode="after")
    def _one(self) -> DryRunRequest:
        if self.selector is not None and self.batch is not None:
            raise ValueError("give --selector or --batch, not both")
        return self


def show_sql(computed: Explanation) -> None:
    """Show a statement and its parameters beside it: they are never part of it."""
    write_line(f"  SQL: {computed.statement}")
    for name, value in computed.parameters.items():
        write_line(f"    {name} = {value!r}")


def _show_dry_run(report: DryRun) -> None:
    rows = [
        ("nodes", f"{report.nodes:,}", size_text(report.size_bytes)),
        ("done before", f"{report.nodes_done:,}", "the same work; not run again"),
        ("left out", f"{len(report.left_out):,}", "deleted, black-listed or without bytes"),
        ("parts", f"{report.parts:,}", ""),
        ("files in the stage", f"{report.staged_files:,}", size_text(report.staged_bytes)),
    ]
    if report.children_max is not None:
        size = f"and {size_text(report.children_bytes_max or 0)}, at most"
        rows.append(("children", f"{report.children_max:,}", size))
    if report.room is not None:
        needed = f"the largest part needs {size_text(report.room.needed_bytes)}"
        rows.append(("room", report.room.verdict, needed))
    write_table((f"{report.action}, nothing was done", ">count", ""), rows)
    if report.computed is not None:
        show_sql(report.computed)
    for node_id, path in report.paths[:10]:
        say(f"  {'-' if node_id is None else node_id}  {path}")
    if report.staged_files > 10:
        say(f"  ... and {report.staged_files - 10:,} more (--paths lists all)")
    if report.command is not None:
        say(f"  in {report.command.cwd}:")
        say(f"  {report.command.runner}: {' '.join(report.command.argv)}")


def _finish_dry_run(shell: Shell, report: DryRun, asked: DryRunRequest) -> int:
    if shell.is_json:
        write_json(dry_run.document_of(report))
    elif asked.paths:
        for node_id, path in report.paths:
            write_line(f"{'-' if node_id is None else node_id}\t{path}")
    else:
        _show_dry_run(report)
    if report.room is not None and report.room.verdict != "fits":
        say(report.room.reason)
        return EXIT_INCOMPLETE
    return 0


def _all_paths(shell: Shell, asked: DryRunRequest) -> DryRunRequest:
    return unlimited(shell, asked) if asked.paths and not shell.is_json else asked


@operation(
    "action.dry_run",
    role="operator",
    kind="question",
    route="POST /actions/{action}/dry-run",
    cli=Cli(
        command="action dry-run",
        positional=("action",),
        options={"parameters": ("--set",), "limit": ()},
        metavars={
            "action": "ACTION", "selector": "FILE", "batch": "ID", "parameters": "NAME=VALUE",
        },
        loads=CHOICE_LOADS,
        pairs=("parameters",),
        pairs_as="text",
        before=_all_paths,
        finish=_finish_dry_run,
    ),
)  # fmt: skip
def dry_run(place: Place, _caller: Caller, asked: DryRunRequest) -> DryRun:
    """Tell what an action would do: nodes, bytes, where files would lie, the exact command.

    Nothing is staged, run or written. Exit code 3 says that the stage has no room for it now.
    """
    from adapters.actions import contract_named, dry_run_action
    from adapters.audit.care import store_client

    return dry_run_action(
        store_client(place.config_path),
        place.database,
        contract_named(place.config_path, asked.action),
        None if asked.selector is None else read_selector(asked.selector),
        asked.batch,
        asked.parameters,
        paths_max=asked.limit,
    )


# ---- What was set aside --------------------------------------------------------------------------


class ListRequest(Document):
    """Of which run or action."""

    event: Annotated[RowId | None, Field(description="Of this run only.")] = None
    action: Annotated[PlainText | None, Field(description="Of this action only.")] = None
    all_rows: Annotated[bool, Field(description="Also those that were understood later.")] = False
    limit: Limit | None = 1_000


def _show_action_rows(found: list[Quarantined], _asked: ListRequest) -> None:
    rows = [
        (str(row.event_id), row.action or "", str(row.part), row.path, number_of(row), row.reason)
        for row in found
    ]
    write_table((">event", "action", ">part", "path", ">record", "reason"), rows)


@operation(
    "action.quarantine",
    role="viewer",
    kind="question",
    route="GET /actions/quarantine",
    cli=Cli(
        command="action quarantine list",
        options={"all_rows": ("--all",), "limit": ()},
        before=unlimited,
        show=_show_action_rows,
    ),
)
def list_action_rows(place: Place, _caller: Caller, asked: ListRequest) -> list[Quarantined]:
    """List the outputs that were set aside, with the reason."""
    rows = place.database.quarantine.of_actions(
        asked.event, action=asked.action, open_only=not asked.all_rows
    )
    return list(islice(rows, asked.limit))


class OneEvent(Document):
    """Which run of an action."""

    event: Annotated[RowId, Field(description="As `list` numbers it.")]


def _show_action_replay(report: ReplayReport, _asked: OneEvent) -> None:
    for problem in report.problems:
        say(problem)
    say(
        f"{report.understood:,} of {report.read:,} rows understood: {report.results:,} "
        f"results, {report.children:,} children; {report.open:,} are still open"
    )


@operation(
    "action.replay",
    role="operator",
    kind="change",
    route="POST /actions/events/{event}/replay",
    cli=Cli(
        command="action quarantine replay",
        positional=("event",),
        metavars={"event": "EVENT"},
        show=_show_action_replay,
        exit_code=lambda report, _: EXIT_INCOMPLETE if report.open else 0,
    ),
    is_private=True,
)
def replay_action(place: Place, _caller: Caller, asked: OneEvent) -> ReplayReport:
    """Read what a run had set aside again, after its contract or a parser was repaired.

    Exit code 3 when some of it is still not understood.
    """
    from adapters.actions.contract.registry import contract_named
    from adapters.actions.outputs.replay_outputs import replay_outputs
    from adapters.audit.care import stage_root, store_client

    path, database = place.config_path, place.database
    loaded = contract_named(path, database.actions.event(asked.event).action)
    client = store_client(path)
    return replay_outputs(client, database, loaded, asked.event, stage_root(path))
