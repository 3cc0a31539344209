"""The commands of the adapters: it joins them and owns none."""

from __future__ import annotations

import typer

from adapters import cli_action, cli_action_batch, cli_ingest, cli_outbox

app = typer.Typer()
app.add_typer(cli_ingest.app)
app.add_typer(cli_outbox.app)
app.add_typer(cli_action.app)
app.add_typer(cli_action_batch.app)
