"""The commands about what actions are: it owns `contract check|list` and `action dry-run`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli import action_quarantine as cli_action_quarantine
from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE, DrystoneError, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text, size_text
from fsd import load_config

if TYPE_CHECKING:
    from adapters.actions import DryRun, LoadedContract
    from sql import Explanation, Selector

app = typer.Typer()
contract_app = typer.Typer(no_args_is_help=True, help="The contracts of actions.")
action_app = typer.Typer(no_args_is_help=True, help="Actions, and what they left behind.")
action_app.add_typer(cli_action_quarantine.app, name="quarantine")
app.add_typer(contract_app, name="contract")
app.add_typer(action_app, name="action")

SELECTOR_BYTES_MAX = 16 << 20

SelectorOption = Annotated[
    str | None,
    typer.Option("--selector", metavar="FILE", help="YAML or JSON; `-` reads stdin."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be given several times."),
]


def selector_of(file: str | None) -> Selector | None:
    """Return the selector of a file or of stdin, None without one."""
    from sql import parse_selector

    if file is None:
        return None
    if file == "-":
        return parse_selector(sys.stdin.buffer.read(SELECTOR_BYTES_MAX + 1))
    try:
        with open(file, "rb") as opened:
            return parse_selector(opened.read(SELECTOR_BYTES_MAX + 1))
    except OSError as error:
        raise UsageError(f"{file!a} cannot be read: {error.strerror}") from None


def store_if_any(config: str | None) -> str | None:
    """Return drystone.toml, or None where there is none: what ships is there without a store."""
    try:
        return find_config(config)
    except DrystoneError:
        if config is not None:
            raise
        return None


def parameters_of(given: list[str] | None) -> dict[str, str]:
    """Return the parameters of `--set NAME=VALUE`."""
    values: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise UsageError(f"{text[:100]!a}: write --set NAME=VALUE, each name once")
        values[name] = value
    return values


@contract_app.command("check", epilog=EXIT_CODES)
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Or the folder of a contract.yaml.")],
    with_database: Annotated[
        bool,
        typer.Option("--database", help="Also plan its SQL in the store's database, and show it."),
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Explain every mistake of a contract: the row, the key, and what would be right."""
    from adapters.actions import load_contract
    from adapters.records.errors import ContractError

    try:
        loaded = load_contract(file)
    except ContractError as error:
        if not json_output:
            raise
        write_json({"path": file, "problems": error.problems})
        raise typer.Exit(error.exit_code) from None
    computed = _planned(loaded, config) if with_database else None
    if json_output:
        shown = {"computed": _sql_of(computed)} if computed else {}
        write_json({"path": loaded.path, "problems": [], **_described(loaded), **shown})
        return
    contract = loaded.contract
    write_line(
        f"{contract.name} version {contract.version} ({contract.type}) is in order; "
        f"digest {loaded.digest[:12]}"
    )
    if contract.child_limits.count_scale is not None:
        say(
            f"  child_limits.count_scale {contract.child_limits.count_scale:g} takes the place of "
            "the installation's ([actions] child_count_scale)"
        )
    if computed is not None:
        _show_sql(computed)
    elif contract.tagging is not None and contract.tagging.computed:
        say("  --database plans its computed columns and shows their SQL")


def _planned(loaded: LoadedContract, config: str | None) -> Explanation | None:
    """Plan what a contract asks of the database, and return its computed columns."""
    from adapters.actions.run.tagging import explain_tagging
    from sql import Database

    with Database.open(find_config(config)) as database:
        if loaded.contract.input_selector is not None:
            database.explain(loaded.contract.input_selector)
        return explain_tagging(database, loaded)


def _sql_of(computed: Explanation) -> dict[str, object]:
    return {"statement": computed.statement, "parameters": computed.parameters}


def _show_sql(computed: Explanation) -> None:
    """Show a statement and its parameters beside it: they are never part of it."""
    write_line(f"  SQL: {safe_text(computed.statement)}")
    for name, value in computed.parameters.items():
        write_line(f"    {name} = {safe_text(repr(value))}")


@contract_app.command("list", epilog=EXIT_CODES)
def list_contracts(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the actions there are: shipped ones, and those of [actions] folders in drystone.toml."""
    from adapters.actions.contract.registry import survey

    found = survey(store_if_any(config))
    if json_output:
        write_json([_described(loaded) for loaded in found.contracts.values()])
    else:
        rows = [
            (
                str(loaded.contract.action_id),
                loaded.contract.name,
                loaded.contract.type,
                str(loaded.contract.version),
                safe_text(loaded.contract.description),
            )
            for loaded in found.contracts.values()
        ]
        write_table((">id", "action", "type", ">version", "what it does"), rows)
    for error in found.broken.values():
        say(str(error))
    if found.broken:
        raise typer.Exit(EXIT_INCOMPLETE)


def _described(loaded: LoadedContract) -> dict[str, object]:
    contract = loaded.contract
    return {
        "action_id": contract.action_id,
        "name": contract.name,
        "type": contract.type,
        "version": contract.version,
        "description": contract.description,
        "digest": loaded.digest,
        "contract": loaded.path,
    }


@action_app.command("dry-run", epilog=EXIT_CODES)
def dry_run(
    name: Annotated[str, typer.Argument(metavar="ACTION")],
    selector: SelectorOption = None,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="ID", help="A sealed action batch.")
    ] = None,
    settings: SetOption = None,
    all_paths: Annotated[bool, typer.Option("--paths", help="List where every file lies.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell what an action would do: nodes, bytes, where files would lie, the exact command.

    Nothing is staged, run or written. Exit code 3 says that the stage has no room for it now.
    """
    from adapters.actions import contract_named, dry_run_action
    from fsd import Client
    from sql import Database

    if selector is not None and batch is not None:
        raise UsageError("give --selector or --batch, not both")
    path = find_config(config)
    loaded = contract_named(path, name)

    def show(node_id: int | None, where: str) -> None:
        write_line(f"{'-' if node_id is None else node_id}\t{safe_text(where)}")

    with Database.open(path) as database:
        report = dry_run_action(
            Client(load_config(path).socket_path),
            database,
            loaded,
            selector_of(selector),
            batch,
            parameters_of(settings),
            on_path=show if all_paths and not json_output else None,
        )
    if json_output:
        write_json(_as_json(report))
    elif not all_paths:
        _show(report)
    if report.room is not None and report.room.verdict != "fits":
        say(report.room.reason)
        raise typer.Exit(EXIT_INCOMPLETE)


def _as_json(report: DryRun) -> dict[str, object]:
    document = asdict(report)
    document["command"] = report.command.model_dump(mode="json") if report.command else None
    document["computed"] = _sql_of(report.computed) if report.computed else None
    return document


def _show(report: DryRun) -> None:
    rows = [
        ("nodes", f"{report.nodes:,}", size_text(report.size_bytes)),
        ("done before", f"{report.nodes_done:,}", "the same work; not run again"),
        ("left out", f"{len(report.left_out):,}", "deleted, black-listed or without bytes"),
        ("parts", f"{report.parts:,}", ""),
        ("files in the stage", f"{report.staged_files:,}", size_text(report.staged_bytes)),
    ]
    if report.children_max is not None:
        size = f"and {size_text(report.children_bytes_max or 0)}, at most"
        rows.append(("children", f"{report.children_max:,}", size))
    if report.room is not None:
        needed = f"the largest part needs {size_text(report.room.needed_bytes)}"
        rows.append(("room", report.room.verdict, needed))
    write_table((f"{report.action}, nothing was done", ">count", ""), rows)
    if report.computed is not None:
        _show_sql(report.computed)
    for node_id, path in report.paths[:10]:
        say(f"  {'-' if node_id is None else node_id}  {safe_text(path)}")
    if report.staged_files > 10:
        say(f"  ... and {report.staged_files - 10:,} more (--paths lists all)")
    if report.command is not None:
        command = report.command
        say(f"  in {safe_text(command.cwd)}:")
        say(f"  {command.runner}: {safe_text(' '.join(command.argv))}")
