"""Operations on built datasets: listed, shown, compared, verified, retired."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.errors import EXIT_INCOMPLETE
from base.model import Document, PlainText
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_line, write_table
from base.text import size_text
from sql import DatasetExport, DatasetVersion, Place, opened

if TYPE_CHECKING:
    from datasets.versions.ancestry import Lineage
    from datasets.versions.comparison import Comparison
    from datasets.versions.retirement import Retired
    from datasets.versions.verification import Verification

__all__ = ["opened"]

CHANGES_SHOWN_MAX = 20
FULL_NAME = "NAME[@VERSION]"
FullName = Annotated[PlainText, Field(description="The newest version unless one is named.")]


# ---- Listed --------------------------------------------------------------------------------------


class ListRequest(Document):
    """Which datasets."""

    name: Annotated[PlainText | None, Field(description="Of this one only.")] = None


def _show_versions(found: list[DatasetVersion], _asked: ListRequest) -> None:
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


@operation(
    "dataset.list",
    role="viewer",
    kind="question",
    route="GET /datasets",
    cli=Cli(positional=("name",), metavars={"name": "[NAME]"}, show=_show_versions),
)
def list_versions(place: Place, _caller: Caller, asked: ListRequest) -> list[DatasetVersion]:
    """List the datasets and their versions."""
    return place.database.datasets.versions(asked.name)


class OneVersion(Document):
    """Which version."""

    name: FullName


class Shown(DatasetVersion):
    """A version, and where it was exported to."""

    exports: list[DatasetExport]


def _show_version(version: Shown, _asked: OneVersion) -> None:
    from datasets.choice.report import SplitsReport
    from datasets.operations.output import write_report

    write_line(f"{version.name}@{version.version}, {version.state}, seed {version.seed}")
    write_line(f"manifest {version.manifest_key}")
    write_line(f"document {version.document_key}")
    write_line(
        f"{version.file_count:,} files, {size_text(version.size_bytes)}; the tree has "
        f"{version.entry_count:,}, {size_text(version.entry_size_bytes)}"
    )
    write_line("")
    write_report(SplitsReport.model_validate_json(version.report))
    _show_exports(version.exports, _asked)


@operation(
    "dataset.show",
    role="viewer",
    kind="question",
    route="GET /datasets/{name}",
    cli=Cli(positional=("name",), metavars={"name": FULL_NAME}, show=_show_version),
)
def show(place: Place, _caller: Caller, asked: OneVersion) -> Shown:
    """Show a version: what it was made of, its splits, and where it was exported to."""
    from datasets.definition.names import parse_name

    book = place.database.datasets
    version = book.version(*parse_name(asked.name))
    return Shown(**dict(version), exports=book.exports(version.dataset_version_id))


def _show_exports(found: list[DatasetExport], _asked: Any) -> None:
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
        for one in found
    ]
    write_table(("export", "dataset", "mode", "state", ">files", ">size", "where"), rows)


@operation(
    "dataset.exports",
    role="viewer",
    kind="question",
    route="GET /dataset-exports",
    cli=Cli(show=_show_exports),
)
def exports(place: Place, _caller: Caller, _asked: NoRequest) -> list[DatasetExport]:
    """List the exports: id, folder, manifest, seal, size."""
    return place.database.datasets.exports()


# ---- Compared ------------------------------------------------------------------------------------


class DiffRequest(Document):
    """Which two versions."""

    old: FullName
    new: FullName


def _finish_diff(shell: Shell, found: Comparison, asked: DiffRequest) -> int:
    from datasets.versions.comparison import change_document, changes

    if shell.is_json:
        write_json(found)
        for change in changes(shell.place.database, asked.old, asked.new):
            write_json(change_document(change))
        return 0
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
    return 0


@operation(
    "dataset.diff",
    role="viewer",
    kind="question",
    route="GET /datasets/{old}/diff/{new}",
    cli=Cli(positional=("old", "new"), metavars={"old": "A", "new": "B"}, finish=_finish_diff),
)
def diff(place: Place, _caller: Caller, asked: DiffRequest) -> Comparison:
    """Compare two versions: files added, removed, relabelled, moved between splits.

    With --json every file is a line of its own, after the counts.
    """
    from datasets.versions.comparison import compare

    return compare(place.database, asked.old, asked.new)


class VerifyRequest(Document):
    """Which tree."""

    folder: Annotated[str, Field(description="The id of an export, or its folder.")]
    manifest: Annotated[str | None, Field(description="Compare with this one.")] = None


def _show_verified(found: Verification, _asked: VerifyRequest) -> None:
    for problem in found.problems:
        say(problem)
    verdict = "whole" if found.is_whole else f"NOT whole: {found.problem_count:,} problems"
    say(f"{found.files:,} files, {size_text(found.size_bytes)} read: the tree is {verdict}")


@operation(
    "dataset.verify",
    role="operator",
    kind="question",
    route="POST /dataset-exports/verify",
    cli=Cli(
        positional=("folder",),
        metavars={"folder": "EXPORT|FOLDER", "manifest": "KEY"},
        show=_show_verified,
        exit_code=lambda found, _: 0 if found.is_whole else EXIT_INCOMPLETE,
    ),
    is_private=True,
)
def verify(place: Place, _caller: Caller, asked: VerifyRequest) -> Verification:
    """Read every file of an exported tree and compare it with its manifest."""
    from datasets.operations.output import Progress
    from datasets.versions.verification import verify

    folder, progress = _folder_of(place, asked.folder), Progress(place.say)
    return verify(place.config_path, folder, manifest_key=asked.manifest, progress=progress)


def _folder_of(place: Place, given: str) -> str:
    from datasets.definition.errors import NotFoundError

    if os.path.isdir(given):
        return given
    found = place.database.datasets.exports(export_id=given)
    if not found or found[0].target_root is None:
        raise NotFoundError(f"{given!a} is neither a folder nor a sealed export")
    return found[0].target_root


class LineageRequest(Document):
    """Of what."""

    what: Annotated[
        str,
        Field(description="A file of an export, a key, a node id, or such as twitter:post:1."),
    ]


def _show_lineage(found: Lineage, _asked: LineageRequest) -> None:
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


@operation(
    "dataset.lineage",
    role="viewer",
    kind="question",
    route="GET /lineage",
    cli=Cli(
        positional=("what",),
        metavars={"what": "FILE|KEY|NODE|DESCRIPTION"},
        show=_show_lineage,
    ),
    is_private=True,
)
def lineage(place: Place, _caller: Caller, asked: LineageRequest) -> Lineage:
    """Show where a file comes from, and which datasets a node is in."""
    from datasets.versions.ancestry import lineage

    return lineage(place.config_path, place.database, asked.what)


# ---- Retired -------------------------------------------------------------------------------------


class RetireRequest(OneVersion):
    """Which version goes out of use."""

    remove_copies: Annotated[bool, Field(description="Also remove its copies from the SSD.")] = (
        False
    )


def _show_retired(gone: Retired, _asked: RetireRequest) -> None:
    say(f"{gone.name}@{gone.version} is retired")
    for title, ids in (("unpublished", gone.unpublished), ("removed", gone.removed)):
        if ids:
            say(f"{title}: {', '.join(ids)}")
    if gone.left:
        say(f"still there (--remove-copies removes them): {', '.join(gone.left)}")


@operation(
    "dataset.retire",
    role="operator",
    kind="change",
    route="POST /datasets/{name}/retire",
    cli=Cli(positional=("name",), metavars={"name": FULL_NAME}, show=_show_retired),
)
def retire(place: Place, _caller: Caller, asked: RetireRequest) -> Retired:
    """Take a version out of use: its views leave the mount and pin nothing more."""
    from datasets.versions.retirement import retire

    return retire(place.config_path, place.database, asked.name, remove_copies=asked.remove_copies)
