"""The commands that make datasets: it owns `check layouts preview build export reproduce`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from base.config import find_config
from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table

app = typer.Typer()

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The definition, in YAML.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="The newest version unless one is named.")
]
ModeOption = Annotated[
    Literal["copy", "view"] | None,
    typer.Option("--mode", help="copy: on the SSD. view: in the mount. As the definition says."),
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="The folder below 3d/ or exports/.")
]


@app.command(epilog=EXIT_CODES)
def check(file: FileArgument, json_output: JsonOption = False) -> None:
    """Tell what is wrong with a definition, each mistake with its line; asks no database."""
    from datasets.choice.definition_file import load_definition

    definition = load_definition(file)
    if json_output:
        write_json(definition.canonical())
    else:
        say(f"{definition.name}: the definition is well-formed")


@app.command(epilog=EXIT_CODES)
def layouts(json_output: JsonOption = False) -> None:
    """List the layouts."""
    from datasets.choice.registry import layout_named, layout_names

    found = [layout_named(name) for name in layout_names()]
    if json_output:
        write_json([{"id": one.layout_id, "summary": one.summary} for one in found])
    else:
        write_table(("layout", "what it is"), [(one.layout_id, one.summary) for one in found])


@app.command(epilog=EXIT_CODES)
def preview(
    file: FileArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show what a dataset would contain: files, classes, splits, room and time. Copies nothing."""
    from datasets.cli.output import Progress, write_preview
    from datasets.versions.previews import preview as run

    found = run(find_config(config), file, Progress())
    if json_output:
        write_json(found.model_dump(mode="json"))
    else:
        write_preview(found)


@app.command(epilog=EXIT_CODES)
def build(file: FileArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Freeze a dataset into a manifest in the store; the same content again is the same version."""
    from datasets.cli.output import Progress, write_report
    from datasets.freeze.building import build as run

    result = run(find_config(config), file, Progress())
    if json_output:
        write_json(result.model_dump(mode="json"))
        return
    write_report(result.report)
    what = "is built" if result.created else "was there already, with the same content"
    say(f"{result.name}@{result.version} {what}: {result.files:,} files")
    write_line(result.manifest_key)


@app.command(epilog=EXIT_CODES)
def export(
    name: NameArgument,
    mode: ModeOption = None,
    export_id: IdOption = None,
    allow_deleted: Annotated[
        bool, typer.Option("--allow-deleted", help="Also files that were deleted since.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a folder of a built version, as a sealed copy on the SSD or as a view in the mount."""
    from datasets.cli.output import Progress, say_exported
    from datasets.versions.exports import export as run

    result = run(
        find_config(config),
        name,
        mode=mode,
        export_id=export_id,
        allow_deleted=allow_deleted,
        progress=Progress(),
    )
    if json_output:
        write_json(result.model_dump(mode="json"))
    else:
        say_exported(result)


@app.command(epilog=EXIT_CODES)
def reproduce(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Key of a stored manifest.")],
    mode: Annotated[Literal["copy", "view"], typer.Option("--mode")] = "copy",
    export_id: IdOption = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the tree of a manifest again, byte for byte, from the store alone."""
    from datasets.cli.output import Progress, say_exported
    from datasets.versions.exports import reproduce as run

    result = run(find_config(config), manifest, mode=mode, export_id=export_id, progress=Progress())
    if json_output:
        write_json(result.model_dump(mode="json"))
    else:
        say_exported(result)
