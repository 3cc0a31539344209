"""The sub-commands of the browser's side and of services: it owns their groups."""

from __future__ import annotations

import typer

from gui.cli.serve import serve, status
from gui.cli.service import app as service_app
from gui.cli.user import app as user_app

app = typer.Typer()
gui = typer.Typer(
    help="The pages in the browser: serve them, and say who may log in.", no_args_is_help=True
)
gui.command()(serve)
gui.command()(status)
gui.add_typer(user_app, name="user")
app.add_typer(gui, name="gui")
app.add_typer(service_app, name="service")
