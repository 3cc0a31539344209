"""The commands about built datasets: it owns `list show exports diff verify lineage retire`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text, size_text

if TYPE_CHECKING:
    from datasets.versions.ancestry import Lineage
    from sql import DatasetExport, DatasetVersion

app = typer.Typer()
CHANGES_SHOWN_MAX = 20

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="The newest version unless one is named.")
]


@app.command("list", epilog=EXIT_CODES)
def list_datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the datasets and their versions."""
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = database.datasets.versions(name)
    if json_output:
        write_json([_version_document(one) for one in found])
        return
    rows = [
        (
            f"{one.name}@{one.version}",
            one.state,
            one.layout_id,
            f"{one.file_count:,}",
            size_text(one.size_bytes),
            one.build_time.astimezone().strftime("%Y-%m-%d %H:%M"),
            one.manifest_key[:16],
        )
        for one in found
    ]
    write_table(("dataset", "state", "layout", ">files", ">size", "built", "manifest"), rows)


@app.command(epilog=EXIT_CODES)
def show(name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a version: what it was made of, its splits, and where it was exported to."""
    from datasets.choice.report import SplitsReport
    from datasets.cli.output import write_report
    from datasets.definition.names import parse_name
    from sql import Database

    with Database.open(find_config(config)) as database:
        version = database.datasets.version(*parse_name(name))
        exports = database.datasets.exports(version.dataset_version_id)
    if json_output:
        document = _version_document(version)
        document["exports"] = [_export_document(one) for one in exports]
        write_json(document)
        return
    write_line(f"{version.name}@{version.version}, {version.state}, seed {version.seed}")
    write_line(f"manifest {version.manifest_key}")
    write_line(f"document {version.document_key}")
    write_line(
        f"{version.file_count:,} files, {size_text(version.size_bytes)}; the tree has "
        f"{version.entry_count:,}, {size_text(version.entry_size_bytes)}"
    )
    write_line("")
    write_report(SplitsReport.model_validate_json(version.report))
    _write_exports(exports)


@app.command(epilog=EXIT_CODES)
def exports(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the exports: id, folder, manifest, seal, size."""
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = database.datasets.exports()
    if json_output:
        write_json([_export_document(one) for one in found])
    else:
        _write_exports(found)


@app.command(epilog=EXIT_CODES)
def diff(
    old: Annotated[str, typer.Argument(metavar="A")],
    new: Annotated[str, typer.Argument(metavar="B")],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare two versions: files added, removed, relabelled, moved between splits.

    With --json every file is a line of its own, after the counts.
    """
    from datasets.versions.comparison import change_document, changes, compare
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = compare(database, old, new)
        if json_output:
            write_json(found.model_dump(mode="json"))
            for change in changes(database, old, new):
                write_json(change_document(change))
            return
    rows = [(what, f"{getattr(found, what):,}") for what in ("added", "removed")]
    rows += [
        ("relabelled", f"{found.relabelled:,}"),
        ("moved to another split", f"{found.moved:,}"),
    ]
    write_table((f"{found.old} -> {found.new}", ">files"), rows)
    for title, counts in (("split", found.moves), ("label", found.relabels)):
        if counts:
            most = sorted(counts.items(), key=lambda item: -item[1])[:CHANGES_SHOWN_MAX]
            write_line("")
            write_table((title, ">files"), [(text, f"{count:,}") for text, count in most])


@app.command(epilog=EXIT_CODES)
def verify(
    folder: Annotated[
        str, typer.Argument(metavar="EXPORT|FOLDER", help="The id of an export, or its folder.")
    ],
    manifest: Annotated[
        str | None, typer.Option("--manifest", metavar="KEY", help="Compare with this one.")
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read every file of an exported tree and compare it with its manifest."""
    from datasets.cli.output import Progress
    from datasets.versions.verification import verify as run

    path = find_config(config)
    found = run(path, _folder_of(path, folder), manifest_key=manifest, progress=Progress())
    if json_output:
        write_json(found.model_dump(mode="json"))
    else:
        for problem in found.problems:
            say(safe_text(problem))
        verdict = "whole" if found.is_whole else f"NOT whole: {found.problem_count:,} problems"
        say(f"{found.files:,} files, {size_text(found.size_bytes)} read: the tree is {verdict}")
    if not found.is_whole:
        raise typer.Exit(EXIT_INCOMPLETE)


def _folder_of(config_path: str, given: str) -> str:
    if os.path.isdir(given):
        return given
    from datasets.definition.errors import NotFoundError
    from sql import Database

    with Database.open(config_path) as database:
        found = database.datasets.exports(export_id=given)
    if not found or found[0].target_root is None:
        raise NotFoundError(f"{given!a} is neither a folder nor a sealed export")
    return found[0].target_root


@app.command(epilog=EXIT_CODES)
def lineage(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|KEY|NODE|DESCRIPTION",
            help="A file of an export, a key, a node id, or such as twitter:post:1.",
        ),
    ],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show where a file comes from, and which datasets a node is in."""
    from datasets.versions.ancestry import lineage as run
    from sql import Database

    path = find_config(config)
    with Database.open(path) as database:
        found = run(path, database, what)
    if json_output:
        write_json(found.model_dump(mode="json"))
    else:
        _write_lineage(found)


def _write_lineage(found: Lineage) -> None:
    rows = [
        (
            str(one.depth),
            str(one.node_id),
            one.description or one.key,
            one.relationship or "",
            one.title or "",
        )
        for one in found.ancestors
    ]
    write_table((">above", ">node", "what", "edge", "title"), rows)
    write_line("")
    rows = [
        (
            f"{one.name}@{one.version}",
            one.state,
            f"{one.files:,}",
            one.split or "",
            one.label or "",
        )
        for one in found.datasets
    ]
    write_table(("dataset", "state", ">files", "split", "label"), rows)


@app.command(epilog=EXIT_CODES)
def retire(
    name: NameArgument,
    remove_copies: Annotated[
        bool, typer.Option("--remove-copies", help="Also remove its copies from the SSD.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a version out of use: its views leave the mount and pin nothing more."""
    from datasets.versions.retirement import retire as run
    from sql import Database

    path = find_config(config)
    with Database.open(path) as database:
        found = run(path, database, name, remove_copies=remove_copies)
    if json_output:
        write_json(found.model_dump(mode="json"))
        return
    say(f"{found.name}@{found.version} is retired")
    for title, ids in (("unpublished", found.unpublished), ("removed", found.removed)):
        if ids:
            say(f"{title}: {', '.join(ids)}")
    if found.left:
        say(f"still there (--remove-copies removes them): {', '.join(found.left)}")


def _version_document(version: DatasetVersion) -> dict[str, object]:
    document = {**version._asdict()}
    for name in ("definition", "report", "store_batches"):
        document[name] = json.loads(document[name])
    document["build_time"] = version.build_time.isoformat()
    document["retire_time"] = version.retire_time and version.retire_time.isoformat()
    return document


def _export_document(export: DatasetExport) -> dict[str, object]:
    document = {**export._asdict()}
    document["start_time"] = export.start_time.isoformat()
    document["seal_time"] = export.seal_time and export.seal_time.isoformat()
    return document


def _write_exports(exports: list[DatasetExport]) -> None:
    rows = [
        (
            one.dataset_export_id,
            f"{one.name}@{one.version}",
            one.mode,
            one.state,
            f"{one.file_count:,}",
            size_text(one.size_bytes),
            one.target_root or one.reason or "",
        )
        for one in exports
    ]
    write_table(("export", "dataset", "mode", "state", ">files", ">size", "where"), rows)
