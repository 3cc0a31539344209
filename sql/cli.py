"""The commands of the database: it owns nothing but the joining of the others."""

from __future__ import annotations

import typer

from sql import cli_backup, cli_database, cli_node, cli_serve, cli_tree
from sql.cli_session import EXIT_CODES

cli_database.app.command("rebuild-tree", epilog=EXIT_CODES)(cli_tree.rebuild_tree)

app = typer.Typer()
cli_database.app.add_typer(cli_serve.app)
cli_database.app.add_typer(cli_backup.app)
app.add_typer(cli_database.app, name="db")
app.add_typer(cli_node.app)
