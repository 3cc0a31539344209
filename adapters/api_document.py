"""API responses saved in a folder: it owns finding and parsing the documents, and no format.

A document is recognised by what is in it: a first `{` or `[` is JSON (or JSON Lines), a first `<`
is XML. XML is parsed without entities and without anything external; a bomb is a Problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.errors import LimitError, RecordError
from adapters.folder import (
    JSON_DEPTH_MAX,
    MIB,
    ScrapeFolder,
    decode_text,
    extension_of,
    parse_json,
)
from adapters.items import Problem

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SNIFF_FILES_MAX = 8
SNIFF_BYTES_MAX = 16 * MIB
PEEK_BYTES = 256
# Files that cannot be responses are told by their extension, so that a million pictures stay shut.
_MEDIA_EXTENSIONS_TEXT = """
jpg jpeg jpe jfif png gif webp avif heic heif bmp tif tiff svg psd raw dng jxl ico
mp4 m4v webm mkv mov avi ogv flv mpg mpeg wmv ts 3gp mp3 ogg oga opus wav flac m4a aac wma mid
zip rar 7z tar gz tgz bz2 xz zst pdf epub part srt vtt ass lrc
"""
MEDIA_EXTENSIONS = frozenset(_MEDIA_EXTENSIONS_TEXT.split())
LINES_EXTENSIONS = ("jsonl", "ndjson")


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed response; `is_whole_file` is false for a line of JSON Lines."""

    path: str
    value: Any
    is_whole_file: bool = True


def candidates(folder: ScrapeFolder) -> list[str]:
    """Return the paths that could be responses, sorted."""
    return [path for path in folder.paths if extension_of(path) not in MEDIA_EXTENSIONS]


def sniff_paths(folder: ScrapeFolder) -> list[str]:
    """Return a few candidates of moderate size, spread over the folder."""
    paths = [p for p in candidates(folder) if folder.files[p].size_bytes <= SNIFF_BYTES_MAX]
    return paths[:: max(1, -(-len(paths) // SNIFF_FILES_MAX))][:SNIFF_FILES_MAX]


def documents(
    folder: ScrapeFolder, kinds: frozenset[str], paths: list[str] | None = None
) -> Iterator[Document | Problem]:
    """Yield the documents of these kinds ("json", "xml"), sorted by path.

    A file that is neither is passed over, unless its extension says that it ought to be.
    """
    for path in candidates(folder) if paths is None else paths:
        kind = _kind_of(folder, path)
        if kind not in kinds:
            continue
        try:
            yield from _json(folder, path) if kind == "json" else _xml(folder, path)
        except RecordError as error:
            yield Problem(path, -1, str(error))


def _kind_of(folder: ScrapeFolder, path: str) -> str | None:
    with folder.open(path) as file:
        head = file.read(PEEK_BYTES)
    extension = extension_of(path)
    # UTF-16 puts a NUL beside every ASCII character; without them the first sign is plain to see.
    text = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf")
    first = text.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").lstrip()[:1]
    if extension == "json" or extension in LINES_EXTENSIONS or first in (b"{", b"["):
        return "json"
    if extension in ("xml", "rss") or first == b"<":
        return "xml"
    return None


def _json(folder: ScrapeFolder, path: str) -> Iterator[Document | Problem]:
    if extension_of(path) in LINES_EXTENSIONS:
        yield from _lines(folder, path)
        return
    try:
        value = folder.read_json(path)
    except RecordError as error:
        # JSON Lines are often called .json; they are told by their second line being a value too.
        lines = list(_lines(folder, path)) if "Extra data" in str(error) else []
        if sum(isinstance(line, Document) for line in lines) < 2:
            raise
        yield from lines
        return
    yield Document(path, value)


def _lines(folder: ScrapeFolder, path: str) -> Iterator[Document | Problem]:
    for number, value in folder.read_json_lines(path):
        if isinstance(value, RecordError):
            yield Problem(path, number, f"line {number + 1}: {value}")
        else:
            yield Document(path, value, is_whole_file=False)


def _xml(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    root = parse_xml(folder.read_bytes(path))
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > JSON_DEPTH_MAX:
            raise LimitError(f"nested deeper than {JSON_DEPTH_MAX}")
        level = [child for element in level for child in element]
    yield Document(path, root)


def parse_xml(data: bytes) -> Element:
    """Return the root of an XML text; RecordError when it is broken or brings entities along."""
    try:
        return fromstring(data)
    except DefusedXmlException as error:
        raise RecordError(f"XML with entities of its own is refused: {error}") from error
    except ParseError as error:
        first = error
    except (ValueError, LookupError) as error:
        raise RecordError(f"no valid XML: {error}") from error
    try:
        # A wrong or missing declaration of the encoding: read the text as we read any other.
        return fromstring(decode_text(data).partition("?>")[2].encode())
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise RecordError(f"no valid XML: {first}") from first


def read_json_text(text: str) -> Any:
    """Return the JSON value of a text inside a record; None when it is none."""
    try:
        return parse_json(text)
    except RecordError:
        return None
