"""The command `metrics`: text for Prometheus, also while the engine is down."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json
from fsd.cli.session import connect

app = typer.Typer()
DOWN = "# HELP drystone_up Whether the engine answers.\n# TYPE drystone_up gauge\ndrystone_up 0\n"


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
