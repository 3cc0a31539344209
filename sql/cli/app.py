"""The commands of the database: it owns nothing but the joining of the others."""

from __future__ import annotations

import typer

from base.errors import EXIT_CODES
from sql.cli import backup as cli_backup
from sql.cli import database as cli_database
from sql.cli import node as cli_node
from sql.cli import serve as cli_serve
from sql.cli import tree as cli_tree

cli_database.app.command("rebuild-tree", epilog=EXIT_CODES)(cli_tree.rebuild_tree)

app = typer.Typer()
cli_database.app.add_typer(cli_serve.app)
cli_database.app.add_typer(cli_backup.app)
app.add_typer(cli_database.app, name="db")
app.add_typer(cli_node.app)
