"""The command `contract try`: a contract over canned inputs and outputs, and nothing applied."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer

from adapters.cli.contract_check import SetOption, parameters_of
from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text, size_text

app = typer.Typer()

LISTED_MAX = 50
"""So many lines of each kind are shown; --json has all."""


@app.command("try", epilog=EXIT_CODES)
def try_contract(
    contract: Annotated[
        str,
        typer.Argument(metavar="CONTRACT", help="A file, its folder, or the name of an action."),
    ],
    inputs: Annotated[
        str,
        typer.Option(
            "--inputs", metavar="LIST", help="A folder of inputs, or a list, a line each."
        ),
    ],
    outputs: Annotated[
        str, typer.Option("--outputs", metavar="FOLDER", help="What a program wrote for them.")
    ],
    settings: SetOption = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read canned outputs by a contract: rows, children, and the write-intent. Nothing is applied.

    Needs no store. A line of LIST is a path, or JSON with path, node_id, key, size_bytes; the list
    that lies beside a staged part will do. Exit code 3 when not everything is understood, 1 when
    nothing is.

    \b
    Example:
      drystone contract try shrink/contract.yaml --inputs pics --outputs done
    """
    from adapters.actions import contract_at, read_inputs, try_outputs
    from adapters.operations.shipped import store_if_any

    loaded = contract_at(store_if_any(config), contract)
    listed, root = read_inputs(inputs)
    if not os.path.isdir(outputs):
        raise UsageError(f"{outputs!a} is no folder: name what the program wrote into")
    tried = try_outputs(loaded, listed, root, outputs, parameters_of(settings))
    document = tried.model_dump(mode="json")
    if json_output:
        write_json(document)
    else:
        _show(document)
    state = document["report"]["state"]
    if state == "failed":
        raise typer.Exit(EXIT_FAILED)
    if state == "partial" or document["set_aside"]:
        raise typer.Exit(EXIT_INCOMPLETE)


def _show(document: dict[str, Any]) -> None:
    report = document["report"]
    rows = [
        (
            str(one["node_id"]),
            safe_text(one["path"]),
            one["outcome"],
            str(one["rows"]),
            str(one["children"]),
            safe_text(one["reason"] or ""),
        )
        for one in document["outcomes"][:LISTED_MAX]
    ]
    write_table((">node", "input", "outcome", ">rows", ">children", ""), rows)
    _show_some("result rows", document["rows"])
    _show_some("children", document["children"])
    _show_some("set aside", document["set_aside"])
    for intent in document["intents"][:LISTED_MAX]:
        write_line("write-intent, not applied:")
        for line in json.dumps(intent, indent=2).splitlines():
            write_line(safe_text(line))
    say(
        f"{report['state']}: {report['done']:,} of {report['inputs']:,} inputs done, "
        f"{report['results']:,} rows, {report['children']:,} children of "
        f"{size_text(report['children_bytes'])}, {report['quarantined']:,} set aside"
    )
    if report["reason"]:
        say(f"  {safe_text(report['reason'])}")


def _show_some(title: str, items: list[dict[str, Any]]) -> None:
    if items:
        write_line(f"{title}:")
    for item in items[:LISTED_MAX]:
        write_line(f"  {safe_text(json.dumps(item))}")
    if len(items) > LISTED_MAX:
        write_line(f"  ... and {len(items) - LISTED_MAX:,} more (--json has all)")
