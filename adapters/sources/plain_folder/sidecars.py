"""Files beside others that describe them: captions, tags, JSON and XMP of the same stem.

`a.txt` or `a.jpg.txt` beside `a.jpg` is its caption, or its tags where it is a list of short words;
`10_red fox/` around both is the label that trainers of diffusion models read there. A file is a
sidecar only where one file beside it can be meant; names inside it are never followed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, extension_of
from adapters.records.items import MediaFile, Observation, Record
from adapters.records.values import as_text
from adapters.sources.labelled_columns import understand
from sql import media_type_of

SOURCE = "labelled_file"
TEXTS = frozenset({"txt", "caption", "captions", "tags"})
SIDECARS = TEXTS | {"json", "xmp"}
TEXT_BYTES_MAX = 64 << 10
JSON_BYTES_MAX = 16 * MIB
TAGS_MAX = 1_000
TAG_WORDS_MAX = 5
TAG_WORDS_MEAN_MAX = 3.0
TAGS_MIN = 3
# `10_red fox`: so many repeats, then what is on the pictures.
_CONCEPT = re.compile(r"(\d{1,4})_(\S.*)")
# A class and places of a box, a polygon or key points, as YOLO writes them.
_GEOMETRY = re.compile(r"\s*\d+(?:\s+-?\d*\.?\d+(?:e-?\d+)?){4,}\s*", re.IGNORECASE)


def owner_of(folder: ScrapeFolder, sidecar: str) -> MediaFile | None:
    """Return the file that a sidecar describes: one only, and beside it in the whole folder."""
    folder = folder.whole
    stem, extension = sidecar.rpartition(".")[0], extension_of(sidecar)
    if stem in folder.files and extension_of(stem) not in SIDECARS:
        return MediaFile(stem)
    parent = sidecar.rpartition("/")[0]
    same = [
        path
        for path in _around(folder, f"{stem}.")
        if path.rpartition("/")[0] == parent
        and path.rpartition(".")[0] == stem
        and _can_be_described(path, extension)
    ]
    return MediaFile(same[0]) if len(same) == 1 else None


def _can_be_described(path: str, sidecar_extension: str) -> bool:
    extension = extension_of(path)
    if sidecar_extension == "xmp":
        return bool(extension) and extension not in SIDECARS
    return media_type_of(extension) in ("image", "video", "sound")


def _around(folder: ScrapeFolder, begin: str) -> Iterator[str]:
    for path in folder.paths[bisect_left(folder.paths, begin) :]:
        if not path.startswith(begin):
            return
        yield path


class Missing:
    """Tells which sidecars are about a file that is not there."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self._folder = folder
        self._texts: dict[str, list[str]] | None = None
        self._describes: dict[str, bool] = {}

    def reason(self, sidecar: str) -> str | None:
        """Say that the file which a sidecar is about is not there; None where it is no sidecar."""
        if owner_of(self._folder, sidecar) is not None:
            return None
        name = sidecar.rpartition("/")[2].rpartition(".")[0]
        if media_type_of(extension_of(name)) in ("image", "video", "sound"):
            return f"a sidecar of a file that is not there: there is no {name!a} beside it"
        extension = extension_of(sidecar)
        if extension == "xmp" or (extension in TEXTS and self._all_describe(sidecar)):
            return f"a sidecar of no file: there is none of the name {name!a}, or more than one"
        return None

    def _all_describe(self, sidecar: str) -> bool:
        """Tell whether most of the texts in a folder describe the file beside them."""
        if self._texts is None:
            self._texts = {}
            for path in self._folder.whole.paths:
                if extension_of(path) in TEXTS:
                    self._texts.setdefault(path.rpartition("/")[0], []).append(path)
        parent = sidecar.rpartition("/")[0]
        if parent not in self._describes:
            texts = self._texts.get(parent, [])
            owned = sum(owner_of(self._folder, path) is not None for path in texts)
            self._describes[parent] = owned * 2 > len(texts)
        return self._describes[parent]


def sidecar_record(folder: ScrapeFolder, path: str, owner: MediaFile) -> Record | None:
    """Return what a text or JSON says about the file beside it; None when it is no sidecar.

    RecordError when it cannot be read.
    """
    if extension_of(path) == "json":
        if folder.files[path].size_bytes > JSON_BYTES_MAX:
            return None
        value = folder.read_json(path)
        if not isinstance(value, dict):
            return None
        said = understand(value)
        title, view, time, meta = said.title, said.view, said.time, said.meta
    else:
        if folder.files[path].size_bytes > TEXT_BYTES_MAX:
            return None
        words = _said_in(folder.read_text(path, TEXT_BYTES_MAX), extension_of(path))
        if words is None:
            return None
        title, view, time, meta = words.get("caption"), None, None, words
    concept = _CONCEPT.fullmatch(path.rpartition("/")[0].rpartition("/")[2])
    if concept is not None and meta.get("label") is None:
        meta = {**meta, "label": as_text(concept[2]), "label_from": "folder"}
    name = as_text(owner.path.rpartition("/")[2])
    meta = {**meta, "layout": "sidecar", "file_name": name}
    return Record(
        path, -1, owner, (Observation(owner, SOURCE, True, title, view, time, None, meta),)
    )


def _said_in(text: str, extension: str) -> dict[str, Any] | None:
    """Return the caption or the tags of a text; None for what is neither."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or all(_GEOMETRY.fullmatch(line) for line in lines):
        return None
    tags = lines if len(lines) >= TAGS_MIN else lines[0].split(",")
    tags = [" ".join(tag.split()) for tag in tags if tag.strip()]
    if extension == "tags" or (not extension.startswith("caption") and _are_tags(tags)):
        return {"tags": [tag for tag in map(as_text, tags[:TAGS_MAX]) if tag]}
    return {"caption": as_text("\n".join(lines))}


def _are_tags(texts: list[str]) -> bool:
    counts = [len(text.split()) for text in texts]
    return (
        len(texts) >= TAGS_MIN
        and max(counts) <= TAG_WORDS_MAX
        and sum(counts) / len(counts) <= TAG_WORDS_MEAN_MAX
        and not any(text.endswith((".", "!", "?")) for text in texts)
    )


def described(folder: ScrapeFolder) -> int:
    """Return how many of the texts beside files describe one; looks at a few."""
    texts = [path for path in folder.paths if extension_of(path) in TEXTS][:20]
    owners = [(path, owner) for path in texts if (owner := owner_of(folder, path))]
    found = 0
    for path, owner in owners:
        try:
            found += sidecar_record(folder, path, owner) is not None
        except RecordError:
            continue
    return found if found * 2 > len(texts) else 0
