"""The media files of a folder: it owns matching them to records by address, name and id.

Scrapers name a file after its address, the id of the medium or post (`<id>.<ext>`, `<id>_<n>.<ext>`
with n from 0 or 1), or the page (`title [<id>].<ext>`). A match counts only when it is the only one
beside the record, or else in the folder. Only files of the frozen listing are ever found, so a
hostile name finds nothing; a file of data is never a medium.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import MediaFile


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATA_EXTENSIONS = _words(
    "json json5 jsonl ndjson csv tsv html htm txt xml rss atom md log sqlite db yaml yml toml"
)
MOVING_EXTENSIONS = _words("mp4 webm mkv mov m4v avi mp3 ogg oga opus m4a flac wav")
IMAGE_EXTENSIONS = _words("jpg jpeg jpe png gif webp avif heic bmp tif tiff svg jxl gifv")
STEM_LENGTH_MIN = 5
NAME_LENGTH_MAX = 1_000
COMMON_STEMS = _words(
    "image photo video media original default thumb thumbnail preview index download large small "
    "medium avatar header cover poster master source audio missing untitled playlist picture "
    "profile banner square"
)
"""Names that many addresses end in: they match nothing."""
# Of an address without anything odd: its path and query, as `urlsplit` has them, but sooner.
_PLAIN_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.:_-]*(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))?(?:#[!-~]*)?"
)
_BRACKETED = re.compile(r"\[([\w-]{6,64})\]$")


class MediaFinder:
    """The media of a folder by address, stem and leading id; made once for every reading."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self.folder = folder
        self._by_stem: dict[str, list[str]] | None = None
        self._by_lead: dict[str, list[str]] = {}

    def by_path(self, path: object, near: str) -> MediaFile | None:
        """Return the file at exactly the path that a record names, from its folder or the root.

        Other folders may hold a file of the same name: they belong to another chat or account.
        """
        if not isinstance(path, str) or not path.strip() or "\0" in path:
            return None
        relative = path.strip().replace("\\", "/")
        for folder in (near.rpartition("/")[0], ""):
            file = self.folder.media(os.path.normpath(os.path.join(folder, relative)))
            if file is not None:
                return file
        return None

    def by_address(
        self, address: object, near: str, is_name_unique: bool = False
    ) -> MediaFile | None:
        """Return the file that has the base name of an address.

        `is_name_unique`: the site gives every file a base name of its own, so short and common
        ones count too.
        """
        # Exports name files by their paths, from the record or from their own root.
        is_path = isinstance(address, str) and "//" not in address
        if is_path and (exact := self.by_path(str(address).lstrip("/"), near)):
            return exact
        name = base_name(address)
        stem = name.rpartition(".")[0] or name
        is_own = len(stem) >= STEM_LENGTH_MIN and stem.lower() not in COMMON_STEMS
        if not name or not (is_own or is_name_unique) or extension_of(name) in DATA_EXTENSIONS:
            return None
        if "." not in name:
            return self.by_stem(name, near)
        found = self.folder.find(name, near)
        if found is None and "%" in name:
            found = self.folder.find(unquote(name), near)
        return found if found and extension_of(found.path) not in DATA_EXTENSIONS else None

    def by_stem(self, stem: object, near: str) -> MediaFile | None:
        """Return the one medium whose name without extension is this or ends in `[this]`.

        Of a video and its preview, which share their name, the video.
        """
        return next(iter(self.all_by_stem(stem, near)), None)

    def all_by_stem(self, stem: object, near: str) -> list[MediaFile]:
        """Return all files of the medium with this name, in one folder; video before image."""
        paths = self._stems().get(str(stem)) if stem else None
        if not paths:
            return []
        folder = near.rpartition("/")[0]
        beside = [path for path in paths if path.rpartition("/")[0] == folder]
        chosen = beside or paths
        if len({path.rpartition(".")[0] for path in chosen}) > 1:
            return []
        ordered = sorted(chosen, key=lambda path: (not _moves(path), path))
        return [MediaFile(path) for path in ordered]

    def by_lead(self, lead: object) -> list[MediaFile]:
        """Return the media whose names begin with `lead_`, sorted by path."""
        self._stems()
        return [MediaFile(path) for path in self._by_lead.get(str(lead), ())]

    def of_post(self, identity: str, position: int, count: int, near: str) -> MediaFile | None:
        """Return the file of the medium at this position (from 0) of a post."""
        if not identity or "/" in identity:
            return None
        if count == 1 and (found := self.by_stem(identity, near)):
            return found
        start = 0 if f"{identity}_0" in self._stems() else 1
        return self.by_stem(f"{identity}_{position + start}", near)

    def first(
        self, near: str, addresses: Iterable[object], stems: Iterable[object]
    ) -> MediaFile | None:
        """Try addresses, then stems, in their order."""
        by_address = (self.by_address(address, near) for address in addresses)
        by_stem = (self.by_stem(stem, near) for stem in stems)
        return next((file for tried in (by_address, by_stem) for file in tried if file), None)

    def _stems(self) -> dict[str, list[str]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in self.folder.paths:
                name = path.rpartition("/")[2]
                extension = extension_of(name)
                if not extension or extension in DATA_EXTENSIONS:
                    continue
                stem = name[: -len(extension) - 1]
                self._by_stem.setdefault(stem, []).append(path)
                if found := _BRACKETED.search(stem):
                    self._by_stem.setdefault(found[1], []).append(path)
                lead, separator, _ = stem.partition("_")
                if separator:
                    self._by_lead.setdefault(lead, []).append(path)
        return self._by_stem


def base_name(address: object) -> str:
    """Return the file name in an address as it is written; empty when there is none.

    `X?format=jpg` is `X.jpg`, and what follows a colon (`X.jpg:large`) is no part of it.
    """
    if not isinstance(address, str):
        return ""
    try:
        path, query = _path_and_query(address.strip()[:4_096])
        name = path.rpartition("/")[2]
        if "." not in name and "format=" in query:
            name += "." + parse_qs(query, max_num_fields=50).get("format", [""])[0]
    except ValueError:
        return ""
    name, colon, size = name.partition(":")
    name = name if "." in name or not colon else f"{name}:{size}"
    return name if "\0" not in unquote(name) and len(name) <= NAME_LENGTH_MAX else ""


def _path_and_query(address: str) -> tuple[str, str]:
    if found := _PLAIN_ADDRESS.fullmatch(address):
        return found[1] or "", found[2] or ""
    parts = urlsplit(address)
    return parts.path, parts.query


def is_media_address(address: object) -> bool:
    """Tell whether an address ends like a picture, film or sound."""
    return is_media_name(base_name(address))


def is_media_name(name: str) -> bool:
    """Tell whether a name ends like that of a picture, film or sound."""
    extension = extension_of(name)
    return extension in MOVING_EXTENSIONS or extension in IMAGE_EXTENSIONS


def addressed(
    finder: MediaFinder, near: str, addresses: Sequence[str], is_name_unique: bool = False
) -> list[MediaFile]:
    """Return the files of several addresses, in their order and once each."""
    found = (finder.by_address(address, near, is_name_unique) for address in addresses)
    return list(dict.fromkeys(file for file in found if file is not None))


def _moves(path: str) -> bool:
    return extension_of(path) in MOVING_EXTENSIONS
