"""Parquet: `index/SPLIT-00000.parquet` beside the files in `files/SPLIT/KEY.EXTENSION`.

The columns are path, node_id, key, size_bytes, media_type, split, label, width, height, labels, and
the metadata of the definition. Those are text unless `types` says otherwise (integer, number,
boolean, text); a value that is none becomes null. `rows_max` bounds the rows of one file. Needs the
extra `parquet`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from datasets.definition.definition import Definition
from datasets.layout.face import DatasetRow, GeneratedFile, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import (
    Options,
    by_split,
    facts,
    merged,
    metadata_names,
    option_problems,
    options_of,
)

if TYPE_CHECKING:
    import pyarrow

ROWS_MAX = 1_000_000
GROUP_ROWS = 20_000
"""Rows that are held in memory, and the size of a row group."""

Type = Literal["integer", "number", "boolean", "text"]


class ParquetOptions(Options):
    """See the module."""

    types: dict[str, Type] = Field(default_factory=dict[str, Type])
    rows_max: Annotated[int, Field(ge=1, le=100_000_000)] = ROWS_MAX
    compression: Literal["none", "snappy", "zstd"] = "snappy"


class ParquetLayout:
    """See the module."""

    layout_id = "parquet"
    summary = "files/ and a Parquet index for pyarrow, pandas, polars, Hugging Face"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse types of metadata that the definition does not have."""
        problems = option_problems(ParquetOptions, definition)
        if not problems:
            options = ParquetOptions.model_validate(definition.layout.options)
            problems = [
                f"layout.options.types.{name}: not among `metadata`"
                for name in options.types
                if name not in definition.metadata
            ]
        if importlib.util.find_spec("pyarrow") is None:
            problems.append(
                "layout: parquet needs pyarrow: call `.venv/bin/python -m pip install -e "
                "'.[parquet]'` in the folder of Drystone"
            )
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the files of each split, and each index file as soon as it is full."""
        options = options_of(ParquetOptions, context)
        for split, members in by_split(rows):
            table = _Table(context, options, split)
            for row in members:
                path = f"files/{split}/{row.file_name}"
                yield data_path(row, path)
                full = table.add(path, row)
                if full is not None:
                    yield full
            last = table.close()
            if last is not None:
                yield last


class _Table:
    """The index files of one split, of which at most one is open."""

    def __init__(self, context: LayoutContext, options: ParquetOptions, split: str) -> None:
        self.context = context
        self.options = options
        self.split = split
        self.names = metadata_names(context.definition)
        self.schema = _schema(self.names, options)
        self.number = 0
        self.rows = 0
        self._writer: Any = None
        self._held: list[dict[str, Any]] = []

    def add(self, path: str, row: DatasetRow) -> GeneratedFile | None:
        own = {"path": path, **facts(row), "labels": list(row.labels)}
        known = {
            name: _typed(row.metadata.get(name), self.options.types.get(name, "text"))
            for name in self.names
        }
        self._held.append(merged(own, known))
        self.rows += 1
        if len(self._held) == GROUP_ROWS:
            self._flush()
        return self.close() if self.rows == self.options.rows_max else None

    def close(self) -> GeneratedFile | None:
        """End the open file; None when there is none."""
        if self.rows == 0:
            return None
        self._flush()
        self._writer.close()
        done = GeneratedFile(f"index/{self._name}", self._local_path)
        self._writer, self.rows = None, 0
        self.number += 1
        return done

    @property
    def _name(self) -> str:
        return f"{self.split}-{self.number:05d}.parquet"

    @property
    def _local_path(self) -> str:
        return os.path.join(self.context.work_folder, self._name)

    def _flush(self) -> None:
        import pyarrow
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(
                self._local_path, self.schema, compression=self.options.compression
            )
        if self._held:
            self._writer.write_table(pyarrow.Table.from_pylist(self._held, self.schema))
            self._held = []


def _schema(names: list[str], options: ParquetOptions) -> pyarrow.Schema:
    import pyarrow

    types = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "text": pyarrow.string(),
    }
    own = dict.fromkeys(("path", "key", "media_type", "split", "label"), types["text"])
    own |= dict.fromkeys(("node_id", "size_bytes"), types["integer"])
    own |= dict.fromkeys(("width", "height"), pyarrow.int32())
    own |= {"labels": pyarrow.list_(types["text"])}
    order = ("path", *facts(_NO_ROW), "labels")
    columns = merged(
        {name: own[name] for name in order},
        {name: types[options.types.get(name, "text")] for name in names},
    )
    return pyarrow.schema(list(columns.items()))


def _typed(value: Any, kind: Type) -> Any:
    """Return the value as what its column holds; None when it is none."""
    if value is None:
        return None
    try:
        if kind == "boolean":
            return value if isinstance(value, bool) else None
        if kind == "integer":
            whole = int(value)
            return whole if -(2**63) <= whole < 2**63 else None
        return float(value) if kind == "number" else str(value)
    except (ValueError, OverflowError):
        return None


_NO_ROW = DatasetRow(0, 0, "", 0, "", "", "", (), 0)

LAYOUT = ParquetLayout()
