"""Documents in a folder: it owns finding and parsing JSON, JSON5, lines and XML, and no format.

A file is known by its extension; where that says nothing, by its first character. Many a file that
is called .json holds one document per line. A broken line costs itself only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import json5

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import (
    RECORD_BYTES_MAX,
    ScrapeFolder,
    extension_of,
    is_packed,
    parse_json,
    unpacked_name,
)
from adapters.sources.reading.xml import parse_xml

JSON = frozenset({"json"})
JSON_AND_XML = frozenset({"json", "xml"})
KINDS = {
    "json": "json",
    "json5": "json",
    "jsonl": "json",
    "ndjson": "json",
    "xml": "xml",
    "rss": "xml",
}
"""What an extension says that a file holds."""
LINE_SUFFIXES = (".jsonl", ".ndjson")
PEEK_BYTES = 256
LINES_TRIED_MAX = 5
"""So many lines are tried to tell JSON Lines, because the first of them may be the broken one."""
JSON5_BYTES_MAX = 256 << 10
"""JSON with comments is read by a slow parser, about 10 s for this much."""
JSON5_LISTS_MAX = 20_000
_JSON5_SIGNS = re.compile(r"(?<!:)//|/\*|,\s*[\]}]|(?:\{|,\s*\n)\s*(?:'|[A-Za-z_$][\w$]*\s*:)")
"""Comments, trailing commas, other quotes or none: a file that is only cut off is not tried."""
READY_NAME = "_ready.json"
"""What signals that a folder is complete; it is no record."""

# Files that cannot be documents are told by their extension, so that a million pictures stay shut.
_OTHERS_TEXT = """
jpg jpeg jpe jfif png gif webp avif heic heif bmp tif tiff svg psd raw dng jxl ico
mp4 m4v webm mkv mov avi ogv flv mpg mpeg wmv ts 3gp mp3 ogg oga opus wav flac m4a aac wma mid
zip rar 7z tar gz tgz bz2 xz zst pdf epub part srt vtt ass lrc tgs sqlite db
"""
MEDIA_EXTENSIONS = frozenset(_OTHERS_TEXT.split())
_TEXTS_TEXT = "csv tsv html htm md css js yaml yml toml ini log"
TEXT_EXTENSIONS = frozenset(_TEXTS_TEXT.split())


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed value of a file: JSON, an XML element, or a RecordError that says why it is none.

    `line` counts from 1 in files of lines; None when the value is the whole file.
    """

    folder: ScrapeFolder
    path: str
    value: Any
    line: int | None = None

    def because(self, reason: object) -> str:
        """Return a reason with the line that it is about, for a person to find it."""
        return str(reason) if self.line is None else f"line {self.line}: {reason}"


def candidates(folder: ScrapeFolder) -> list[str]:
    """Return the paths that could hold text of any kind, sorted."""
    return folder.once(
        "candidates",
        lambda: [path for path in folder.paths if _extension(path) not in MEDIA_EXTENSIONS],
    )


def _extension(path: str) -> str:
    """Return the extension of a path, below that of what packed it where that is a document."""
    inside = extension_of(unpacked_name(path))
    return inside if KINDS.get(inside) == "json" else extension_of(path)


def document_paths(folder: ScrapeFolder, kinds: frozenset[str] = JSON) -> Iterator[str]:
    """Yield the paths of all documents of these kinds, sorted."""
    return (path for path in candidates(folder) if kind_of(folder, path) in kinds)


def likely_paths(
    folder: ScrapeFolder, kinds: frozenset[str] = JSON, count_max: int = 12
) -> list[str]:
    """Return a few documents, spread over the folder, those without a telling name included."""
    return folder.once(
        ("likely", kinds, count_max), lambda: _likely_paths(folder, kinds, count_max)
    )


def _likely_paths(folder: ScrapeFolder, kinds: frozenset[str], count_max: int) -> list[str]:
    named, others = list[str](), list[str]()
    for path in candidates(folder):
        if _says_nothing(path):
            others.append(path)
        elif not _is_signal(path) and KINDS.get(_extension(path)) in kinds:
            named.append(path)
    found = [path for path in spread(others, count_max) if kind_of(folder, path) in kinds]
    return sorted([*spread(named, count_max), *found])


def spread(paths: Sequence[str], count_max: int) -> Sequence[str]:
    """Return a few of the paths, evenly from first to last: one foreign folder must not decide."""
    step = max(1, -(-len(paths) // count_max))
    return paths[::step]


def kind_of(folder: ScrapeFolder, path: str) -> str | None:
    """Return "json" or "xml", or None for what is neither; reads a few bytes where it must."""
    if _is_signal(path):
        return None
    if not _says_nothing(path):
        return KINDS.get(_extension(path))
    with folder.open(path) as file:
        head = file.read(PEEK_BYTES)
    # UTF-16 puts a NUL beside every ASCII character; without them the first sign is plain to see.
    text = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf")
    first = text.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").lstrip()[:1]
    return "json" if first in (b"{", b"[") else "xml" if first == b"<" else None


def _says_nothing(path: str) -> bool:
    extension = _extension(path)
    return not (extension in KINDS or extension in TEXT_EXTENSIONS or extension in MEDIA_EXTENSIONS)


def _is_signal(path: str) -> bool:
    return path.rpartition("/")[2].lower() == READY_NAME


def documents(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    """Yield the document of a file, or one of each of its lines. Never raises RecordError."""
    is_large = folder.files[path].size_bytes > RECORD_BYTES_MAX
    try:
        if kind_of(folder, path) == "xml":
            yield Document(folder, path, parse_xml(folder.read_bytes(path)))
        elif (
            unpacked_name(path).lower().endswith(LINE_SUFFIXES)
            or is_large
            or (is_packed(path) and _begins_with_a_line(folder, path))
        ):
            yield from _lines(folder, path)
        else:
            yield from _json(folder, path)
    except RecordError as error:
        yield Document(folder, path, error)


def _json(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    try:
        value = folder.read_json(path)
    except LimitError:
        raise
    except RecordError as error:
        text = folder.read_text(path)
        if holds_lines(text):
            yield from _lines(folder, path)
            return
        value = _read_json5(path, text, error)
    yield Document(folder, path, value)


def _begins_with_a_line(folder: ScrapeFolder, path: str) -> bool:
    """Tell whether a packed file holds lines, without unpacking more than the first of them."""
    first = next((value for _, value in folder.read_json_lines(path)), None)
    return isinstance(first, dict)


def _lines(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    for number, value in folder.read_json_lines(path):
        yield Document(folder, path, value, number + 1)


def holds_lines(text: str) -> bool:
    """Tell whether a text that is no JSON holds a document a line."""
    lines = [line for line in text.split("\n", 50)[:50] if line.strip()]
    if len(lines) < 2:
        return False
    for line in lines[:LINES_TRIED_MAX]:
        try:
            # A list without members also closes a list that was written over several lines.
            if isinstance(value := parse_json(line), dict) or (value and isinstance(value, list)):
                return True
        except RecordError:
            continue
    return False


def _read_json5(path: str, text: str, error: RecordError) -> Any:
    """Read JSON with comments, unquoted keys and trailing commas, as examples in manuals are."""
    is_small = len(text) <= JSON5_BYTES_MAX and text.count("[") <= JSON5_LISTS_MAX
    if not is_small or not (path.lower().endswith(".json5") or _JSON5_SIGNS.search(text)):
        return error
    value = _json5_value(text)
    return error if isinstance(value, RecordError) else value


@lru_cache(maxsize=16)
def _json5_value(text: str) -> Any:
    """Return the value or the RecordError; remembered, because every format is asked in turn."""
    try:
        # The strict parser reads the result once more, so that both have the same limits.
        return parse_json(json.dumps(json5.loads(text), allow_nan=False))
    except RecordError as error:
        return error
    except (ValueError, RecursionError, OverflowError) as error:
        return RecordError(f"no valid JSON5: {str(error)[:200]}")


def read_json_text(text: str) -> Any:
    """Return the JSON value of a text inside a record; None when it is none."""
    try:
        return parse_json(text)
    except RecordError:
        return None
