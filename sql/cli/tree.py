"""`drystone db rebuild-tree`: it owns the command that works out the derived columns anew."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption


def rebuild_tree(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only compare; exit code 3 when something is wrong.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Work out root, component and depth of every node from its edges, and put them right.

    Write-intents keep them right as they go; this is for after a repair by hand.
    """
    from base.output import say, write_json, write_line
    from sql.database.database import Database

    with Database.open(config, say) as database:
        found = database.check_derived() if dry_run else database.rebuild_derived()
    if json_output:
        write_json(found)
    else:
        verb = "wrong" if dry_run else "put right"
        write_line(
            f"{found.nodes:,} nodes, {found.edges:,} tree edges, {found.wrong_count:,} {verb}"
        )
        for node in found.wrong:
            write_line(
                f"node {node.node_id}: root, component, depth {node.found} instead of {node.right}"
            )
    if dry_run and found.wrong_count:
        raise typer.Exit(EXIT_INCOMPLETE)
