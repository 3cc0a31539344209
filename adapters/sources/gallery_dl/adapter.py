"""gallery-dl: it owns finding its sidecars in a folder, and which rules read which site.

A sidecar is a JSON object with a `category`: `<media file>.json` beside its file, `info.json` of a
post, lines of a .jsonl file, or the list that `gallery-dl --dump-json` prints. In such a list the
entries that only point at other pages (queue messages) are no records and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record, Sniff
from adapters.records.values import as_text, dig
from adapters.sources.bluesky.post import BLUESKY
from adapters.sources.bluesky.post import GALLERY_DL as OF_BLUESKY
from adapters.sources.booru import BOORU, is_booru
from adapters.sources.booru import GALLERY_DL as OF_BOORU
from adapters.sources.fediverse.model import ACTIVITYPUB
from adapters.sources.fediverse.sidecar import GALLERY_DL as OF_FEDIVERSE
from adapters.sources.fediverse.sidecar import is_status
from adapters.sources.flickr.photo import FLICKR
from adapters.sources.flickr.photo import GALLERY_DL as OF_FLICKR
from adapters.sources.gallery_dl.generic import GALLERY_DL as OF_OTHERS
from adapters.sources.gallery_dl.generic import WEB
from adapters.sources.instagram.post import INSTAGRAM
from adapters.sources.instagram.sidecar import GALLERY_DL as OF_INSTAGRAM
from adapters.sources.pixiv.fanbox import GALLERY_DL as OF_FANBOX
from adapters.sources.pixiv.works import GALLERY_DL as OF_PIXIV
from adapters.sources.pixiv.works import PIXIV
from adapters.sources.reading.documents import document_paths, documents, likely_paths
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.reading.sidecar import Sidecar, SidecarFormat
from adapters.sources.reddit.sidecar import GALLERY_DL as OF_REDDIT
from adapters.sources.reddit.things import REDDIT
from adapters.sources.tumblr.blog import GALLERY_DL as OF_TUMBLR
from adapters.sources.tumblr.blog import TUMBLR
from adapters.sources.twitter.sidecar import GALLERY_DL as OF_TWITTER
from adapters.sources.twitter.tweet import TWITTER

SNIFFED_FILES_MAX = 20
SNIFFED_BYTES_MAX = 4 << 20
GUESSED_NAME_LENGTH_MIN = 8
"""Shorter names ("1", "image") say too little to look for them in other folders."""

URL_MESSAGE, QUEUE_MESSAGE = 3, 6

FORMATS: dict[str, SidecarFormat] = {
    "twitter": OF_TWITTER,
    "nitter": OF_TWITTER,
    "instagram": OF_INSTAGRAM,
    "pixiv": OF_PIXIV,
    "fanbox": OF_FANBOX,
    "reddit": OF_REDDIT,
    "bluesky": OF_BLUESKY,
    "flickr": OF_FLICKR,
    "tumblr": OF_TUMBLR,
}


class GalleryDlAdapter:
    """Sidecars of gallery-dl, of any site."""

    name = "gallery-dl"
    tables = (
        *(
            TWITTER.table,
            INSTAGRAM.table,
            PIXIV.table,
            REDDIT.table,
            BLUESKY.table,
            ACTIVITYPUB.table,
            TUMBLR.table,
            FLICKR.table,
            BOORU.table,
        ),
        WEB.table,
    )

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for `category` beside what else gallery-dl always writes."""
        looked = likely_paths(folder, count_max=SNIFFED_FILES_MAX)
        found = [max(_likeness(folder, path), 0.0) for path in looked]
        if not found or not any(found):
            return Sniff(0.0, "no JSON with a `category` as gallery-dl writes it")
        confidence = round(sum(found) / len(found), 3)
        return Sniff(confidence, f"{sum(map(bool, found))} of {len(found)} files are its sidecars")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield a record for every sidecar, sorted by path and number."""
        media = MediaFinder(folder)
        for path in document_paths(folder):
            for number, value, is_alone in _values(folder, path):
                draft = Draft(TWITTER.table.name, path, media)
                yield _read_one(draft, number, value, is_alone)


ADAPTERS = (GalleryDlAdapter(),)


def _values(folder: ScrapeFolder, path: str) -> Iterator[tuple[int, Any, bool]]:
    """Yield (number, value or RecordError, whether the file is this record and nothing else)."""
    for document in documents(folder, path):
        if document.line is not None:
            yield document.line - 1, document.value, False
        elif isinstance(document.value, list):
            yield from _of_dump(document.value)
        else:
            yield -1, document.value, True


def _of_dump(messages: list[Any]) -> Iterator[tuple[int, Any, bool]]:
    for number, message in enumerate(messages):
        if isinstance(message, dict):
            yield number, message, False
        elif not isinstance(message, list) or not message or not isinstance(message[-1], dict):
            yield number, RecordError("no message of gallery-dl with an object at its end"), False
        elif message[0] != QUEUE_MESSAGE:
            url = message[1] if message[0] == URL_MESSAGE and len(message) == 3 else None
            yield number, ({"url": url} if url else {}) | message[-1], False


def _read_one(draft: Draft, number: int, value: Any, is_alone: bool) -> Record | Problem:
    try:
        if isinstance(value, RecordError):
            raise value
        sidecar = _sidecar(draft.media.folder, draft.path, value, is_alone)
        _format_of(sidecar).read(draft, sidecar)
        return draft.record(number, None if is_alone else value)
    except RecordError as error:
        return Problem(draft.path, number, str(error))


def _sidecar(folder: ScrapeFolder, path: str, value: Any, is_alone: bool) -> Sidecar:
    category = as_text(value.get("category"), 100) if isinstance(value, dict) else None
    if category is None or not isinstance(value["category"], str):
        raise RecordError("no gallery-dl record: it is no object with a text in `category`")
    return Sidecar(value, category, _media_of(folder, path, value, is_alone))


def _format_of(sidecar: Sidecar) -> SidecarFormat:
    known = FORMATS.get(sidecar.category.lower())
    if known is not None:
        return known
    if is_status(sidecar.category, sidecar.data):
        return OF_FEDIVERSE
    if is_booru(sidecar.category, sidecar.data):
        return OF_BOORU
    if "tweet_id" in sidecar.data and isinstance(sidecar.data.get("author"), dict):
        return OF_TWITTER
    return OF_OTHERS


def _media_of(
    folder: ScrapeFolder, path: str, data: dict[str, Any], is_alone: bool
) -> MediaFile | None:
    """Find the file: the sidecar's name without `.json`, else what the record calls it."""
    stem = path[: -len(".json")]
    if is_alone and path.lower().endswith(".json") and (file := folder.media(stem)):
        return file
    name, extension = as_text(data.get("filename"), 300), as_text(data.get("extension"), 20)
    if name is None or extension is None:
        return None
    name = f"{name}.{extension}"
    beside = path.rpartition("/")[0]
    guess = folder.media(f"{beside}/{name}" if beside else name)
    if guess is None and is_alone:
        guess = folder.media(f"{stem}.{extension}")
    if guess is None and len(name) >= GUESSED_NAME_LENGTH_MIN:
        guess = folder.find(name, path)
    # A file with a sidecar of its own is that sidecar's.
    return None if guess and f"{guess.path}.json" in folder.files else guess


def _likeness(folder: ScrapeFolder, path: str) -> float:
    """Tell how much the first record of a file is like gallery-dl's."""
    if folder.files[path].size_bytes > SNIFFED_BYTES_MAX:
        return 0.0
    try:
        value = next((value for _, value, _ in _values(folder, path)), None)
    except RecordError:
        return 0.0
    if not isinstance(value, dict) or not isinstance(value.get("category"), str):
        return 0.0
    if isinstance(value.get("subcategory"), str):
        return 0.97
    written = {"extension", "filename", "num", "count", "date", "id", "user", "author", "tags"}
    beside = dig(value, "extension") is not None or path.rpartition("/")[2].count(".") > 1
    return 0.85 if beside and len(written & value.keys()) >= 2 else 0.3
