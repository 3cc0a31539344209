"""The commands of the database: it owns nothing but the joining of the others."""

from __future__ import annotations

import typer

from base.errors import EXIT_CODES
from base.operations.commands import OperationGroup, add_later
from base.options import add_gone
from sql.cli import database as cli_database
from sql.cli import restore as cli_restore
from sql.cli import tree as cli_tree

cli_database.app.command("rebuild-tree", epilog=EXIT_CODES)(cli_tree.rebuild_tree)

app = typer.Typer()
add_gone(
    cli_database.app,
    "serve",
    "ask the public port (`drystone api`, which `up` starts) below /api/v1/database, with a token "
    "(`drystone token create NAME --owner ACCOUNT --scope database`)",
)
cli_database.app.add_typer(cli_restore.app)
DATABASE_WORDS = "The database: its server, its schema, its backups."
_database = OperationGroup(
    "db", "sql.operations.backups", no_args_is_help=True, help=DATABASE_WORDS
)
_database.add_typer(cli_database.app)
app.add_typer(_database, name="db")
NODES = "sql.operations.nodes"
GROUPS = "sql.operations.groups"
NODE_WORDS = "Look at nodes, tag them, hide them and bring them back."
COLLECTION_WORDS = "Collections of nodes: make them, add to them, take out of them."
node = OperationGroup("node", NODES, GROUPS, no_args_is_help=True, help=NODE_WORDS)
ASSET_WORDS = "Files as programs know them: list them, describe them."
asset = OperationGroup("asset", "sql.operations.assets", no_args_is_help=True, help=ASSET_WORDS)
collection = OperationGroup("collection", GROUPS, no_args_is_help=True, help=COLLECTION_WORDS)
app.add_typer(node, name="node")
app.add_typer(asset, name="asset")
app.add_typer(collection, name="collection")
RIGHTS = "sql.operations.rights"
GRANT_WORDS = "Who may see what: grant it, take it back, and why somebody sees a node."
GROUP_WORDS = "Groups of accounts, to which something is granted together."
log_words = "Who changed what, with which rights, from where."
log = OperationGroup("audit-log", "sql.operations.audit", no_args_is_help=True, help=log_words)
app.add_typer(log, name="audit-log")
app.add_typer(OperationGroup("grant", RIGHTS, no_args_is_help=True, help=GRANT_WORDS), name="grant")
app.add_typer(OperationGroup("group", RIGHTS, no_args_is_help=True, help=GROUP_WORDS), name="group")
WORDS = {"select": "List the nodes of a selector."}
add_later(app, NODES, WORDS)
STATS_WORDS = "Count nodes, files and bytes that came in, by day, source, type and user."
add_later(app, "sql.operations.statistics", {"stats": STATS_WORDS})
add_later(app, "sql.operations.events", {"events": "List what happened, or follow it."})
