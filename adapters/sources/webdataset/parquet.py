"""Parquet lists of img2dataset: it owns reading their rows where pyarrow is installed.

pyarrow is large and comes with the extra `parquet`; without it such a file is a Problem that says
so.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import BatchChangedError, RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Observation, Problem, Record
from adapters.sources.labelled_columns import node_of_row, understand

SOURCE = "labelled_file"
BATCH_ROWS = 1_000


def parquet_records(folder: ScrapeFolder, path: str) -> Iterator[Record | Problem]:
    """Yield one record of every row."""
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        yield Problem(path, -1, "Parquet needs pyarrow: install the extra `parquet`, then replay")
        return
    number = 0
    try:
        with folder.open(path) as file:
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
                for value in batch.to_pylist():
                    yield _record(path, number, _as_json(value))
                    number += 1
    except BatchChangedError:
        raise
    except Exception as error:
        # pyarrow's errors have no common root beside Exception.
        yield Problem(path, number, f"no readable Parquet: {str(error)[:200]!a}")


def _record(path: str, number: int, value: dict[str, Any]) -> Record | Problem:
    said = understand(value)
    try:
        node = describe("web", "media", said.url) if said.url else node_of_row(value)
    except RecordError as error:
        return Problem(path, number, str(error))
    meta = {**said.meta, "layout": "webdataset"}
    own = Observation(node, SOURCE, True, said.title, said.view, said.time, None, meta)
    return Record(path, number, node, (own,), (), value)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
