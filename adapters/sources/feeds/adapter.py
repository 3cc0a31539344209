"""The feed adapter: it owns which files are feeds and how they are unpacked, and no format.

An RSS, Atom or JSON feed becomes `feed:channel:<address>` -member-> `feed:post:<id>` -contains->
its enclosures, found by the base name of their address. Entries of YouTube feeds are
`youtube:post:<id>`. Files whose name ends like a feed's but that hold none are Problems; addresses
of embedded players are no media; pictures inside the text of an entry are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, decode_text, parse_json
from adapters.records.items import Problem, Record, Sniff
from adapters.sources.feeds.json import is_json_feed, is_parsed_feed, read_json_feed
from adapters.sources.feeds.model import Feed
from adapters.sources.feeds.records import FeedRecords
from adapters.sources.feeds.xml import read_xml
from adapters.sources.reading.gunzip import GZIP_MAGIC, gunzip
from adapters.sources.schemas.feed import TABLE
from sql import DeclaredTable

FEED_BYTES_MAX = 64 * MIB
SNIFFED_FILES_MAX = 24
SNIFFED_BYTES_MAX = 4 * MIB
HEAD_BYTES = 4_096

XML_SUFFIXES = (".rss", ".atom", ".rdf", ".xml", ".feed")
JSON_SUFFIXES = (".json", ".jsonfeed")
HTML_SUFFIXES = (".html", ".htm")
SUFFIXES = (*XML_SUFFIXES, *JSON_SUFFIXES, *HTML_SUFFIXES)
ALL_SUFFIXES = (*SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))

_ROOTS = re.compile(rb"<(?:\w+:)?(?:rss|feed|RDF)[\s>]")


class FeedAdapter:
    """RSS, Atom, podcasts, JSON Feed."""

    name = "feed"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Count the files that begin like a feed."""
        paths = folder.with_suffix(*ALL_SUFFIXES)
        if not paths:
            return Sniff(0.0, "no file that could be a feed")
        step = max(1, len(paths) // SNIFFED_FILES_MAX)
        chosen = paths[::step][:SNIFFED_FILES_MAX]
        feeds = sum(_looks_like_feed(folder, path) for path in chosen)
        reason = f"{feeds} of {len(chosen)} files tried begin like a feed"
        if not feeds:
            return Sniff(0.0, reason)
        return Sniff(0.9 if feeds * 2 >= len(chosen) else 0.5, reason)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every feed: its channel, then its entries."""
        for path in folder.with_suffix(*ALL_SUFFIXES):
            try:
                data = _unpacked(folder.read_bytes(path, FEED_BYTES_MAX), FEED_BYTES_MAX)
                records = FeedRecords(folder, path, _read(data), data)
            except RecordError as error:
                yield Problem(path, -1, str(error))
                continue
            yield from records.records()


def _read(data: bytes) -> Feed:
    if data.lstrip()[:1] in (b"{", b"["):
        return read_json_feed(parse_json(decode_text(data)))
    if not data.strip():
        raise RecordError("the file is empty")
    return read_xml(data)


def _unpacked(data: bytes, limit_bytes: int) -> bytes:
    return gunzip(data, limit_bytes) if data.startswith(GZIP_MAGIC) else data


def _looks_like_feed(folder: ScrapeFolder, path: str) -> bool:
    try:
        with folder.open(path) as file:
            head = file.read(HEAD_BYTES)
            if head.startswith(GZIP_MAGIC):
                head = _begin_of_gzip(head)
            if head.lstrip()[:1] != b"{":
                return _ROOTS.search(head.replace(b"\0", b"")) is not None
        if folder.files[path].size_bytes > SNIFFED_BYTES_MAX:
            return b"jsonfeed.org/version" in head
        value = parse_json(folder.read_text(path))
    except RecordError:
        return False
    return is_json_feed(value) or is_parsed_feed(value)


def _begin_of_gzip(head: bytes) -> bytes:
    try:
        return gunzip(head, HEAD_BYTES * 16, cut=True)
    except RecordError:
        return b""


ADAPTERS = (FeedAdapter(),)
