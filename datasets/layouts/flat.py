"""The plainest layout: `SPLIT/CLASS/KEY.EXTENSION`, nothing generated; for any reader of folders.

It owns no option. A file with several labels lies in the folder of its first class; files without
a label lie in `SPLIT/unlabelled/`, or in `SPLIT/` when the dataset has no labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from datasets.definition.definition import Definition
from datasets.layout.face import (
    UNLABELLED,
    DatasetRow,
    LayoutContext,
    LayoutEntry,
    component,
    data_path,
)


class FlatLayout:
    """See the module."""

    layout_id = "flat"
    summary = "SPLIT/CLASS/KEY.EXTENSION, nothing else"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse options: there are none."""
        return [f"layout.options.{name}: unknown" for name in definition.layout.options]

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield one path per row: in the folder of its first class."""
        labelled = context.definition.labels is not None
        for row in rows:
            folder = "" if not labelled else component(row.label) if row.label else UNLABELLED
            parts = [row.split, folder, row.file_name]
            yield data_path(row, "/".join(part for part in parts if part))


LAYOUT = FlatLayout()
