"""Retiring: it owns that a version is exported and pinned no more; its manifest stays readable.

Views are taken out of the mount, and the manifest is unpinned: a purge may then take what nothing
else holds. Copies are removed only when that is asked for, and only folders that say themselves
that they are this export.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from base.config import find_config
from datasets.definition.errors import DatasetError
from datasets.definition.names import parse_name, pin_name
from datasets.versions.exports import client_of
from datasets.versions.verification import manifest_of
from fsd import NotFoundError, load_config

if TYPE_CHECKING:
    from sql import Database, DatasetExport


class Retired(BaseModel):
    """What was taken back; `left` are copies that are still there."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    retired_now: bool
    unpublished: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]


def retire(
    config_path: str, database: Database, name: str, *, remove_copies: bool = False
) -> Retired:
    """Retire a version, `NAME@3` or the newest; safe to repeat."""
    version = database.datasets.version(*parse_name(name))
    unpublished: list[str] = []
    removed: list[str] = []
    left: list[str] = []
    # First the version: nobody exports it again meanwhile.
    retired_now = database.datasets.retire(version.dataset_version_id)
    for export in database.datasets.exports(version.dataset_version_id):
        if export.state == "removed":
            continue
        if export.mode == "view":
            _unpublish(config_path, export)
            unpublished.append(export.dataset_export_id)
        elif remove_copies:
            remove_copy(config_path, export)
            removed.append(export.dataset_export_id)
        else:
            left.append(export.target_root or export.dataset_export_id)
            continue
        database.datasets.change_export(export.dataset_export_id, "removed")
    with suppress(NotFoundError):  # A retirement that was cut off had unpinned it.
        client_of(config_path).unpin(pin_name(version.name, version.manifest_key))
    return Retired(
        name=version.name,
        version=version.version,
        retired_now=retired_now,
        unpublished=tuple(unpublished),
        removed=tuple(removed),
        left=tuple(left),
    )


def _unpublish(config_path: str, export: DatasetExport) -> None:
    client = client_of(config_path)
    known = {view.name for view in client.views()}
    if f"exports/{export.dataset_export_id}/{export.layout_id}" in known:
        client.unpublish("exports", export.dataset_export_id, export.layout_id)


def remove_copy(config_path: str, export: DatasetExport) -> None:
    """Remove the folder of an export from the SSD; it may be gone already."""
    area = load_config(find_config(config_path)).area_path("3d")
    folder = os.path.join(area, export.dataset_export_id, export.layout_id)
    if not os.path.lexists(folder):
        return
    if os.path.realpath(folder) != os.path.join(os.path.realpath(area), *folder.split("/")[-2:]):
        raise DatasetError(f"{folder} is a link; remove it yourself")
    if manifest_of(folder) != export.manifest_key:
        raise DatasetError(f"{folder} was made of another manifest; remove it yourself")
    # The seal first: what is half removed must not look whole.
    os.unlink(os.path.join(folder, "_SEALED"))
    shutil.rmtree(folder)
    if not os.listdir(os.path.dirname(folder)):
        os.rmdir(os.path.dirname(folder))
