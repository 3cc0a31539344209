"""The webdataset adapter: it owns which files are shards and lists of addresses, and no format.

One sample of a shard (members of one key: picture, json, txt, cls) is one record about its first
medium; other media of the sample are attachments. A sample whose download failed describes
`web:media:<address>`, and so does every line of a list of addresses. Loose `<key>.json` beside
media (img2dataset's `files` output) are read like members. Parquet needs pyarrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, decode_text, extension_of
from adapters.records.items import MediaFile, Observation, Problem, Record, Sniff
from adapters.records.values import as_text, clean
from adapters.sources.labelled_columns import MEDIA_EXTENSIONS
from adapters.sources.schemas.labelled_file import TABLE
from adapters.sources.webdataset.parquet import parquet_records
from adapters.sources.webdataset.samples import Sample, Samples, sample_record, split_name
from adapters.sources.webdataset.shard import Member, members
from sql import DeclaredTable

SOURCE = "labelled_file"
SHARD_SUFFIXES = (".tar", ".tgz", ".tar.gz")
SNIFFED_FILES_MAX = 4
SNIFFED_MEMBERS_MAX = 20
LIST_BYTES_MAX = 1 << 30
LINE_BYTES_MAX = MIB
HEAD_BYTES = 1 << 14


class WebdatasetAdapter:
    """Tar shards of samples, img2dataset output and inputs."""

    name = "webdataset"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at the first members of a few shards, at loose samples and at lists of addresses."""
        shards = folder.with_suffix(*SHARD_SUFFIXES)[:SNIFFED_FILES_MAX]
        known = sum(_holds_samples(folder, path) for path in shards)
        if known:
            return Sniff(0.9, f"{known} of {len(shards)} shards tried hold samples")
        loose = [
            p for p in folder.with_suffix(".json")[:SNIFFED_MEMBERS_MAX] if _is_loose(folder, p)
        ]
        if loose:
            return Sniff(0.85, "files as img2dataset writes them")
        lists = folder.with_suffix(".txt")[:SNIFFED_FILES_MAX]
        if lists and all(_is_list(folder, path) for path in lists):
            return Sniff(0.5, "lists of addresses")
        return Sniff(0.0, "no shard with samples")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the samples of every shard, loose samples, and the lines of lists."""
        for path in folder.paths:
            lowered = path.lower()
            if lowered.endswith(SHARD_SUFFIXES):
                yield from _shard(folder, path)
            elif lowered.endswith(".parquet"):
                yield from parquet_records(folder, path)
            elif lowered.endswith(".json"):
                yield from _loose_sample(folder, path)
            elif lowered.endswith(".txt") and not _media_of(folder, path):
                yield from _list(folder, path)


def _shard(folder: ScrapeFolder, path: str) -> Iterator[Record | Problem]:
    samples = Samples(folder, path)
    is_damaged = False
    with folder.open(path) as file:
        for member in members(file):
            if isinstance(member, Member):
                yield from samples.add(member)
                continue
            is_damaged = True
            name = f"{member.name[:200]!a} " if member.name else ""
            yield Problem(path, samples.count, name + member.reason)
        yield from samples.finish()
    if not samples.count and not is_damaged:
        yield Problem(path, -1, "a shard without members")


def _holds_samples(folder: ScrapeFolder, path: str) -> bool:
    with folder.open(path) as file:
        for count, member in enumerate(members(file)):
            if count == SNIFFED_MEMBERS_MAX:
                return False
            last = split_name(member.name)[1].rpartition(".")[2]
            if isinstance(member, Member) and last in MEDIA_EXTENSIONS | {"cls", "json", "txt"}:
                return True
    return False


# ---- Loose samples -------------------------------------------------------------------------------


def _loose_sample(folder: ScrapeFolder, path: str) -> Iterator[Record | Problem]:
    if path.endswith("_stats.json"):
        # img2dataset's own log of a shard: no sample.
        return
    try:
        value = folder.read_json(path)
    except RecordError as error:
        yield Problem(path, -1, str(error))
        return
    media = _media_of(folder, path)
    if not isinstance(value, dict) or not (media or _is_failed(value)):
        yield Problem(path, -1, "JSON beside no medium of the same name: no sample")
        return
    sample = Sample(-1, as_text(path.rpartition(".")[0]) or path)
    sample.media = [(extension_of(file.path), file) for file in media]
    sample.texts["json"] = clean(json.dumps(value, ensure_ascii=False))
    caption = path[: -len("json")] + "txt"
    try:
        if caption in folder.files:
            sample.texts["txt"] = clean(folder.read_text(caption))
        yield sample_record(folder, path, sample)
    except RecordError as error:
        yield Problem(path, -1, str(error))


def _media_of(folder: ScrapeFolder, path: str) -> list[MediaFile]:
    stem = path.rpartition(".")[0]
    names = (f"{stem}.{extension}" for extension in sorted(MEDIA_EXTENSIONS))
    return [file for name in names if (file := folder.media(name))]


def _is_failed(value: dict[str, Any]) -> bool:
    return {"url", "status", "key"} <= value.keys()


def _is_loose(folder: ScrapeFolder, path: str) -> bool:
    try:
        value = folder.read_json(path)
    except RecordError:
        return False
    return isinstance(value, dict) and _is_failed(value)


# ---- Lists of addresses --------------------------------------------------------------------------


def _is_list(folder: ScrapeFolder, path: str) -> bool:
    with folder.open(path) as file:
        lines = decode_text(file.read(HEAD_BYTES)).split("\n")
    lines = [line.strip() for line in lines[:50] if line.strip()]
    return bool(lines) and all(line.lower().startswith(("http://", "https://")) for line in lines)


def _list(folder: ScrapeFolder, path: str) -> Iterator[Record | Problem]:
    if not _is_list(folder, path):
        return
    with folder.open(path) as file:
        number = -1
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            text = clean(decode_text(line)).strip()
            if not text:
                continue
            try:
                if not text.lower().startswith(("http://", "https://")):
                    raise RecordError(f"a line that is no address: {text[:80]!a}")
                node = describe("web", "media", text)
            except RecordError as error:
                yield Problem(path, number, str(error))
                continue
            meta = {"layout": "webdataset", "url": as_text(text)}
            own = Observation(node, SOURCE, True, meta=meta)
            yield Record(path, number, node, (own,), (), text)


ADAPTERS = (WebdatasetAdapter(),)
