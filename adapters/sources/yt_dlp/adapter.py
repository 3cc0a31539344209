"""yt-dlp and youtube-dl: it owns finding info files in a folder.

`*.info.json` of all generations, lines of `yt-dlp --dump-json`, and other JSON that is an info
dict. `*.live_chat.json` is no info but lines of a chat: it is attached to its video as a file.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.times import parse_time
from adapters.records.values import dig
from adapters.sources.reading.documents import Document, document_paths, documents
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.youtube_data import VIDEO_SITE
from adapters.sources.yt_dlp.files import INFO, FilesBeside
from adapters.sources.yt_dlp.info import Reading, is_info, is_list
from adapters.sources.yt_dlp.site import platform_of

SNIFFED_FILES_MAX = 10
SNIFFED_BYTES_MAX = 8 << 20
ATTACHED = (".live_chat.json", ".json3", ".danmaku.json")


class YtDlpAdapter:
    """Info files of yt-dlp and youtube-dl, with the files beside them."""

    name = "yt-dlp"
    tables = (VIDEO_SITE.table,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for info dicts in JSON files, those called `.info.json` first."""
        paths = sorted(_paths(folder), key=lambda path: not path.lower().endswith(INFO))
        looked = paths[:SNIFFED_FILES_MAX]
        found = [_likeness(folder, path) for path in looked]
        if not any(found):
            return Sniff(0.0, "no info.json of yt-dlp")
        confidence = round(sum(found) / len(found), 3)
        return Sniff(confidence, f"{sum(map(bool, found))} of {len(found)} JSON files are infos")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield a record for every video or playlist, sorted by path and number."""
        paths = _paths(folder)
        files, media = FilesBeside(folder, paths), MediaFinder(folder)
        for path in paths:
            for document in documents(folder, path):
                yield _read_one(files, Draft(VIDEO_SITE.table.name, path, media), document)


ADAPTERS = (YtDlpAdapter(),)


def _paths(folder: ScrapeFolder) -> list[str]:
    return [path for path in document_paths(folder) if not path.lower().endswith(ATTACHED)]


def _read_one(files: FilesBeside, draft: Draft, document: Document) -> Record | Problem:
    path, value = document.path, document.value
    number = -1 if document.line is None else document.line - 1
    if isinstance(value, RecordError):
        return Problem(path, number, str(value))
    named = path.lower().endswith(INFO) and isinstance(value, dict) and "id" in value
    if not named and not is_info(value):
        return Problem(path, number, "no info of yt-dlp: it is no object with extractor or formats")
    is_alone = number < 0
    draft.scraped_time = parse_time(dig(value, "epoch"))
    reading = Reading(draft)
    beside = files.of(path, value, is_alone)
    read = reading.playlist if is_list(value) else reading.video
    try:
        draft.subject = read(value, beside, platform_of(value))
    except RecordError as error:
        return Problem(path, number, str(error))
    return draft.record(number, None if is_alone else value)


def _likeness(folder: ScrapeFolder, path: str) -> float:
    if folder.files[path].size_bytes > SNIFFED_BYTES_MAX:
        return 0.0
    value = next((document.value for document in documents(folder, path)), None)
    if not isinstance(value, dict) or not is_info(value):
        return 0.0
    named = path.lower().endswith(INFO) or "extractor" in value or "formats" in value
    return 0.96 if named else 0.5
