"""The commands about GPU machines: it owns `gpu ready done status`."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from jobs.cli.session import opened, person, time_text

gpu_app = typer.Typer(no_args_is_help=True, help="GPU machines, and the tasks that wait for them.")
HostOption = Annotated[
    str | None, typer.Option("--host", metavar="NAME", help="The machine; else the configured one.")
]


@gpu_app.command("ready", epilog=EXIT_CODES)
def gpu_ready(
    host: HostOption = None, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Say that the GPU machine is there: what waits for it is queued at once."""
    with opened(config) as session:
        moved = session.control.gpu_ready(host, f"by {person()}")
    if json_output:
        write_json({"queued": moved})
    else:
        say(f"the gate is open; {moved} tasks that waited are queued")


@gpu_app.command("done", epilog=EXIT_CODES)
def gpu_done(
    host: HostOption = None, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Say that the GPU machine goes away: what runs goes on, what is queued waits again."""
    with opened(config) as session:
        moved = session.control.gpu_done(host, f"by {person()}")
    if json_output:
        write_json({"waiting": moved})
    else:
        say(f"the gate is closed; {moved} queued tasks wait again")


@gpu_app.command("status", epilog=EXIT_CODES)
def gpu_status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the GPU machines, and how many tasks wait for one."""
    with opened(config) as session:
        gates = session.database.runs.gpus()
        waiting, busy = session.database.runs.gpu_wanted()
    if json_output:
        machines = [gate.model_dump(mode="json") for gate in gates]
        write_json({"machines": machines, "waiting": waiting, "queued_or_running": busy})
        return
    rows = [
        (gate.host, gate.state, time_text(gate.since), time_text(gate.last_busy), gate.reason or "")
        for gate in gates
    ]
    write_table(("machine", "state", "since", "last busy", "why"), rows)
    say(f"{waiting} tasks wait for a GPU machine, {busy} are queued or run")
