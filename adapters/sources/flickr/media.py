"""Files of Flickr photos: it owns their names, sizes, and which of them is the medium.

A photo is one medium: the largest of its files that is there, else a virtual node. Flickr names
files `<id>_<secret>_<size>.<extension>`; other sizes that are there hang on the medium.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.items import MediaFile
from adapters.records.values import as_count, as_text, mappings
from adapters.sources.flickr.notation import members, typed
from adapters.sources.model import FILE
from adapters.sources.reading.draft import Draft

# From the largest; the letter is the last part of the name, medium has none.
SUFFIXES = ("o", "6k", "5k", "4k", "3k", "k", "h", "l", "b", "c", "z", "", "w", "n", "m", "t", "q",
            "s", "sq")  # fmt: skip
PREVIEWS = frozenset(("t", "q", "s", "sq"))
_NAME = re.compile(r"(\d+)(?:_[0-9a-f]+)?(?:_([a-z0-9]{1,2}))?(?:_d)?\.\w+$")


def with_files(draft: Draft, photo: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a photo's medium: its file, and those of its other sizes."""
    identity = as_text(photo.get("id")) or ""
    files = {file: None for file in draft.media.by_lead(identity) if _NAME.search(file.path)}
    found = [draft.media.by_address(url, draft.path) for url in photo["urls"]]
    files |= dict.fromkeys(file for file in [*found, draft.media.by_stem(identity, draft.path)]
                           if file is not None)  # fmt: skip
    ordered = sorted(files, key=lambda file: (_rank(file), file.path))
    others = ordered[1:]
    return photo | {
        FILE: ordered[0] if ordered else None,
        "previews": [file for file in others if _suffix(file) in PREVIEWS],
        "variants": [file for file in others if _suffix(file) not in PREVIEWS],
    }


def _suffix(file: MediaFile) -> str:
    found = _NAME.search(file.path)
    return (found[2] or "") if found else ""


def _rank(file: MediaFile) -> int:
    suffix = _suffix(file)
    # A file that is only called after the id is taken for the original.
    bare = "_" not in file.path.rpartition("/")[2]
    return 0 if bare else SUFFIXES.index(suffix) if suffix in SUFFIXES else len(SUFFIXES)


def id_in_address(url: Any) -> str | None:
    """Return the id of the photo that an address of a file or page is of."""
    text = as_text(url) or ""
    found = re.search(r"/(\d{3,})_[0-9a-f]+(?:_\w+)?\.\w+$", text)
    found = found or re.search(r"flickr\.com/photos/[^/]+/(\d+)", text)
    return found[1] if found else None


def sizes_of(photo: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sizes that a record lists, as objects with source, width, height and media."""
    listed = photo.get("sizes")
    found = list(mappings(listed)) if isinstance(listed, list) else members(listed, "size")
    found += members(photo, "size")
    for key in photo:
        if key.startswith("url_"):
            size = key.removeprefix("url_")
            width, height = photo.get(f"width_{size}"), photo.get(f"height_{size}")
            found.append({"source": photo[key], "width": width, "height": height})
    return found


def largest(sizes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return address, width and height of the largest size, and whether it is a video."""

    def area(size: dict[str, Any]) -> int:
        # Sizes of videos that are made on demand have none, and the old player is no file.
        return (as_count(size.get("width")) or 0) * (as_count(size.get("height")) or 0)

    pictures = [size for size in sizes if size.get("media") != "video"]
    is_video = len(pictures) < len(sizes)
    best = max(pictures or sizes, key=area, default={})
    return {
        "media_url": typed(best.get("source")),
        "width": best.get("width"),
        "height": best.get("height"),
        "media_type": "video" if is_video else "photo" if sizes else None,
    }
