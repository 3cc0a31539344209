"""`drystone db serve`: it owns the command that serves the HTTP API in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption

app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def serve(
    tcp_port: Annotated[
        int | None,
        typer.Option("--tcp-port", min=0, max=65535, help="Also on this port of 127.0.0.1."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="Who comes over TCP bears this token."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Serve the HTTP API until it is interrupted.

    On the unix socket `run/database.sock`, for its owner alone. Over TCP every request bears the
    token of a file that nobody else may read (mode 0600).
    """
    from base.output import say
    from sql.api import main as api_main

    say("serving run/database.sock; Ctrl-C ends it")
    api_main.serve(config, tcp_port, token_file)
