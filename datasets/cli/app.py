"""The commands of datasets: it joins them as `drystone dataset ...`, and owns `dataset check`."""

from __future__ import annotations

from typing import Annotated

import typer

from base.errors import EXIT_CODES
from base.operations.commands import OperationGroup
from base.options import JsonOption
from base.output import say, write_json

app = typer.Typer()
dataset_app = OperationGroup(
    "dataset",
    "datasets.operations.folders",
    "datasets.operations.layouts",
    "datasets.operations.making",
    "datasets.operations.versions",
    no_args_is_help=True,
    help="Datasets: described, frozen, exported (3D).",
)
own_app = typer.Typer()
dataset_app.add_typer(own_app)
app.add_typer(dataset_app, name="dataset")


@own_app.command(epilog=EXIT_CODES)
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The definition, in YAML.")],
    json_output: JsonOption = False,
) -> None:
    """Tell what is wrong with a definition, each mistake with its line; asks no database."""
    from datasets.choice.definition_file import load_definition

    definition = load_definition(file)
    if json_output:
        write_json(definition.canonical())
    else:
        say(f"{definition.name}: the definition is well-formed")
