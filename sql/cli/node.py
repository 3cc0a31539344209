"""`drystone select` and `drystone node ...`: it owns asking for nodes and flagging them.

Nothing heavy is imported before a command runs. Errors are raised as SqlError; the front door turns
them into one line and an exit code.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES, EXIT_FAILED
from base.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from sql.database.node_flags import Verb
    from sql.selector.selector import Selector

app = typer.Typer()
node = typer.Typer(help="Look at nodes, hide them and bring them back.", no_args_is_help=True)
app.add_typer(node, name="node")

SelectorOption = Annotated[
    str,
    typer.Option("--selector", metavar="FILE", help="YAML or JSON; `-` reads stdin."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Take a selector without a condition: every node.")
]


@app.command("select", epilog=EXIT_CODES)
def select_nodes(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; `-` reads stdin.")],
    count: Annotated[bool, typer.Option("--count", help="Only how many, and their size.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only the estimate, the SQL and its parameters.")
    ] = False,
    any_cost: Annotated[
        bool, typer.Option("--any-cost", help="Run it however dear it looks.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the nodes of a selector.

    One line each: node id, key, size in bytes, extension, media type, separated by tabs.

    \b
    Example of a selector, images of two authors:
      version: 1
      where:
        media_type: image
        ancestor: {within: 2, where: {description: ["twitter:user:1", "twitter:user:2"]}}
    """
    from base.output import write_json, write_line
    from base.text import size_text
    from sql.database.database import Database
    from sql.selector import select

    selector = _read(file)
    cost_max = float("inf") if any_cost else select.COST_MAX
    with Database.open(config) as database, database.reading() as connection:
        if explain:
            explained = select.explain(connection, selector)
            if json_output:
                write_json(explained)
                return
            write_line(f"rows, about  {explained.rows_estimate:,}")
            write_line(f"cost         {explained.cost:,.0f}")
            write_line(f"statement    {explained.statement}")
            for name, value in explained.parameters.items():
                write_line(f"{name:<13}{value!r}")
            for line in explained.plan.splitlines():
                write_line(line)
        elif count:
            total = select.aggregate(connection, selector, cost_max=cost_max)
            if json_output:
                write_json(total)
                return
            write_line(f"{total.count:,} nodes, {size_text(total.size_bytes)}")
            for kind, part in total.by_media_type.items():
                write_line(f"  {kind:<6} {part.count:>12,}  {size_text(part.size_bytes)}")
        else:
            for row in select.query_nodes(connection, selector, cost_max=cost_max):
                if json_output:
                    write_json(row._asdict())
                else:
                    # None of these is anybody's text, and tabs are to stay tabs.
                    cells = ["" if part is None else str(part) for part in row[:5]]
                    sys.stdout.write("\t".join(cells) + "\n")


@node.command(epilog=EXIT_CODES)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NODE", help="Its key, node id or canonical description.")
    ],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show all that the database knows about one node.

    Where its bytes lie is told by `drystone head KEY`.
    """
    from base.output import write_json
    from sql.cli.node_report import write_report
    from sql.database.database import Database
    from sql.datasets.node_report import node_report

    with Database.open(config) as database, database.reading() as connection:
        report = node_report(connection, name)
    if json_output:
        write_json(report)
    else:
        write_report(report)


@node.command(epilog=EXIT_CODES)
def delete(
    selector: SelectorOption,
    all_nodes: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Hide nodes from all selectors; their bytes stay, and `node undelete` brings them back."""
    _flag("delete", selector, all_nodes, dry_run, yes, json_output, config)


@node.command(epilog=EXIT_CODES)
def undelete(
    selector: SelectorOption,
    all_nodes: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring deleted nodes back."""
    _flag("undelete", selector, all_nodes, dry_run, yes, json_output, config)


@node.command(epilog=EXIT_CODES)
def blacklist(
    selector: SelectorOption,
    all_nodes: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Mark nodes as never to be used; selectors leave them out."""
    _flag("blacklist", selector, all_nodes, dry_run, yes, json_output, config)


@node.command(epilog=EXIT_CODES)
def unblacklist(
    selector: SelectorOption,
    all_nodes: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take nodes from the black list."""
    _flag("unblacklist", selector, all_nodes, dry_run, yes, json_output, config)


def _flag(
    verb: Verb,
    file: str,
    all_nodes: bool,
    dry_run: bool,
    yes: bool,
    json_output: bool,
    config: str | None,
) -> None:
    from base.errors import UsageError
    from base.output import say, write_json
    from base.text import size_text
    from sql.database import node_flags
    from sql.database.database import Database

    selector = _read(file)
    with Database.open(config) as database:
        total = node_flags.preview(database, verb, selector, all_nodes=all_nodes)
        what = f"{total.count:,} nodes, {size_text(total.size_bytes)}"
        changed = 0
        if not total.count:
            say(f"nothing to {verb}")
        elif dry_run:
            say(f"would {verb} {what}")
        else:
            if not yes and file == "-":
                raise UsageError("stdin is the selector, so nobody can be asked: give --yes")
            if not yes and not typer.confirm(f"{verb} {what}?", err=True):
                say("nothing was done")
                raise typer.Exit(EXIT_FAILED)
            changed = node_flags.set_flags(database, verb, selector, all_nodes=all_nodes)
            say(f"{verb}: {changed:,} nodes")
    if json_output:
        answer = {"nodes": total.count, "size_bytes": total.size_bytes, "changed": changed}
        write_json({"verb": verb, "dry_run": dry_run, **answer})


def _read(file: str) -> Selector:
    from base.errors import UsageError
    from sql.selector.document import DOCUMENT_SIZE_BYTES_MAX, parse_selector

    try:
        if file == "-":
            return parse_selector(sys.stdin.buffer.read(DOCUMENT_SIZE_BYTES_MAX + 1))
        with open(file, "rb") as opened:
            return parse_selector(opened.read(DOCUMENT_SIZE_BYTES_MAX + 1))
    except OSError as error:
        raise UsageError(f"{file!a} cannot be read: {error.strerror}") from error
