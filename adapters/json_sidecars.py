"""JSON files as scrapers leave them: it owns telling one value from lines of values, and no format.

`.jsonl` and `.ndjson` hold a value per line; so does many a file that is called `.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.errors import RecordError
from adapters.folder import ScrapeFolder

ENDINGS = (".json", ".jsonl", ".ndjson")


def record_paths(folder: ScrapeFolder) -> list[str]:
    """Return the JSON files of a folder; `_READY.json` and other names with `_` are signals."""
    paths = folder.with_suffix(*ENDINGS)
    return [path for path in paths if not path.rpartition("/")[2].startswith("_")]


def values_of(folder: ScrapeFolder, path: str) -> Iterator[tuple[int, Any]]:
    """Yield (number, value or RecordError); the number is -1 when the file is one value."""
    if path.lower().endswith(".json"):
        try:
            yield -1, folder.read_json(path)
            return
        except RecordError as error:
            if not _holds_lines(folder, path):
                yield -1, error
                return
    yield from folder.read_json_lines(path)


def _holds_lines(folder: ScrapeFolder, path: str) -> bool:
    first_lines = [line for (_, line), _ in zip(folder.read_json_lines(path), "12", strict=False)]
    return len(first_lines) == 2 and all(isinstance(line, dict) for line in first_lines)
