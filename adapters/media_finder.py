"""Finding downloaded media: it owns matching files to records by address and by id, and no format.

Downloaders name a file after the address of the medium or after the post: `<id>.<ext>`, or
`<id>_<n>.<ext>` with n from 0 or 1 where a post has several. Words that many addresses end in
(`original.jpg`) match nothing, and a file of data is never a medium.
"""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from adapters.folder import ScrapeFolder, extension_of
from adapters.items import MediaFile


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATA_EXTENSIONS = _words(
    "json json5 jsonl ndjson csv tsv html htm txt xml md log sqlite db yaml yml"
)
MOVING_EXTENSIONS = _words("mp4 webm mkv mov m4v avi mp3 ogg oga opus m4a flac wav")
IMAGE_EXTENSIONS = _words("jpg jpeg jpe png gif webp avif heic bmp tif tiff svg jxl gifv")
STEM_LENGTH_MIN = 5
COMMON_STEMS = _words(
    "image photo video media original default thumb thumbnail preview index download large small "
    "medium avatar header cover poster master source audio missing untitled playlist"
)


class MediaFinder:
    """The media files of a folder by base name and by stem; made once for every reading."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self._folder = folder
        self._by_stem: dict[str, list[str]] | None = None

    def by_path(self, path: object, near: str) -> MediaFile | None:
        """Return the file at exactly the path that a record names, from its folder or the root.

        Other folders may hold a file of the same name: they belong to another chat or account.
        """
        if not isinstance(path, str) or not path.strip() or "\0" in path:
            return None
        relative = path.strip().replace("\\", "/")
        for folder in (near.rpartition("/")[0], ""):
            file = self._folder.media(os.path.normpath(os.path.join(folder, relative)))
            if file is not None:
                return file
        return None

    def by_address(self, address: object, near: str) -> MediaFile | None:
        """Return the file that has the base name of an address, query and fragment left out."""
        name = base_name(address)
        stem = name.rpartition(".")[0] or name
        if len(stem) < STEM_LENGTH_MIN or stem.lower() in COMMON_STEMS:
            return None
        if extension_of(name) in DATA_EXTENSIONS:
            return None
        return self._folder.find(name, near) or (
            self.by_stem(name, near) if "." not in name else None
        )

    def by_stem(self, stem: str, near: str) -> MediaFile | None:
        """Return the file called so apart from its extension; nearest first, video before image."""
        paths = self._stems().get(stem, [])
        folder = near.rpartition("/")[0]
        beside = [path for path in paths if path.rpartition("/")[0] == folder]
        chosen = sorted(beside or paths, key=lambda path: (not _moves(path), path))
        return MediaFile(chosen[0]) if chosen else None

    def of_post(self, identity: str, position: int, count: int, near: str) -> MediaFile | None:
        """Return the file of the medium at this position (from 0) of a post."""
        if not identity or "/" in identity:
            return None
        if count == 1 and (found := self.by_stem(identity, near)):
            return found
        start = 0 if f"{identity}_0" in self._stems() else 1
        return self.by_stem(f"{identity}_{position + start}", near)

    def _stems(self) -> dict[str, list[str]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in self._folder.paths:
                name = path.rpartition("/")[2]
                extension = extension_of(name)
                if extension and extension not in DATA_EXTENSIONS:
                    self._by_stem.setdefault(name[: -len(extension) - 1], []).append(path)
        return self._by_stem


def base_name(address: object) -> str:
    """Return the last part of the path of an address; empty when there is none."""
    if not isinstance(address, str):
        return ""
    try:
        path = urlsplit(address[:4_096]).path
    except ValueError:
        return ""
    return unquote(path.rpartition("/")[2]).replace("\0", "").replace("/", "")


def is_media_address(address: object) -> bool:
    """Tell whether an address ends like a picture, film or sound."""
    extension = extension_of(base_name(address))
    return extension in MOVING_EXTENSIONS or extension in IMAGE_EXTENSIONS


def _moves(path: str) -> bool:
    return extension_of(path) in MOVING_EXTENSIONS
