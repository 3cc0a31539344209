"""Files beside an info file: it owns which of a folder belong to which video, by their names.

`<stem>.info.json` goes with `<stem>.mp4`, `<stem>.webp`, `<stem>.en.vtt`, `<stem>.description` and
so on. A stem may hold dots and begin another stem: a file belongs to the longest that fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import MediaFile
from adapters.records.values import as_text, dig, mappings

INFO = ".info.json"
MEDIA = frozenset(
    (
        *("mp4", "m4v", "mkv", "webm", "mov", "avi", "flv", "3gp", "ts", "mpg", "mpeg", "ogv"),
        *("wmv", "f4v", "mp3", "m4a", "opus", "ogg", "oga", "aac", "flac", "wav", "wma", "alac"),
        *("mka", "weba", "aiff"),
    )
)
PICTURES = frozenset(("jpg", "jpeg", "png", "webp", "gif", "avif"))
UNFINISHED = frozenset(("part", "ytdl", "temp", "tmp"))


@dataclass(slots=True)
class Beside:
    """What lies beside one info file, each sorted by path."""

    media: list[MediaFile] = field(default_factory=list[MediaFile])
    pictures: list[MediaFile] = field(default_factory=list[MediaFile])
    others: list[MediaFile] = field(default_factory=list[MediaFile])


def stem_of(path: str) -> str:
    """Return the path of an info file without its ending."""
    for ending in (INFO, ".json"):
        if path.lower().endswith(ending):
            return path[: -len(ending)]
    return path


class FilesBeside:
    """All files of a folder by the info file that they go with."""

    def __init__(self, folder: ScrapeFolder, info_paths: Iterable[str]) -> None:
        self._folder = folder
        stems = {stem_of(path): Beside() for path in info_paths if not path.endswith("l")}
        infos = {path for path in folder.paths if path.lower().endswith(INFO)}
        self._by_stem = stems
        self._owned: set[str] = set()
        for path in folder.paths:
            if path not in infos and (stem := _longest(path, stems)) is not None:
                self._sort(stems[stem], path, stem)

    def _sort(self, beside: Beside, path: str, stem: str) -> None:
        extension = extension_of(path)
        if (path.lower() == f"{stem}.json".lower()) or extension in UNFINISHED:
            return
        self._owned.add(path)
        group = beside.others
        if extension in MEDIA:
            group = beside.media
        elif extension in PICTURES:
            group = beside.pictures
        group.append(MediaFile(path))

    def of(self, path: str, info: dict[str, Any], is_alone: bool) -> Beside:
        """Return what belongs to a record: by its stem, else by the names that it tells."""
        stem_files = self._by_stem.get(stem_of(path)) if is_alone else None
        beside = stem_files or Beside()
        media = beside.media or self._named(path, _media_names(info))
        pictures = beside.pictures or self._named(path, _picture_names(info))
        others = beside.others or self._named(path, _subtitle_names(info))
        extension = as_text(info.get("ext"), 20)
        # What was merged or asked for comes first: `stem.mp4` before `stem.f137.mp4`.
        media = sorted(
            media,
            key=lambda file: (
                file.path.count("."),
                not file.path.lower().endswith(f".{extension}"),
                file.path,
            ),
        )
        return Beside(media, pictures, others)

    def _named(self, near: str, names: Iterable[Any]) -> list[MediaFile]:
        found: dict[str, MediaFile] = {}
        for name in names:
            text = as_text(name)
            base = text.replace("\\", "/").rpartition("/")[2] if text else ""
            file = self._folder.find(base, near) if base else None
            if file is not None and file.path != near and file.path not in self._owned:
                found[file.path] = file
        return list(found.values())


def _longest(path: str, stems: dict[str, Beside]) -> str | None:
    folder, slash, name = path.rpartition("/")
    while "." in name:
        name = name.rpartition(".")[0]
        if folder + slash + name in stems:
            return folder + slash + name
    return None


def _media_names(info: dict[str, Any]) -> list[Any]:
    downloads = list(mappings(info.get("requested_downloads")))
    keys = ("filepath", "_filename", "filename")
    named = [download.get(key) for download in downloads for key in keys]
    names = [*named, *(info.get(key) for key in keys)]
    return [name for name in names if isinstance(name, str) and extension_of(name) in MEDIA]


def _picture_names(info: dict[str, Any]) -> list[Any]:
    return [thumbnail.get("filepath") for thumbnail in mappings(info.get("thumbnails"))]


def _subtitle_names(info: dict[str, Any]) -> list[Any]:
    asked = info.get("requested_subtitles")
    return [dig(track, "filepath") for track in asked.values()] if isinstance(asked, dict) else []
