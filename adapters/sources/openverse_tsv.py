r"""Openverse's tab separated media tables: it owns their columns, which no header names.

The columns are told by their number and by what must be where: a licence, addresses, `\N` for
unknown, JSON in the cells of metadata and tags. Known are the tables for images (with or without
width, height and filesize), for sound, those with category and ingestion type behind, and a dump of
the image table. A row of another width is a Problem of its own; a repeated row says the same again.

A row is one medium. Its page is the post: several media can share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Any

from adapters.records.describe import describe, reference, username
from adapters.records.errors import RecordError
from adapters.records.folder import LINE_BYTES_MAX, decode_text
from adapters.records.items import Problem, Record, Sniff
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_text, as_texts, dig, first, mappings
from adapters.sources.reading.documents import candidates, read_json_text, spread
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.reading.open_licenses import license_of
from adapters.sources.schemas import open_media as schema

if TYPE_CHECKING:
    from adapters.records.folder import ScrapeFolder
    from sql import DeclaredTable

SNIFF_FILES_MAX = 8
SNIFF_ROWS_MAX = 20
NULL = "\\N"
_BEGIN = "foreign_id landing_url media_url thumbnail_url"
_MIDDLE = "license license_version creator creator_url title meta tags"
_END = "watermarked provider source"
_SOUND = (
    "ingestion_type duration bit_rate sample_rate genres set_id set_title set_position set_url "
    "set_thumbnail alternatives"
)
_BEHIND = (
    "",
    "ingestion_type",
    "ingestion_type file_type size_bytes_later",
    _SOUND,
    f"{_SOUND} size_bytes_later file_type",
)
_DUMP = (
    "identifier created_on updated_on ingestion_type provider_name foreign_id landing_url "
    "media_url thumbnail_url width height size_bytes license license_url_later license_version "
    "creator creator_url title provider source"
)
LAYOUTS = (
    *(
        tuple(" ".join((_BEGIN, size, _MIDDLE, category, _END, behind)).split())
        for size in ("width height size_bytes", "width height", "")
        for category in ("", "category")
        for behind in _BEHIND
    ),
    tuple(_DUMP.split()),
)
WIDTHS = sorted({len(layout) for layout in LAYOUTS})
_LICENSE = re.compile(r"by(-nc)?(-nd|-sa)?|cc0|pdm|publicdomain|(nc-)?sampling\+|devnations", re.I)
_NUMBER = re.compile(r"\d+")
_ADDRESS = re.compile(r"(?:https?:)?(?://)?[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:/|$)", re.I)
_TESTS = {
    "license": _LICENSE,
    "width": _NUMBER,
    "height": _NUMBER,
    "size_bytes": _NUMBER,
    "license_version": re.compile(r"\d\.\d|n/a", re.I),
    "watermarked": re.compile(r"[tf]|true|false", re.I),
    "provider": re.compile(r"[\w .-]{2,}"),
}
# Where the page's id is another than the medium's: providers with several media on a page.
_PAGE_IDS = {
    "met": re.compile(r"/search/(\d+)"),
    "thingiverse": re.compile(r"thing:(\d+)"),
    "phylopic": re.compile(r"/images?/([0-9a-f-]{36})"),
}
_CONTROL = re.compile(r"[\x00-\x1f]")
_FLICKR_USER = re.compile(r"flickr\.com/(?:photos|people)/(\d+@N\d\d)")


@dataclass(frozen=True, slots=True)
class OpenverseTsv:
    """The adapter of the tables."""

    name: str = "openverse-tsv"
    tables: tuple[DeclaredTable, ...] = (schema.TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at the first rows of a few files."""
        looked = claimed = 0
        for path in spread(candidates(folder), SNIFF_FILES_MAX):
            rows = list(islice(_rows(folder, path), SNIFF_ROWS_MAX))
            known = sum(layout_of(cells) is not None for cells in rows)
            looked += 1
            claimed += bool(known and known * 2 >= len(rows))
        if not claimed:
            return Sniff(0.0, "no table with Openverse's columns")
        return Sniff(
            round(0.95 * (0.5 + 0.5 * claimed / looked), 2),
            f"{claimed} of {looked} files have Openverse's columns",
        )

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield a Record or Problem for every row."""
        media = MediaFinder(folder)
        for path in candidates(folder):
            is_table = path.lower().endswith(".tsv") or any(
                layout_of(cells) for cells in islice(_rows(folder, path), SNIFF_ROWS_MAX)
            )
            if is_table:
                yield from _read(folder, media, path)


def _read(folder: ScrapeFolder, media: MediaFinder, path: str) -> Iterator[Record | Problem]:
    number = -1
    for number, cells in enumerate(_rows(folder, path)):
        draft = Draft(schema.TABLE.name, path, media)
        try:
            row = _row(cells)
            _medium(draft, row)
        except RecordError as error:
            yield Problem(path, number, f"row {number + 1}: {error}")
            continue
        yield draft.record(number, "\t".join(cells))
    if number < 0:
        yield Problem(path, -1, "a table without rows")


def _rows(folder: ScrapeFolder, path: str) -> Iterator[list[str]]:
    with folder.open(path) as file:
        while line := file.readline(LINE_BYTES_MAX):
            text = decode_text(line).rstrip("\r\n")
            if text:
                yield text.split("\t")


def layout_of(cells: list[str]) -> tuple[str, ...] | None:
    """Return the names of the columns of a row; None when it is no row of a known table."""
    for layout in LAYOUTS:
        if len(layout) == len(cells) and _fits(dict(zip(layout, cells, strict=True))):
            return layout
    return None


def _fits(row: dict[str, str]) -> bool:
    for name, pattern in _TESTS.items():
        cell = row.get(name, NULL)
        if cell != NULL and not pattern.fullmatch(cell):
            return False
    for name in ("landing_url", "media_url"):
        if row[name] != NULL and not _ADDRESS.match(row[name]):
            return False
    cells = (row.get("meta", NULL), row.get("tags", NULL))
    if any(cell != NULL and cell[:1] not in "[{" for cell in cells):
        return False
    # A licence must be there: it alone tells one table from another.
    return row["license"] != NULL and row["provider"] != NULL


def _row(cells: list[str]) -> dict[str, str]:
    layout = layout_of(cells)
    if layout is None:
        widths = ", ".join(map(str, WIDTHS))
        right = len(cells) in WIDTHS
        why = "what is in them is not what belongs there" if right else f"known are {widths}"
        raise RecordError(
            f"{len(cells)} columns; {why} (licence, provider and addresses are checked)"
        )
    named = zip(layout, cells, strict=True)
    return {name: cell for name, cell in named if cell not in (NULL, "")}


def _medium(draft: Draft, row: dict[str, str]) -> None:
    provider = re.sub(r"[^a-z0-9]+", "_", row["provider"].lower()).strip("_")
    if not re.match(r"[a-z]", provider):
        raise RecordError(f"no usable name of a provider: {row['provider'][:80]!a}")
    landing, url = _address(row.get("landing_url")), _address(row.get("media_url"))
    identity = first(row.get("foreign_id"), url, landing)
    if identity is None:
        raise RecordError("neither an id nor an address")
    page = _PAGE_IDS[provider].search(landing or "") if provider in _PAGE_IDS else None
    post = describe(provider, "post", page[1] if page else identity)
    extra = _json(row.get("meta"))
    author = _creator(draft, provider, row)
    meta = {**_meta(row, extra), "landing_url": landing, "media_url": url}
    title = as_text(unescape(row.get("title", ""))) or meta["description"]
    time = parse_time(first(dig(extra, "pub_date"), dig(extra, "date_uploaded")))
    draft.link(author, post, "authored")
    page_meta = {
        k: v for k, v in meta.items() if k in ("provider", "landing_url", "creator", "tags")
    }
    draft.observe(post, title=title, update_time=time, author=author, meta=page_meta)
    draft.tag(provider, meta["tags"], post)
    file = draft.media.first(draft.path, (url,), (row.get("foreign_id"),))
    # Some ids are addresses, which the page's own id says shorter and for good.
    medium_id = page[1] if page and "://" in identity else identity
    medium = draft.contain(post, file, reference(provider, "media", medium_id))
    if medium is None:
        raise RecordError(f"the id is unusable: {identity[:80]!a}")
    draft.observe(medium, is_root=True, title=title, update_time=time, author=author, meta=meta)
    draft.link(medium, draft.media.by_address(row.get("thumbnail_url"), draft.path), "thumbnail")
    draft.subject = post


def _meta(row: dict[str, str], extra: Any) -> dict[str, Any]:
    duration_ms = as_count(row.get("duration"))
    return {
        "provider": as_text(row["provider"]),
        "collection_source": as_text(row.get("source")),
        "foreign_id": as_text(row.get("foreign_id")),
        "license": row["license"].lower(),
        "license_version": as_text(row.get("license_version")),
        "license_url": license_of(dig(extra, "license_url"))["license_url"],
        "creator": as_text(row.get("creator")),
        "creator_url": _address(row.get("creator_url")),
        "thumbnail_url": _address(row.get("thumbnail_url")),
        "width": as_count(row.get("width")) or None,
        "height": as_count(row.get("height")) or None,
        "size_bytes": as_count(first(row.get("size_bytes"), row.get("size_bytes_later"))),
        "duration_s": duration_ms / 1_000 if duration_ms else None,
        "media_type": as_text(row.get("file_type")),
        "category": as_text(first(row.get("category"), dig(extra, "classification"))),
        "created": as_text(first(dig(extra, "date"), dig(extra, "date_taken"))),
        "description": as_text(dig(extra, "description")),
        "tags": _tags(row.get("tags")),
        "is_watermarked": as_boolean({"t": "true", "f": "false"}.get(row.get("watermarked", ""))),
    }


def _tags(cell: str | None) -> list[str] | None:
    listed = _json(cell)
    names = [tag.get("name") for tag in mappings(listed)]
    texts = [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
    return as_texts(list(dict.fromkeys([*filter(None, map(as_text, names)), *texts])))


def _json(cell: str | None) -> Any:
    """Return the value of a cell with JSON, which may carry raw control characters."""
    text = _CONTROL.sub(" ", cell or "")
    # PostgreSQL doubles backslashes in its tables, which JSON then carries as its own.
    return first(read_json_text(text), read_json_text(text.replace("\\\\", "\\")))


def _address(cell: str | None) -> str | None:
    """Return an address with its scheme, which some tables leave out."""
    text = as_text(cell)
    if text is None or "://" in text:
        return text
    return f"https:{text}" if text.startswith("//") else f"https://{text}"


def _creator(draft: Draft, provider: str, row: dict[str, str]) -> str | None:
    name, url = as_text(row.get("creator")), _address(row.get("creator_url"))
    found = _FLICKR_USER.search(url or "")
    by_id = reference("flickr", "user", found[1]) if found and provider == "flickr" else None
    node = by_id or username(provider, name)
    if node:
        meta = {"provider": as_text(row["provider"]), "creator": name, "creator_url": url}
        draft.observe(node, title=name, meta=meta)
    return node


ADAPTERS = (OpenverseTsv(),)
