"""Operations that lay stored files out as folders: stages, exports, and the views of the mount."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from base.errors import UsageError
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import list_some, say, write_json, write_line, write_table
from base.text import count_text, size_text, time_text
from fsd.documents.models import (
    Document,
    ExportMode,
    JobStatus,
    MaterialiseAnswer,
    MaterialiseRequest,
    OutboxRoomRequest,
    StageOutputAnswer,
    StageOutputRequest,
    ViewStatus,
)
from fsd.documents.names import LayoutName, Name
from fsd.format.layout import STORED_MANIFEST
from fsd.format.paths import check_identifier, check_layout
from fsd.operations.jobs import exit_code_of, failed_lines, follow, job_summary
from fsd.operations.progress import problem_text

if TYPE_CHECKING:
    from fsd.operations.place import Serving

MATERIALISE_TIMEOUT_S = 900.0
"""The engine reads and checks the whole manifest before it answers: millions of lines."""
STDIN = "-"

Wish = TypeVar("Wish", bound=MaterialiseRequest)


# ---- Stage and export ----------------------------------------------------------------------------


class ExportWish(MaterialiseRequest):
    """Make a dataset folder; how has to be said."""

    mode: Annotated[  # pyright: ignore[reportGeneralTypeIssues]
        ExportMode, Field(description=MaterialiseRequest.model_fields["mode"].description)
    ]


def _whole_manifest(shell: Shell, asked: Wish) -> Wish:
    """Make a manifest's path absolute, unless it is a key; stdin is kept in a file meanwhile."""
    given = asked.manifest
    if given == STDIN:
        made = tempfile.NamedTemporaryFile(prefix="manifest-", dir=shell.place.run_dir)  # noqa: SIM115
        file = shell.stack.enter_context(made)
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        return asked.model_copy(update={"manifest": file.name})
    if STORED_MANIFEST.fullmatch(given) and not os.path.exists(given):
        return asked
    if not os.path.isfile(given):
        raise UsageError(f"there is no manifest {given!a}")
    return asked.model_copy(update={"manifest": os.path.abspath(given)})


def _finish(shell: Shell, answer: MaterialiseAnswer, asked: Any) -> int:
    if not shell.is_json:
        size = size_text(answer.expected_bytes)
        say(f"{count_text(answer.expected_files, 'file')}, {size} to {answer.target_root}")
    job = follow(shell.place, answer.job_id)
    failed = failed_lines(shell, job)
    if shell.is_json:
        write_json({**answer.model_dump(), "job": job.model_dump(), "failed": failed})
        return exit_code_of(job)
    if job.result.get("already_sealed"):
        say("it was there already, complete")
    else:
        # A view moves no bytes, so it has no rate.
        say(job_summary(job, rate=asked.mode == "copy", counts=False))
    list_some([problem_text(line) for line in failed], len(failed))
    code = exit_code_of(job)
    if not code:
        write_line(answer.target_root)
    return code


_METAVARS = {
    "manifest": "MANIFEST",
    "target_id": "ID",
    "layout_id": "ID",
    "mode": "[copy|view]",
    "dedup_mode": "[by_node|by_sha256]",
}


@operation(
    "storage.stage",
    role="admin",
    kind="work",
    route="POST /storage/stages",
    cli=Cli(
        command="stage",
        positional=("manifest",),
        options={
            "target_id": ("--batch",),
            "layout_id": ("--layout",),
            "dedup_mode": ("--dedup",),
            "provenance": (),
        },
        metavars=_METAVARS,
        before=_whole_manifest,
        finish=_finish,
    ),
    is_private=True,
    timeout_s=MATERIALISE_TIMEOUT_S,
)
def stage(place: Serving, _caller: Caller, asked: MaterialiseRequest) -> MaterialiseAnswer:
    """Lay files out for a program that works on them.

    In the folder 3c/<batch>/<layout>/ of the SSD, or as a view in the mount.
    """
    return place.engine.materialise("stage", asked)


@operation(
    "storage.export",
    role="admin",
    kind="work",
    route="POST /storage/exports",
    cli=Cli(
        command="export",
        positional=("manifest",),
        options={
            "target_id": ("--id",),
            "layout_id": ("--layout",),
            "dedup_mode": ("--dedup",),
            "provenance": (),
        },
        metavars=_METAVARS,
        before=_whole_manifest,
        finish=_finish,
    ),
    is_private=True,
    timeout_s=MATERIALISE_TIMEOUT_S,
)
def export(place: Serving, _caller: Caller, asked: ExportWish) -> MaterialiseAnswer:
    """Make a dataset folder of stored files.

    As 3d/<id>/<layout>/ on the SSD, or as a view in the mount. The folder appears at once and
    complete, with _SEALED in it; the same command again does nothing when it is there.
    """
    return place.engine.materialise("exports", asked)


# ---- Room for others -----------------------------------------------------------------------------


class OneStage(Document):
    """Which stage, or part of one."""

    target_id: Annotated[Name, Field(description="The action batch.")]
    layout_id: Annotated[LayoutName, Field(description="Its layout, or a part of it: ID/PART.")]


class OnePackage(Document):
    """Which package of the outbox."""

    package: Annotated[Name, Field(description="The package's name.")]


class StageOutputWish(StageOutputRequest):
    """Make the folder that a program writes into; its names are checked here."""

    target_id: Annotated[Name, Field(description="The action batch.")]
    layout_id: Annotated[LayoutName, Field(description="Its layout, or a part of it: ID/PART.")]


@operation(
    "storage.stage_output",
    role="operator",
    kind="change",
    route="POST /storage/stages/output",
    is_private=True,
)
def stage_output(place: Serving, _caller: Caller, asked: StageOutputWish) -> StageOutputAnswer:
    """Make the folder that a program writes into, with room reserved; again it is kept."""
    reservation = place.outputs.open(asked)
    return StageOutputAnswer(
        path=str(place.outputs.folder(asked.target_id, asked.layout_id)),
        quota_reservation_id=reservation.id,
        reserved_bytes=reservation.size_bytes,
    )


@operation(
    "storage.release_stage",
    role="operator",
    kind="work",
    route="DELETE /storage/stages/{target_id}/{layout_id:path}",
    is_private=True,
)
def release_stage(place: Serving, _caller: Caller, asked: OneStage) -> JobStatus:
    """Remove a stage (copy or view) with its output; it may be gone already."""
    from fsd.engine.stage_output import release_stage

    return release_stage(place.engine, place.outputs, asked.target_id, asked.layout_id).status()


@operation(
    "storage.reserve_outbox",
    role="operator",
    kind="change",
    route="POST /storage/outbox",
    is_private=True,
)
def reserve_outbox(place: Serving, _caller: Caller, asked: OutboxRoomRequest) -> None:
    """Promise room in the outbox (3B) for a package; the same name again takes the place."""
    place.outbox.reserve(asked)


@operation(
    "storage.release_outbox",
    role="operator",
    kind="change",
    route="DELETE /storage/outbox/{package}",
    is_private=True,
)
def release_outbox(place: Serving, _caller: Caller, asked: OnePackage) -> None:
    """Give back what a package did not need; what lies there counts by itself."""
    place.outbox.release(asked.package)


# ---- Views ---------------------------------------------------------------------------------------


def _parts(name: str) -> tuple[str, str, str]:
    parts = name.strip("/").split("/")
    if len(parts) in (3, 4) and parts[0] in ("stage", "exports", "browse"):
        return parts[0], parts[1], "/".join(parts[2:])
    raise ValueError(
        f"{name!a} is not a view: its name is KIND/ID/LAYOUT with KIND stage, exports or "
        "browse; `drystone views` lists them"
    )


def _checked_view(name: str) -> str:
    kind, view_id, layout_id = _parts(name)
    check = check_layout if kind == "stage" else check_identifier
    if reason := check_identifier(view_id) or check(layout_id):
        raise ValueError(f"{name!a} is not a view: {reason}")
    return name


class ViewName(Document):
    """A view by its path below the mount."""

    name: Annotated[
        str,
        AfterValidator(_checked_view),
        Field(description="As `drystone views` lists it: exports/ID/LAYOUT.", max_length=4_096),
    ]


class UnpublishedAnswer(Document):
    """A view that is no longer published."""

    name: str
    unpublished: bool = True


def _show_views(found: list[ViewStatus], _asked: NoRequest) -> None:
    rows = [
        (view.name, f"{view.files:,}", size_text(view.size_bytes), time_text(view.created))
        for view in found
    ]
    write_table(("view", ">files", ">size", "created"), rows)


@operation(
    "view.list",
    role="viewer",
    kind="question",
    route="GET /storage/views",
    cli=Cli(command="views", show=_show_views),
)
def views(place: Serving, _caller: Caller, _asked: NoRequest) -> list[ViewStatus]:
    """List the published views.

    A view is a folder of the mount that uses no space.
    """
    from fsd.store.job import timestamp

    store = place.engine.store
    # As the catalog has them: a damaged index, or one that is behind, might hide some.
    with store.lock:
        rows = sorted(store.shards.state.views.values(), key=lambda row: row.name)
    return [
        ViewStatus(
            name=row.name,
            kind=row.kind,  # pyright: ignore[reportArgumentType]
            view_id=row.view_id,
            layout_id=row.layout_id,
            manifest_key=row.manifest_key,
            created=timestamp(row.created_ns / 1e9),
            files=row.document.get("actual_files", 0),
            size_bytes=row.document.get("actual_bytes", 0),
        )
        for row in rows
    ]


@operation(
    "view.unpublish",
    role="operator",
    kind="change",
    route="DELETE /storage/views/{name:path}",
    cli=Cli(
        command="unpublish",
        positional=("name",),
        metavars={"name": "NAME"},
        show=lambda answer, _: say(f"{answer.name} is no longer published"),
    ),
)
def unpublish(place: Serving, _caller: Caller, asked: ViewName) -> UnpublishedAnswer:
    """Take a view out of the mount.

    The stored files stay.
    """
    from fsd.export import materialise

    kind, view_id, layout_id = _parts(asked.name)
    materialise.unpublish(place.engine.store, kind, view_id, layout_id)
    return UnpublishedAnswer(name=f"{kind}/{view_id}/{layout_id}")
