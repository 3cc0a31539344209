"""Preview: it owns what a person wants to know before a dataset is built, and copies nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from base.config import find_config
from datasets.choice.choose import Cancelled, Chosen, Progress, chosen, never, quiet
from datasets.choice.definition_file import definition_of
from datasets.choice.report import SplitsReport
from datasets.definition.definition import Definition
from datasets.freeze.tree import sample_paths
from datasets.versions.exports import client_of
from fsd import load_config

if TYPE_CHECKING:
    from sql import Database

SAMPLES_PER_CELL = 2
SAMPLES_MAX = 40
BLOCK_BYTES = 4_096
RATE_BYTES_PER_S_GUESSED = 80e6
FILES_PER_S_GUESSED = 1_000.0
"""Until an export was measured here: what four modest disks do with small files."""
EXPORTS_MEASURED_MAX = 5


class Sample(BaseModel):
    """One file as it would be."""

    model_config = ConfigDict(frozen=True)

    key: str
    split: str
    labels: tuple[str, ...]
    extension: str
    size_bytes: int
    metadata: dict[str, Any]


class Room(BaseModel):
    """Whether a copy fits into the exports area now; a view needs nothing. Quota 0 is none."""

    model_config = ConfigDict(frozen=True)

    needed_bytes: int
    quota_bytes: int
    used_bytes: int
    reserved_bytes: int
    partition_free_bytes: int
    fits: bool


class Preview(BaseModel):
    """What a dataset would be; `eta_s` is for a copy, measured on former exports where there are.

    `paths` are those of the samples in the layout's tree, none for shards.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    layout_id: str
    mode: str
    classes: tuple[str, ...]
    report: SplitsReport
    samples: tuple[Sample, ...]
    paths: tuple[str, ...]
    room: Room
    eta_s: float
    eta_measured: bool


def preview(
    config_path: str,
    definition: Definition | Mapping[str, Any] | str,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    *,
    database: Database | None = None,
) -> Preview:
    """Tell what a definition would give. Raises the same errors as `build`; keeps nothing."""
    from sql import Database

    wanted = definition_of(definition)
    with ExitStack() as stack:
        opened = database or stack.enter_context(Database.open(config_path))
        rate = _measured(opened)
        with chosen(opened, wanted, progress, cancelled, to_look=True) as found:
            return _preview(config_path, found, rate)


def _preview(config_path: str, found: Chosen, rate: tuple[float, float] | None) -> Preview:
    rows = list(found.rows(SAMPLES_PER_CELL))[:SAMPLES_MAX]
    with tempfile.TemporaryDirectory(prefix="drystone-preview-") as folder:
        paths = sample_paths(found, iter(rows), folder)
    report = found.report
    bytes_per_s, files_per_s = rate or (RATE_BYTES_PER_S_GUESSED, FILES_PER_S_GUESSED)
    return Preview(
        name=found.definition.name,
        layout_id=found.layout.layout_id,
        mode=found.definition.mode,
        classes=found.classes,
        report=report,
        samples=tuple(
            Sample(
                key=row.key,
                split=row.split,
                labels=row.labels,
                extension=row.extension,
                size_bytes=row.size_bytes,
                metadata=dict(row.metadata),
            )
            for row in rows
        ),
        paths=tuple(paths),
        room=_room(config_path, report.size_bytes + report.files * BLOCK_BYTES),
        eta_s=max(report.size_bytes / bytes_per_s, report.files / files_per_s),
        eta_measured=rate is not None,
    )


def _room(config_path: str, needed_bytes: int) -> Room:
    area = next(one for one in client_of(config_path).capacity().areas if one.area == "3d")
    state = os.statvfs(load_config(find_config(config_path)).area_path("3d"))
    free = state.f_bavail * state.f_frsize
    left = area.quota_bytes - area.used_bytes - area.reserved_bytes
    return Room(
        needed_bytes=needed_bytes,
        quota_bytes=area.quota_bytes,
        used_bytes=area.used_bytes,
        reserved_bytes=area.reserved_bytes,
        partition_free_bytes=free,
        fits=needed_bytes <= free and (not area.quota_bytes or needed_bytes <= left),
    )


def _measured(database: Database) -> tuple[float, float] | None:
    """Return bytes and files per second of the last copies; None before there were any."""
    copies = [
        (one.size_bytes, one.file_count, one.copying_s)
        for one in database.datasets.exports()
        if one.mode == "copy" and one.copying_s
    ][-EXPORTS_MEASURED_MAX:]
    seconds = sum(spent for _, _, spent in copies)
    if not seconds:
        return None
    size, files = sum(size for size, _, _ in copies), sum(files for _, files, _ in copies)
    return max(1.0, size / seconds), max(1.0, files / seconds)
