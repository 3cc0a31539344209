"""The files of a medium: it owns finding them by the addresses and ids that a record gives.

Scrapers keep the name of the address, or name the file after an id; both are tried. Only files of
the frozen listing are ever found, so a hostile name finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

from adapters.folder import ScrapeFolder, extension_of
from adapters.items import Link, MediaFile, NodeReference

PICTURE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "heic", "avif", "bmp")
VIDEO_EXTENSIONS = ("mp4", "webm", "mov", "m4v", "mkv", "mp3", "m4a")
_EXTENSIONS = (*VIDEO_EXTENSIONS, *PICTURE_EXTENSIONS)


@dataclass(frozen=True, slots=True)
class MediaNode:
    """A medium as a node: its file, or the description that stands for the missing one."""

    node: NodeReference
    links: tuple[Link, ...] = ()
    """From the medium to its other sizes and previews, as far as their files are there."""


def media_node(
    folder: ScrapeFolder,
    near: str,
    description: str,
    urls: Sequence[str],
    thumbnails: Sequence[str] = (),
    stems: Sequence[str] = (),
    is_video: bool = False,
) -> MediaNode:
    """Find the files of one medium: `urls` best first, `stems` are file names without extension.

    `description` stands for it when none of its files is there. A picture that carries the name of
    a video is its preview.
    """
    own, other = (VIDEO_EXTENSIONS, PICTURE_EXTENSIONS) if is_video else (PICTURE_EXTENSIONS, ())
    sizes = [*_addressed(folder, near, urls), *_called(folder, near, stems, own)]
    previews = [*_addressed(folder, near, thumbnails), *_called(folder, near, stems, other)]
    node: NodeReference = sizes[0] if sizes else description
    links: dict[NodeReference, Link] = {}
    for file in sizes[1:]:
        links.setdefault(file, Link(node, file, "variant"))
    for file in previews:
        links.setdefault(file, Link(node, file, "thumbnail"))
    links.pop(node, None)
    return MediaNode(node, tuple(links.values()))


_STEMS: WeakKeyDictionary[ScrapeFolder, dict[str, list[str]]] = WeakKeyDictionary()
"""The media of a folder by their names without extension: made once for each folder."""


def _addressed(folder: ScrapeFolder, near: str, urls: Iterable[str]) -> Iterator[MediaFile]:
    for url in urls:
        name = _name_of_url(url)
        file = folder.find(name, near) if name else None
        if file is not None:
            yield file


def _called(
    folder: ScrapeFolder, near: str, stems: Iterable[str], extensions: Sequence[str]
) -> Iterator[MediaFile]:
    """Yield the files with these names: beside the record, else wherever there is only one."""
    known = _stems_of(folder)
    home = near.rpartition("/")[0]
    for stem in stems:
        paths = known.get(stem, [])
        for extension in extensions:
            same = [path for path in paths if extension_of(path) == extension]
            beside = [path for path in same if path.rpartition("/")[0] == home]
            chosen = beside[0] if beside else same[0] if len(same) == 1 else None
            file = folder.media(chosen) if chosen else None
            if file is not None:
                yield file


def _stems_of(folder: ScrapeFolder) -> dict[str, list[str]]:
    stems = _STEMS.get(folder)
    if stems is None:
        stems = {}
        for path in folder.paths:
            if extension_of(path) in _EXTENSIONS:
                stem = path.rpartition("/")[2].rpartition(".")[0]
                stems.setdefault(stem, []).append(path)
        _STEMS[folder] = stems
    return stems


def _name_of_url(url: str) -> str | None:
    """Return the file name in an address, if it is one of a medium; `X?format=jpg` is `X.jpg`."""
    try:
        parts = urlsplit(url.strip())
        name = parts.path.rpartition("/")[2].partition(":")[0]
        if "." not in name and "format=" in parts.query:
            name += "." + parse_qs(parts.query, max_num_fields=50).get("format", [""])[0]
    except ValueError:
        return None
    return name if len(name) < 256 and extension_of(name) in _EXTENSIONS else None
