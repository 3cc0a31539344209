"""The commands that lay stored files out as folders: it owns `stage export views unpublish`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import EXIT_CODES, UsageError
from base.options import ConfigOption, JsonOption
from base.output import list_some, say, write_json, write_line, write_table
from base.text import count_text, size_text, time_text
from fsd.cli.output import problem_text
from fsd.cli.session import connect, end_with, exit_code_of, follow, job_summary, open_config
from fsd.format.layout import STORED_MANIFEST

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.documents.models import ExportMode, JobStatus, MaterialiseAnswer, ViewKind

app = typer.Typer()

ManifestArgument = Annotated[
    str,
    typer.Argument(
        metavar="MANIFEST",
        help='JSON Lines: {"path": "a/b.jpg", "key": "<sha256>"} or {"path": "a/b.json", "text": '
        '"..."}; `drystone ls BATCH --json` writes one. "-" reads stdin. Or the key of a manifest '
        "that was used before.",
    ),
]
ModeOption = Annotated[
    Literal["copy", "view"],
    typer.Option("--mode", help="copy: files on the SSD. view: at once in the mount, no bytes."),
]
CollisionsOption = Annotated[
    bool,
    typer.Option(
        "--allow-case-collisions", help="Take paths that differ only in case or in accents' coding."
    ),
]
DedupOption = Annotated[
    Literal["by_node", "by_sha256"],
    typer.Option("--dedup", help="by_sha256: each content once. by_node: once per node id."),
]


@app.command(epilog=EXIT_CODES)
def stage(
    manifest: ManifestArgument,
    batch_id: Annotated[str, typer.Option("--batch", metavar="ID", help="The action batch.")],
    layout_id: Annotated[
        str, typer.Option("--layout", metavar="ID", help="Its layout, or a part of it: ID/PART.")
    ],
    mode: ModeOption = "copy",
    dedup: DedupOption = "by_node",
    allow_case_collisions: CollisionsOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lay files out for a program that works on them.

    In the folder 3c/<batch>/<layout>/ of the SSD, or as a view in the mount.
    """
    client = connect(config)
    with _manifest_path(config, manifest) as path:
        answer = client.stage_to_3c(path, batch_id, layout_id, mode, dedup, allow_case_collisions)
        _finish_materialise(client, answer, mode, json_output)


@app.command(epilog=EXIT_CODES)
def export(
    manifest: ManifestArgument,
    export_id: Annotated[str, typer.Option("--id", metavar="ID", help="The dataset export.")],
    layout_id: Annotated[str, typer.Option("--layout", metavar="ID", help="Its layout.")],
    mode: ModeOption,
    dedup: DedupOption = "by_node",
    allow_case_collisions: CollisionsOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a dataset folder of stored files.

    As 3d/<id>/<layout>/ on the SSD, or as a view in the mount. The folder appears at once and
    complete, with _SEALED in it; the same command again does nothing when it is there.
    """
    client = connect(config)
    with _manifest_path(config, manifest) as path:
        answer = client.export_to_3d(path, export_id, layout_id, mode, dedup, allow_case_collisions)
        _finish_materialise(client, answer, mode, json_output)


@contextmanager
def _manifest_path(config: str | None, given: str) -> Generator[str]:
    """Yield a manifest's absolute path, or its key; stdin is kept in a file meanwhile."""
    if given != "-":
        if STORED_MANIFEST.fullmatch(given) and not os.path.exists(given):
            yield given
            return
        if not os.path.isfile(given):
            raise UsageError(f"there is no manifest {given!a}")
        yield os.path.abspath(given)
        return
    folder = open_config(config).run_dir
    with tempfile.NamedTemporaryFile(prefix="manifest-", dir=folder) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name


def _finish_materialise(
    client: Client, answer: MaterialiseAnswer, mode: ExportMode, json_output: bool
) -> None:
    if not json_output:
        size = size_text(answer.expected_bytes)
        say(f"{count_text(answer.expected_files, 'file')}, {size} to {answer.target_root}")
    job = follow(client, answer.job_id)
    failed = list(client.report(job.job_id)) if exit_code_of(job) else []
    if json_output:
        write_json({**answer.model_dump(), "job": job.model_dump(), "failed": failed})
    else:
        _say_how_it_ended(job, mode)
        list_some([problem_text(line) for line in failed], len(failed))
        if not exit_code_of(job):
            write_line(answer.target_root)
    end_with(job)


def _say_how_it_ended(job: JobStatus, mode: ExportMode) -> None:
    if job.result.get("already_sealed"):
        say("it was there already, complete")
    else:
        # A view moves no bytes, so it has no rate.
        say(job_summary(job, rate=mode == "copy", counts=False))


@app.command(epilog=EXIT_CODES)
def views(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the published views.

    A view is a folder of the mount that uses no space.
    """
    client = connect(config)
    answer = client.views()
    if json_output:
        write_json(answer)
        return
    rows = [
        (view.name, f"{view.files:,}", size_text(view.size_bytes), time_text(view.created))
        for view in answer
    ]
    write_table(("view", ">files", ">size", "created"), rows)


@app.command(epilog=EXIT_CODES)
def unpublish(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As `drystone views` lists it: exports/ID/LAYOUT.")
    ],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a view out of the mount.

    The stored files stay.
    """
    kind, view_id, layout_id = _view_parts(name)
    client = connect(config)
    client.unpublish(kind, view_id, layout_id)
    if json_output:
        write_json({"name": f"{kind}/{view_id}/{layout_id}", "unpublished": True})
    else:
        say(f"{kind}/{view_id}/{layout_id} is no longer published")


def _view_parts(name: str) -> tuple[ViewKind, str, str]:
    parts = name.strip("/").split("/")
    if len(parts) in (3, 4):
        for kind in ("stage", "exports", "browse"):
            if parts[0] == kind:
                return kind, parts[1], "/".join(parts[2:])
    raise UsageError(
        f"{name!a} is not a view: its name is KIND/ID/LAYOUT with KIND stage, exports or "
        "browse; `drystone views` lists them"
    )
