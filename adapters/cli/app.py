"""The commands of the adapters: it joins them and owns none."""

from __future__ import annotations

import typer

from adapters.cli import action as cli_action
from adapters.cli import action_batch as cli_action_batch
from adapters.cli import contract_try as cli_contract_try
from adapters.cli import ingest as cli_ingest
from adapters.cli import outbox as cli_outbox

app = typer.Typer()
app.add_typer(cli_ingest.app)
app.add_typer(cli_outbox.app)
app.add_typer(cli_action.app)
cli_action.contract_app.add_typer(cli_contract_try.app)
app.add_typer(cli_action_batch.app)
