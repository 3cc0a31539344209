"""The commands of datasets: it joins them as `drystone dataset ...` and owns none."""

from __future__ import annotations

import typer

from datasets.cli import look as cli_look
from datasets.cli import make as cli_make

app = typer.Typer()
dataset_app = typer.Typer(no_args_is_help=True, help="Datasets: described, frozen, exported (3D).")
dataset_app.add_typer(cli_make.app)
dataset_app.add_typer(cli_look.app)
app.add_typer(dataset_app, name="dataset")
