"""Exporting: it owns how a built version becomes a folder in 3D or in the mount, and what is kept.

The store makes the folder: sealed, resumable, within its quota, from the stored manifest. Here is
which version, under which id, whether its files may still be used, and the row that says so. An
export that was killed is begun again under the same id: the store goes on where it was.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from base.config import find_config
from base.errors import DrystoneError, UsageError
from base.text import size_text
from datasets.choice.choose import Cancelled, Progress, never, quiet, stop_if
from datasets.definition.definition import Definition
from datasets.definition.errors import CancelledError, DatasetError, RefusedError
from datasets.definition.names import parse_name
from fsd import Client, check_identifier, load_config

if TYPE_CHECKING:
    from sql import Database, DatasetVersion

Mode = Literal["copy", "view"]
EXAMPLES_MAX = 5


class ExportResult(BaseModel):
    """A folder that is whole; `already_sealed` when it was there."""

    model_config = ConfigDict(frozen=True)

    export_id: str
    layout_id: str
    mode: Mode
    target_root: str
    manifest_key: str
    files: int
    size_bytes: int
    already_sealed: bool
    copying_s: float | None = None


def export(
    config_path: str,
    name: str,
    *,
    mode: Mode | None = None,
    export_id: str | None = None,
    allow_deleted: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    database: Database | None = None,
) -> ExportResult:
    """Export a version (`NAME`, the newest, or `NAME@3`), as its definition says or as `mode`.

    The export's id is NAME-v3 (NAME-v3-view for a view) unless given. Safe to kill and to run
    again. Raises RefusedError for files that may not be used any more, and the store's errors:
    QuotaError before a byte is copied.
    """
    from sql import Database

    with ExitStack() as stack:
        opened = database or stack.enter_context(Database.open(config_path))
        book = opened.datasets
        version = book.version(*parse_name(name))
        if version.state == "retired":
            raise UsageError(
                f"{version.name}@{version.version} is retired; build its definition again"
            )
        _check_hidden(opened, version, allow_deleted)
        chosen_mode = mode or Definition.model_validate_json(version.definition).mode
        chosen_id = export_id or _default_id(version, chosen_mode)
        _check_id(chosen_id)
        book.begin_export(chosen_id, version, version.layout_id, chosen_mode)
        try:
            result = materialise(
                config_path,
                version.manifest_key,
                chosen_id,
                version.layout_id,
                chosen_mode,
                progress,
                cancelled,
            )
        except DrystoneError as error:
            book.change_export(chosen_id, "failed", reason=str(error)[:2_000])
            raise
        # Barrier: the folder is sealed. A crash before this leaves a row `running`, which the same
        # export again puts right at once.
        book.change_export(
            chosen_id,
            "sealed",
            target_root=result.target_root,
            copying_s=result.copying_s,
        )
        return result


def reproduce(
    config_path: str,
    manifest_key: str,
    *,
    export_id: str | None = None,
    layout_id: str = "reproduced",
    mode: Mode = "copy",
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> ExportResult:
    """Make the tree of a manifest again, byte for byte, from the store alone: no database is asked.

    NotFoundError of the store when it has no such object.
    """
    client = client_of(config_path)
    head = client.head(manifest_key)
    chosen_id = export_id or f"manifest-{head.key[:16]}"
    _check_id(chosen_id)
    return materialise(config_path, head.key, chosen_id, layout_id, mode, progress, cancelled)


def client_of(config_path: str) -> Client:
    """Return the client of a store."""
    return Client(load_config(find_config(config_path)).socket_path)


def materialise(
    config_path: str,
    manifest_key: str,
    export_id: str,
    layout_id: str,
    mode: Mode,
    progress: Progress,
    cancelled: Cancelled,
) -> ExportResult:
    """Let the store make a folder of a stored manifest, and wait until it is sealed."""
    client = client_of(config_path)
    _wait_for_former(client, f"{export_id}/{layout_id}")
    stop_if(cancelled)
    answer = client.export_to_3d(manifest_key, export_id, layout_id, mode, "by_node")
    if answer.manifest_key != manifest_key:
        client.cancel(answer.job_id)
        raise DatasetError(
            f"the store would make another tree of manifest {manifest_key}: one of its files is "
            "there twice; this is a mistake of Drystone"
        )

    def follow(job: Any) -> None:
        progress(job.phase or "copying", job.done_files)
        if cancelled() and job.state == "running":
            client.cancel(job.job_id)

    job = client.wait(answer.job_id, follow)
    if job.state == "cancelled":
        raise CancelledError("cancelled; the same export again goes on")
    if job.state != "done":
        raise DatasetError(f"the export {export_id} {job.state}: {job.error or 'see its report'}")
    copying_s = job.result.get("copying_s")
    return ExportResult(
        export_id=export_id,
        layout_id=layout_id,
        mode=mode,
        target_root=answer.target_root,
        manifest_key=answer.manifest_key,
        files=answer.expected_files,
        size_bytes=answer.expected_bytes,
        already_sealed=bool(job.result.get("already_sealed")),
        copying_s=copying_s,
    )


def _wait_for_former(client: Client, subject: str) -> None:
    """Let a job end that a killed run left in the engine: it makes the same folder."""
    for job in client.jobs():
        if job.state == "running" and job.kind == "exports" and job.description == subject:
            client.wait(job.job_id)


def _check_hidden(database: Database, version: DatasetVersion, allow_deleted: bool) -> None:
    hidden = database.datasets.hidden_members(version.dataset_version_id)
    black = [key for key, is_black in hidden if is_black]
    if black:
        raise RefusedError(
            f"{len(black):,} files of {version.name}@{version.version} are on the black list now, "
            f"and nothing was copied: {', '.join(black[:EXAMPLES_MAX])}; build a new version"
        )
    if hidden and not allow_deleted:
        listed = ", ".join(key for key, _ in hidden[:EXAMPLES_MAX])
        raise RefusedError(
            f"{len(hidden):,} files of {version.name}@{version.version} were deleted since it was "
            f"built, and nothing was copied: {listed}; build a new version, or take them as they "
            "were with --allow-deleted"
        )


def _default_id(version: DatasetVersion, mode: Mode) -> str:
    return f"{version.name}-v{version.version}" + ("-view" if mode == "view" else "")


def _check_id(export_id: str) -> None:
    reason = check_identifier(export_id)
    if reason:
        raise UsageError(f"{export_id!a} cannot be the id of an export: {reason}")


def room_text(files: int, size_bytes: int) -> str:
    """Return what an export holds as a person says it."""
    return f"{files:,} files, {size_text(size_bytes)}"
