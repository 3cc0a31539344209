"""Files and a table: `files/SPLIT/KEY.EXTENSION` and one `SPLIT.csv` per split.

The columns are path, node_id, key, size_bytes, media_type, split, label, width, height and the
metadata of the definition. Several labels are joined by `label_separator`. What is unknown is an
empty field. `delimiter` is one character, or `tab`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import StringConstraints

from datasets.definition.definition import Definition
from datasets.layout.face import DatasetRow, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import (
    IndexFile,
    Options,
    by_split,
    facts,
    merged,
    metadata_names,
    option_problems,
    options_of,
)


class CsvOptions(Options):
    """See the module."""

    delimiter: Annotated[str, StringConstraints(pattern=r"^([,;|]|tab)$")] = ","
    label_separator: Annotated[str, StringConstraints(min_length=1, max_length=3)] = "|"


class CsvLayout:
    """See the module."""

    layout_id = "csv_table"
    summary = "files/SPLIT/KEY.EXTENSION and a SPLIT.csv for each split"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse options that are none."""
        return option_problems(CsvOptions, definition)

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the files of each split, then its table."""
        options = options_of(CsvOptions, context)
        delimiter = "\t" if options.delimiter == "tab" else options.delimiter
        names = metadata_names(context.definition)
        for split, members in by_split(rows):
            index = IndexFile(context, f"{split}.csv")
            with index as file:
                table = csv.writer(file, delimiter=delimiter, lineterminator="\n")
                header = merged({"path": None, **facts(_NO_ROW)}, dict.fromkeys(names))
                table.writerow(header)
                for row in members:
                    path = f"files/{split}/{row.file_name}"
                    own: dict[str, Any] = {"path": path, **facts(row)}
                    own["label"] = options.label_separator.join(row.labels) or None
                    values = merged(own, {name: row.metadata.get(name) for name in names})
                    table.writerow("" if value is None else value for value in values.values())
                    yield data_path(row, path)
            yield index.entry


_NO_ROW = DatasetRow(0, 0, "", 0, "", "", "", (), 0)

LAYOUT = CsvLayout()
