"""The commands about runs that are no operations: it owns `run logs serve alerts alert-test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from base.text import time_text
from jobs.cli.session import RunArgument
from jobs.runs.session import opened

if TYPE_CHECKING:
    from sql import Delivery

app = typer.Typer()


@app.command("logs", epilog=EXIT_CODES)
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


@app.command(epilog=EXIT_CODES)
def serve(
    tcp_port: Annotated[
        int | None, typer.Option("--tcp-port", min=0, max=65535, help="Also on this TCP port.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Of that port; 0.0.0.0 is everywhere."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="Who bears this token may ask all."),
    ] = None,
    worker_token_file: Annotated[
        str | None,
        typer.Option("--worker-token-file", metavar="FILE", help="Good for tasks only."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Serve the HTTP API until it is interrupted: for scripts, and workers on other machines.

    On the unix socket `run/jobs.sock`, for its owner alone. Over TCP every request bears a token.
    """
    from jobs.api import main as api_main

    api_main.serve(
        config,
        host=host,
        port=tcp_port,
        token_file=token_file,
        worker_token_file=worker_token_file,
        say=say,
    )


@app.command(epilog=EXIT_CODES)
def alerts(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that were given up.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try those again that were given up.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what was, or is to be, told to whom, newest first."""
    with opened(config) as session:
        if retry:
            say(f"{session.database.events.retry_failed()} are tried again")
        found = session.database.events.deliveries("failed" if failed else None, limit=limit)
    if json_output:
        write_json([one.model_dump(mode="json") for one in found])
        return
    write_table(("channel", "about", "state", ">tries", "next", "why"), map(_row, found))


@app.command("alert-test", epilog=EXIT_CODES)
def alert_test(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell every channel of [jobs.alerts] at once that this is a test; 1 when one fails."""
    from jobs.core.alert_config import load_alerts_config
    from jobs.notify.send import test_document, try_channel

    channels = load_alerts_config(find_config(config)).channel
    if not channels:
        say("nobody is told of anything; add [[jobs.alerts.channel]] to drystone.toml")
        raise typer.Exit(1)
    results = {channel.name: try_channel(channel, test_document()) for channel in channels}
    if json_output:
        write_json(results)
    else:
        write_table(("channel", "result"), [(name, why or "told") for name, why in results.items()])
    if any(results.values()):
        raise typer.Exit(1)


def _row(one: Delivery) -> tuple[str, ...]:
    due = time_text(one.not_before) if one.state == "waiting" else ""
    about = f"{one.kind}: {one.subject}"
    return (one.channel, about, one.state, str(one.attempts), due, one.error or "")
