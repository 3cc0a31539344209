"""What the columns of a labelled row mean: it owns the names that people give them.

Columns are known by name, whatever their case; a row keeps everything else in its complete record.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any, NamedTuple

from adapters.records.describe import describe
from adapters.records.folder import MIB, ScrapeFolder, extension_of
from adapters.records.items import MediaFile
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_number, as_text, as_texts, first

NAME_LENGTH_MAX = 1_000

_FILE = (
    "file_name", "filename", "file", "filepath", "file_path", "path", "image_path", "image_file",
    "image_filename", "img_path", "img", "image", "photo", "video", "video_path", "audio",
    "audio_path", "audio_file", "media", "media_path", "local_path", "relative_path",
)  # fmt: skip
_MEDIA_URL = (
    "image_url", "img_url", "media_url", "file_url", "photo_url", "video_url", "audio_url",
    "display_url", "download_url", "original_url", "img", "image", "photo", "src", "url", "uri",
)  # fmt: skip
_PAGE_URL = (
    "page_url", "permalink", "post_url", "webpage_url", "html_url", "source_url", "link", "href",
    "source", "landing_url", "web_url", "url",
)  # fmt: skip
_ID = ("id", "_id", "uuid", "guid", "key", "key_id", "item_id", "image_id", "sample_id", "asin")
_TITLE = ("title", "name", "headline")
_CAPTION = (
    "caption",
    "text",
    "description",
    "prompt",
    "alt_text",
    "alt",
    "transcription",
    "top_caption",
)
_LABEL = ("label", "labels", "class", "class_name", "category", "target", "word", "cls", "species")
_AUTHOR = ("author", "artist", "creator", "photographer", "username", "user_name", "user", "by")
_TIME = (
    "date", "time", "timestamp", "datetime", "created_at", "created", "published", "published_at",
    "upload_date", "date_published",
)  # fmt: skip
_VIEW = ("view", "views", "view_count", "viewcount")
_LIKE = ("like_count", "likes", "score", "favorites", "favorite_count", "upvotes")
_OTHER_TEXTS = {
    "split": ("split", "subset", "fold", "partition"),
    "license": ("license", "licence", "rights"),
    "language": ("language", "lang"),
    "country": ("countrycode", "country_code", "country"),
    "status": ("status",),
    "error": ("error_message",),
    "declared_sha256": ("sha256",),
}
_OTHER_NUMBERS = {
    "duration_s": ("duration", "duration_s", "length_s"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "similarity": ("similarity", "clip_similarity"),
}
_OTHER_COUNTS = {
    "width": ("width", "image_width"),
    "height": ("height", "image_height"),
    "original_width": ("original_width",),
    "original_height": ("original_height",),
    "like_count": _LIKE,
}
MEDIA_EXTENSIONS = frozenset(
    {"jpg", "jpeg", "jpe", "png", "gif", "webp", "avif", "bmp", "tif", "tiff", "heic", "svg"}
    | {"mp4", "m4v", "webm", "mkv", "mov", "avi", "mp3", "m4a", "wav", "flac", "ogg", "opus"}
)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class Said(NamedTuple):
    """What a row says, as far as its columns are known."""

    file_name: str | None
    url: str | None
    page_url: str | None
    item_id: str | None
    title: str | None
    time: datetime | None
    view: int | None
    meta: dict[str, Any]


def understand(row: dict[str, Any]) -> Said:
    """Guess what the columns mean."""
    named: dict[str, Any] = {}
    for name, value in row.items():
        named.setdefault(_NOT_IN_NAMES.sub("_", name.lower()).strip("_"), value)
    if isinstance(inner := named.get("properties"), dict):
        # GeoJSON keeps its columns one level down.
        for name, value in inner.items():
            named.setdefault(_NOT_IN_NAMES.sub("_", name.lower()).strip("_"), value)
    url = next((u for u in _values(named, _MEDIA_URL) if _is_url(u)), None)
    page_url = next((u for u in _values(named, _PAGE_URL) if _is_url(u) and u != url), None)
    if url is not None and page_url is None and not _names_medium(named, url):
        url, page_url = None, url
    file_name = next((n for n in _values(named, _FILE) if _is_file_name(n)), None)
    caption = next(iter(_values(named, _CAPTION)), None)
    label = next(iter(_values(named, _LABEL)), None)
    title = next(iter(_values(named, _TITLE)), None)
    drawing = named.get("drawing")
    meta: dict[str, Any] = {
        "file_name": file_name,
        "item_id": next(iter(_values(named, _ID)), None),
        "url": url,
        "page_url": page_url,
        "label": label,
        "label_from": "column" if label else None,
        "caption": caption,
        "tags": as_texts(named.get("tags")) or as_texts(named.get("labels")),
        "author_name": next(iter(_values(named, _AUTHOR)), None),
        "recognized": as_boolean(named.get("recognized")),
        "stroke_count": len(drawing) if isinstance(drawing, list) else None,
    }
    for column, names in _OTHER_TEXTS.items():
        meta[column] = next(iter(_values(named, names)), None)
    for column, names in _OTHER_NUMBERS.items():
        meta[column] = first(*(as_number(named.get(name)) for name in names))
    for column, names in _OTHER_COUNTS.items():
        meta[column] = first(*(as_count(named.get(name)) for name in names))
    return Said(
        file_name=file_name,
        url=url,
        page_url=page_url,
        item_id=meta["item_id"],
        title=title or caption,
        time=first(*(parse_time(named.get(name)) for name in _TIME)),
        view=first(*(as_count(named.get(name)) for name in _VIEW)),
        meta=meta,
    )


def _values(named: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    texts = [as_text(named[name]) for name in names if name in named]
    return [text for text in texts if text]


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://", "ipfs://", "ftp://", "s3://")) and (
        " " not in text
    )


def _is_file_name(text: str) -> bool:
    return not _is_url(text) and len(text) <= NAME_LENGTH_MAX and bool(extension_of(text))


def _names_medium(named: dict[str, Any], url: str) -> bool:
    """Tell a medium's address from a page's: by its column, or by what it ends in."""
    if extension_of(url.partition("?")[0].rpartition("/")[2]) in MEDIA_EXTENSIONS:
        return True
    return any(as_text(named.get(name)) == url for name in _MEDIA_URL if name not in ("url", "uri"))


# ---- Identities ----------------------------------------------------------------------------------


def node_of_missing(folder: ScrapeFolder, path: str, file_name: str) -> str:
    """Describe a file that a table names and the folder lacks: within this very table.

    A name alone would tie `0.png` of all data sets together.
    """
    digest = folder.files[path].key or _digest(folder, path)
    return describe("file", "media", f"{digest[:32]}/{file_name}")


def node_of_row(value: dict[str, Any]) -> str:
    """Describe a row that names no file and no address: by everything that it says."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return describe("file", "post", f"sha256:{digest}")


def find_named(folder: ScrapeFolder, path: str, file_name: str) -> MediaFile | None:
    """Find the file that a row of the table at `path` names, and never the table itself."""
    found = folder.find(file_name, path)
    return None if found is None or found.path == path else found


def _digest(folder: ScrapeFolder, path: str) -> str:
    digest = hashlib.sha256()
    with folder.open(path) as file:
        while block := file.read(MIB):
            digest.update(block)
    return digest.hexdigest()
