"""The command `contract check`: every mistake of a contract, explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line

if TYPE_CHECKING:
    from adapters.actions import LoadedContract
    from sql import Explanation

app = typer.Typer()

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be given several times."),
]


def parameters_of(given: list[str] | None) -> dict[str, str]:
    """Return the parameters of `--set NAME=VALUE`."""
    values: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise UsageError(f"{text[:100]!a}: write --set NAME=VALUE, each name once")
        values[name] = value
    return values


@app.command("check", epilog=EXIT_CODES)
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
    from adapters.operations.actions import show_sql
    from adapters.operations.shipped import contract_of
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
        shown = {"computed": computed} if computed else {}
        write_json(
            {"path": loaded.path, "problems": [], **contract_of(loaded).model_dump(), **shown}
        )
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
        show_sql(computed)
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
