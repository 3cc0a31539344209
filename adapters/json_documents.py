"""JSON files as scrapes hold them: it owns telling one document from JSON Lines, and no format.

Files named .json often hold one document per line, whatever their name says. A broken line costs
itself only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from adapters.errors import RecordError
from adapters.folder import MIB, RECORD_BYTES_MAX, ScrapeFolder, parse_json
from adapters.items import Sniff

LINE_SUFFIXES = (".jsonl", ".ndjson")
SNIFFED_FILES_MAX = 6
SNIFFED_BYTES_MAX = 8 * MIB
LINES_TRIED_MAX = 5
"""So many lines are tried to tell JSON Lines, because the first of them may be the broken one."""


class Document(NamedTuple):
    """One JSON value of a file, or why it is none; `line` counts from 1, None for a whole file."""

    line: int | None
    value: Any | RecordError


def documents(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    """Yield the document of a file, or one of each of its lines. Never raises RecordError."""
    size_bytes = folder.files[path].size_bytes
    if path.lower().endswith(LINE_SUFFIXES) or size_bytes > RECORD_BYTES_MAX:
        yield from _lines(folder, path)
        return
    text = folder.read_text(path)
    try:
        value: Any | RecordError = parse_json(text)
    except RecordError as error:
        if _looks_like_lines(text):
            yield from _lines(folder, path)
            return
        value = error
    yield Document(None, value)


def where(document: Document, reason: str) -> str:
    """Return the reason with the line that it is about, for a person to find it."""
    return reason if document.line is None else f"line {document.line}: {reason}"


def sniff_documents(
    folder: ScrapeFolder, recognises: Callable[[Any], bool], what: str, suffixes: Sequence[str]
) -> Sniff:
    """Tell from a few files, spread over the folder, how many of them `recognises` knows."""
    paths = [
        path
        for path in folder.with_suffix(*suffixes)
        if folder.files[path].size_bytes <= SNIFFED_BYTES_MAX
        or path.lower().endswith(LINE_SUFFIXES)
    ]
    if not paths:
        return Sniff(0.0, f"no {' or '.join(suffixes)} file")
    step = max(1, len(paths) // SNIFFED_FILES_MAX)
    chosen = paths[::step][:SNIFFED_FILES_MAX]
    known = sum(_first_known(folder, path, recognises) for path in chosen)
    reason = f"{known} of {len(chosen)} files tried hold {what}"
    share = known / len(chosen)
    if not known:
        return Sniff(0.0, reason)
    return Sniff(0.85 + 0.1 * share if share >= 0.5 else 0.2 + share, reason)


def _first_known(folder: ScrapeFolder, path: str, recognises: Callable[[Any], bool]) -> bool:
    for number, document in enumerate(documents(folder, path)):
        if number == LINES_TRIED_MAX:
            return False
        if not isinstance(document.value, RecordError) and recognises(document.value):
            return True
    return False


def _lines(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    for number, value in folder.read_json_lines(path):
        yield Document(number + 1, value)


def _looks_like_lines(text: str) -> bool:
    lines = [line for line in text.split("\n", 50)[:50] if line.strip()]
    if len(lines) < 2:
        return False
    for line in lines[:LINES_TRIED_MAX]:
        try:
            if isinstance(parse_json(line), dict):
                return True
        except RecordError:
            continue
    return False
