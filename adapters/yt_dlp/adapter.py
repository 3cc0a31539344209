"""yt-dlp and youtube-dl: it owns finding info files in a folder.

`*.info.json` of all generations, lines of `yt-dlp --dump-json`, and other JSON that is an info
dict. `*.live_chat.json` is no info but lines of a chat: it is attached to its video as a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.errors import RecordError
from adapters.folder import ScrapeFolder
from adapters.items import Problem, Record, Sniff
from adapters.json_sidecars import record_paths, values_of
from adapters.schemas.video_site import TABLE
from adapters.yt_dlp.files import INFO, FilesBeside
from adapters.yt_dlp.info import Reading, is_info, is_list
from adapters.yt_dlp.site import platform_of

SNIFFED_FILES_MAX = 10
SNIFFED_BYTES_MAX = 8 << 20
ATTACHED = (".live_chat.json", ".json3", ".danmaku.json")


class YtDlpAdapter:
    """Info files of yt-dlp and youtube-dl, with the files beside them."""

    name = "yt-dlp"
    tables = (TABLE,)

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
        files = FilesBeside(folder, paths)
        for path in paths:
            for number, value in values_of(folder, path):
                yield _read_one(files, path, number, value)


ADAPTERS = (YtDlpAdapter(),)


def _paths(folder: ScrapeFolder) -> list[str]:
    return [path for path in record_paths(folder) if not path.lower().endswith(ATTACHED)]


def _read_one(files: FilesBeside, path: str, number: int, value: Any) -> Record | Problem:
    if isinstance(value, RecordError):
        return Problem(path, number, str(value))
    named = path.lower().endswith(INFO) and isinstance(value, dict) and "id" in value
    if not named and not is_info(value):
        return Problem(path, number, "no info of yt-dlp: it is no object with extractor or formats")
    is_alone = number < 0
    reading = Reading()
    beside = files.of(path, value, is_alone)
    read = reading.playlist if is_list(value) else reading.video
    try:
        subject = read(value, beside, platform_of(value))
    except RecordError as error:
        return Problem(path, number, str(error))
    return Record(
        path,
        number,
        subject,
        tuple(reading.observations.values()),
        tuple(reading.links),
        None if is_alone else value,
    )


def _likeness(folder: ScrapeFolder, path: str) -> float:
    if folder.files[path].size_bytes > SNIFFED_BYTES_MAX:
        return 0.0
    value = next((value for _, value in values_of(folder, path)), None)
    if not isinstance(value, dict) or not is_info(value):
        return 0.0
    named = path.lower().endswith(INFO) or "extractor" in value or "formats" in value
    return 0.96 if named else 0.5
