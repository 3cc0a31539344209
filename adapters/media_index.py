"""The media of a folder by the names that scrapers give them: it owns matching, never reading.

Scrapers name files after the address, the id of the post, its page, or the hash of the bytes.
A match counts only when it is unique; a file that is itself a record never is a medium.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from adapters.errors import RecordError
from adapters.folder import ScrapeFolder, extension_of
from adapters.items import MediaFile

_RECORD_EXTENSIONS_TEXT = """
json jsonl ndjson json5 xml rss atom tsv csv yaml yml toml md txt html htm log
"""
RECORD_EXTENSIONS = frozenset(_RECORD_EXTENSIONS_TEXT.split())
_BRACKETED = re.compile(r"\[([\w-]{6,64})\]$")
_DISTINCT = re.compile(r"(?=.*\d).{5,}|.{12,}")
"""Base names that can belong to one address only: `original.jpg` belongs to many."""


class MediaIndex:
    """Finds files by address, stem or leading id; the index is made at the first question."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self.folder = folder
        self._by_stem: dict[str, list[str]] | None = None
        self._by_lead: dict[str, list[str]] = {}

    def by_url(self, url: object, near: str, is_name_unique: bool = False) -> MediaFile | None:
        """Find the file that has the base name of an address.

        `is_name_unique`: the site gives every file a base name of its own, so short ones count too.
        """
        name = base_name(url)
        if name is None or extension_of(name) in RECORD_EXTENSIONS:
            return None
        stem = name.rpartition(".")[0] or name
        if not is_name_unique and not _DISTINCT.fullmatch(stem):
            return None
        try:
            found = self.folder.find(name, near) or self.folder.find(unquote(name), near)
        except (ValueError, RecordError):
            return None
        return found if found and extension_of(found.path) not in RECORD_EXTENSIONS else None

    def by_stem(self, stem: object, near: str) -> MediaFile | None:
        """Find the one medium whose name without extension is this, or ends in `[this]`."""
        return self._one(self._stems().get(str(stem), ()), near) if stem else None

    def by_lead(self, lead: object) -> list[MediaFile]:
        """Return the media whose names begin with `lead_`, sorted by path."""
        self._stems()
        return [MediaFile(path) for path in self._by_lead.get(str(lead), ())]

    def first(
        self, near: str, urls: tuple[object, ...], stems: tuple[object, ...]
    ) -> MediaFile | None:
        """Try addresses, then stems, in their order."""
        for url in urls:
            if found := self.by_url(url, near):
                return found
        for stem in stems:
            if found := self.by_stem(stem, near):
                return found
        return None

    def _stems(self) -> dict[str, list[str]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in self.folder.paths:
                name = path.rpartition("/")[2]
                if extension_of(name) in RECORD_EXTENSIONS or "." not in name:
                    continue
                stem = name.rpartition(".")[0]
                self._by_stem.setdefault(stem, []).append(path)
                if found := _BRACKETED.search(stem):
                    self._by_stem.setdefault(found[1], []).append(path)
                lead, separator, _ = stem.partition("_")
                if separator:
                    self._by_lead.setdefault(lead, []).append(path)
        return self._by_stem

    @staticmethod
    def _one(paths: list[str] | tuple[()], near: str) -> MediaFile | None:
        folder = near.rpartition("/")[0]
        beside = [path for path in paths if path.rpartition("/")[0] == folder]
        chosen = beside if len(beside) == 1 else paths
        return MediaFile(chosen[0]) if len(chosen) == 1 else None


def base_name(url: object) -> str | None:
    """Return the last part of an address's path as it is written; None when there is none."""
    if not isinstance(url, str) or "/" not in url:
        return None
    try:
        name = urlsplit(url.strip()).path.rpartition("/")[2]
    except ValueError:
        return None
    return name if name and "\0" not in name and len(name) <= 1_000 else None
