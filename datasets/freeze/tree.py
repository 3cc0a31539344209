"""The tree of a dataset: it owns how a layout's entries, sidecars and `dataset.json` are one tree.

Every row goes through the layout once; nothing is kept of it but a line of the manifest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from datasets.choice.choose import Cancelled, Chosen, Progress, describe, stop_if
from datasets.definition.errors import DatasetError, RefusedError
from datasets.freeze.manifest import TEXT_SIZE_BYTES_MAX, ManifestSummary, ManifestWriter
from datasets.freeze.work import Work
from datasets.layout.face import (
    DatasetRow,
    GeneratedFile,
    InlineText,
    LayoutContext,
    LayoutEntry,
    Staged,
    StoredFile,
)

DESCRIPTION_NAME = "dataset.json"
MANIFEST_NAME = "manifest.jsonl"
PROGRESS_ROWS = 5_000
ROWS_REMEMBERED_MAX = 10_000
"""So many rows a layout may read ahead of the entry of a row, where there are sidecars."""


def write_manifest(
    chosen: Chosen, work: Work, progress: Progress, cancelled: Cancelled
) -> ManifestSummary:
    """Write the manifest of the whole tree into the work folder; generated files are stored.

    RefusedError when names collide, or when a layout leaves files out or takes them twice.
    """
    manifest = ManifestWriter(work.folder)
    context = context_of(chosen, work.layout_folder, work.staged)
    rows = _Counted(chosen.rows(), progress, cancelled)
    sidecars = _Sidecars(chosen)
    placed = 0
    for entry in chosen.layout.entries(sidecars.remembering(rows), context):
        match entry:
            case StoredFile():
                placed += 1
                manifest.add_object(*entry)
                for text in sidecars.of(entry):
                    manifest.add_text(*text)
            case InlineText():
                manifest.add_text(*entry)
            case GeneratedFile():
                work.take(entry, manifest)
    _check_counts(chosen, rows.count, placed)
    if chosen.definition.sidecars.describe:
        _add_description(chosen, work, manifest)
    work.flush()
    progress("sorting the manifest", rows.count)
    return manifest.finish(os.path.join(work.folder, MANIFEST_NAME))


def context_of(chosen: Chosen, work_folder: str, staged: Staged) -> LayoutContext:
    """Return what a layout knows beside the rows."""
    counts = {name: total.files for name, total in chosen.report.splits.items() if total.files}
    return LayoutContext(
        definition=chosen.definition,
        name=chosen.definition.name,
        classes=chosen.classes,
        splits=tuple(counts),
        counts=counts,
        options=chosen.definition.layout.options,
        work_folder=work_folder,
        staged=staged,
        class_numbers={name: number for number, name in enumerate(chosen.classes)},
    )


class _Counted:
    """Rows on their way: it counts them, tells the progress, and stops when asked."""

    def __init__(
        self, rows: Iterable[DatasetRow], progress: Progress, cancelled: Cancelled
    ) -> None:
        self._rows, self._progress, self._cancelled = rows, progress, cancelled
        self.count = 0

    def __iter__(self) -> Iterator[DatasetRow]:
        for row in self._rows:
            if self.count % PROGRESS_ROWS == 0:
                stop_if(self._cancelled)
                self._progress("laying out", self.count)
            self.count += 1
            yield row


class _Sidecars:
    """Small files beside each file of data; none unless the definition asks for them."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._wanted = chosen.definition.sidecars
        self._rows: dict[int, DatasetRow] = {}

    def remembering(self, rows: Iterable[DatasetRow]) -> Iterable[DatasetRow]:
        """Pass rows on, and remember them until their entries come."""
        if self._wanted.per_file == "none":
            return rows
        return self._remember(rows)

    def _remember(self, rows: Iterable[DatasetRow]) -> Iterator[DatasetRow]:
        for row in rows:
            self._rows[row.node_id] = row
            if len(self._rows) > ROWS_REMEMBERED_MAX:
                raise RefusedError(
                    f"the layout {self._chosen.layout.layout_id} has no place for sidecars; write "
                    "sidecars.per_file: none"
                )
            yield row

    def of(self, entry: StoredFile) -> Iterator[InlineText]:
        """Yield the sidecar of a file."""
        row = self._rows.pop(entry.node_id, None)
        if row is None:
            return
        stem = os.path.splitext(entry.path)[0]
        if self._wanted.per_file == "json":
            text = json.dumps(_facts(row), ensure_ascii=False, sort_keys=True) + "\n"
            yield InlineText(f"{stem}.json", text, row.node_id)
        elif self._wanted.caption is not None:
            caption = row.metadata.get(self._wanted.caption)
            if caption is not None:
                yield InlineText(f"{stem}.txt", f"{caption}\n", row.node_id)


def _facts(row: DatasetRow) -> dict[str, Any]:
    facts: dict[str, Any] = {"key": row.key, "split": row.split, "labels": list(row.labels)}
    if row.metadata:
        facts["metadata"] = dict(row.metadata)
    if row.width is not None and row.height is not None:
        facts |= {"width": row.width, "height": row.height}
    if row.boxes:
        facts["boxes"] = [box.as_json() for box in row.boxes]
    return facts


def _check_counts(chosen: Chosen, read: int, placed: int) -> None:
    """Refuse a tree that is not the dataset; only shards hold files without an entry of theirs."""
    layout, files = chosen.layout, chosen.report.files
    if read != files:
        raise DatasetError(f"the layout {layout.layout_id} read {read:,} of {files:,} files")
    if placed > files or (placed < files and not layout.reads_bytes):
        raise DatasetError(f"the layout {layout.layout_id} placed {placed:,} of {files:,} files")


def _add_description(chosen: Chosen, work: Work, manifest: ManifestWriter) -> None:
    text = json.dumps(describe(chosen), ensure_ascii=False, indent=1) + "\n"
    if len(text.encode()) <= TEXT_SIZE_BYTES_MAX:
        manifest.add_text(DESCRIPTION_NAME, text, None)
        return
    path = os.path.join(work.layout_folder, DESCRIPTION_NAME)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    work.take(GeneratedFile(DESCRIPTION_NAME, path), manifest)


def sample_paths(chosen: Chosen, rows: Iterable[DatasetRow], folder: str) -> list[str]:
    """Return where a layout would put these rows; nothing for one that makes shards of them."""
    if chosen.layout.reads_bytes:
        return []
    entries: Iterable[LayoutEntry] = chosen.layout.entries(rows, context_of(chosen, folder, _none))
    return [entry.path for entry in entries]


def _none(rows: Any) -> Any:
    raise DatasetError("nothing is staged for a preview")
