"""The commands that watch the disks: it owns how `scrub`, `metrics` and `alerts` ask and show."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption
from base.output import list_some, say, write_json, write_line
from base.text import count_text, duration_text, size_text, time_text
from fsd.cli.jobs import finish_job
from fsd.cli.session import connect

if TYPE_CHECKING:
    from fsd.documents.watch_models import ScrubStatus

app = typer.Typer()
alerts_app = typer.Typer(no_args_is_help=True, help="Try whether alerts arrive.")
DOWN = "# HELP drystone_up Whether the engine answers.\n# TYPE drystone_up gauge\ndrystone_up 0\n"


@app.command(epilog=EXIT_CODES)
def scrub(
    now: Annotated[
        bool, typer.Option("--now", help="Verify all that is due now, at full speed.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell how much is due to be verified.

    The engine reads every copy again in the background (every 30 days, set in drystone.toml) and
    replaces what is damaged from a good copy. Exit code 3 when something is lost.
    """
    client = connect(config)
    if now:
        finish_job(client, client.scrub(), json_output)
        return
    answer = client.scrub_status()
    if json_output:
        write_json(answer)
    else:
        _write_scrub(answer)
    if answer.losses:
        raise typer.Exit(EXIT_INCOMPLETE)


def _write_scrub(answer: ScrubStatus) -> None:
    limit = f"{size_text(answer.rate_limit_bytes_per_s)}/s a disk"
    if answer.next_shard:
        due = time_text(answer.next_due) if answer.next_due else ""
        following = f"shard {answer.next_shard} on {answer.next_disk}, due {due}"
    else:
        following = "nothing is stored yet"
    finished = answer.last_round_finished
    rows = [
        ("background", f"at most {limit}" if answer.enabled else "off (scrub_rate_bytes_per_s)"),
        ("copies", f"{answer.replicas:,} (of shards), {size_text(answer.total_bytes)}"),
        ("never scrubbed", f"{answer.never_scrubbed:,} of them"),
        ("due now", f"{answer.due_replicas:,}, {size_text(answer.overdue_bytes)}"),
        ("oldest proof", f"{duration_text(answer.oldest_age_s)} ago"),
        (
            "rate",
            f"{size_text(answer.rate_bytes_per_s)}/s on {', '.join(answer.running)}"
            if answer.running
            else "nothing is read just now",
        ),
        ("next", following),
        ("last round", f"finished {time_text(finished)}" if finished else "none finished yet"),
        ("damaged copies", f"{answer.damaged_replicas:,}"),
    ]
    for name, value in rows:
        write_line(f"{name:<15} {value}")
    if answer.losses:
        say(
            f"lost: {count_text(answer.lost_objects, 'object')} that no copy gives "
            "(drystone losses lists all):"
        )
        list_some(answer.losses, answer.lost_objects)


@app.command(epilog=EXIT_CODES)
def metrics(
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="Into a file, which is replaced as a whole."),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the metrics for Prometheus.

    For the textfile collector of node_exporter, which must never read half a file; whoever can ask
    a unix socket may GET /v1/metrics of the engine's. Exit code 1, and only `drystone_up 0`, when
    the engine does not answer.

    \b
    Example:
      drystone metrics --output /var/lib/node_exporter/drystone.prom
    """
    from base.errors import UsageError
    from fsd.format.errors import EngineUnavailableError

    client = connect(config)
    try:
        text, down = client.metrics(), False
    except EngineUnavailableError as error:
        text, down = DOWN, True
        say(f"drystone: {error}")
    if output is not None:
        try:
            _replace(output, text)
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}") from error
        if json_output:
            write_json({"output": os.path.abspath(output)})
    elif json_output:
        write_json({"metrics": text})
    else:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    if down:
        raise typer.Exit(EXIT_FAILED)


def _replace(path: str, text: str) -> None:
    # Beside it under a name that no collector reads, then renamed: no reader meets half of it.
    with open(path + ".tmp", "wb") as file:
        file.write(text.encode())
    os.replace(path + ".tmp", path)


@alerts_app.command("test", epilog=EXIT_CODES)
def alerts_test(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Send a test alert to the command and the webhook of drystone.toml."""
    client = connect(config)
    results = client.alerts_test()
    if json_output:
        write_json(results)
    else:
        for result in results:
            write_line(f"{result.channel:<8} {'taken' if result.sent else result.detail}")
    if not all(result.sent for result in results):
        raise typer.Exit(EXIT_FAILED)


app.add_typer(alerts_app, name="alerts")
