"""The commands for outputs that were set aside: it owns `action quarantine list|replay`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from base.text import safe_text
from fsd import load_config

app = typer.Typer(no_args_is_help=True, help="Outputs of actions that could not be understood.")

EventArgument = Annotated[int, typer.Argument(metavar="EVENT", help="As `list` numbers it.")]


@app.command("list", epilog=EXIT_CODES)
def list_quarantine(
    event: Annotated[int | None, typer.Option("--event", help="Of this run only.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Of this action only.")] = None,
    all_rows: Annotated[
        bool, typer.Option("--all", help="Also those that were understood later.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the outputs that were set aside, with the reason."""
    from sql import Database

    with Database.open(find_config(config)) as database:
        rows = database.actions.quarantined(event, action=action, open_only=not all_rows)
    if json_output:
        write_json([row.model_dump(mode="json") for row in rows])
        return
    table = [
        (
            str(row.event_id),
            row.action,
            str(row.part),
            safe_text(row.path),
            "" if row.record_number < 0 else str(row.record_number),
            safe_text(row.reason),
        )
        for row in rows
    ]
    write_table((">event", "action", ">part", "path", ">record", "reason"), table)


@app.command(epilog=EXIT_CODES)
def replay(
    event: EventArgument,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read what a run had set aside again, after its contract or a parser was repaired.

    Exit code 3 when some of it is still not understood.
    """
    from adapters.actions.contract.registry import contract_named
    from adapters.actions.outputs.replay_outputs import replay_outputs
    from fsd import Client
    from sql import Database

    path = find_config(config)
    settings = load_config(path)
    with Database.open(path) as database:
        loaded = contract_named(path, database.actions.event(event).action)
        client = Client(settings.socket_path)
        report = replay_outputs(client, database, loaded, event, settings.area_path("3c"))
    if json_output:
        write_json(asdict(report))
    else:
        for problem in report.problems:
            say(safe_text(problem))
        say(
            f"{report.understood:,} of {report.read:,} rows understood: {report.results:,} "
            f"results, {report.children:,} children; {report.open:,} are still open"
        )
    if report.open:
        raise typer.Exit(EXIT_INCOMPLETE)
