"""Samples: it owns grouping the members of a shard by key, and what a sample becomes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, decode_text, extension_of, parse_json
from adapters.records.items import Link, MediaFile, NodeReference, Observation, Problem, Record
from adapters.records.values import as_text, clean
from adapters.sources.labelled_columns import MEDIA_EXTENSIONS, understand
from adapters.sources.webdataset.shard import Member

SOURCE = "labelled_file"
PENDING_SAMPLES_MAX = 100_000
PENDING_BYTES_MAX = 512 * MIB
TEXT_BYTES_MAX = 16 * MIB
CAPTIONS = ("txt", "text", "caption")
LABELS = ("cls", "cls2", "label", "index")
JSON = ("json", "jsn")
# Members that are files of their own beside the pictures and sounds.
_DOCUMENTS = ("pdf", "srt", "vtt", "html")


@dataclass(slots=True)
class Sample:
    """The members of one key; `extensions` in the order of the shard."""

    number: int
    key: str
    media: list[tuple[str, MediaFile]] = field(default_factory=list[tuple[str, MediaFile]])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    others: list[str] = field(default_factory=list[str])
    size_bytes: int = 0


class Samples:
    """The samples of one shard that wait for more of their members.

    Members of a key usually stand together, but plain tars are sorted otherwise; so all samples
    wait for the end of the shard, or until too many of them do.
    """

    def __init__(self, folder: ScrapeFolder, path: str) -> None:
        self._folder, self._path = folder, path
        self._pending: OrderedDict[str, Sample] = OrderedDict()
        self._count = self._bytes = 0

    def add(self, member: Member) -> Iterator[Record | Problem]:
        """Take a member; yields the samples that cannot wait longer."""
        key, extension = split_name(member.name)
        sample = self._pending.get(key)
        if sample is None:
            sample = self._pending[key] = Sample(self._count, key)
            self._count += 1
        try:
            self._take(sample, member, extension)
        except RecordError as error:
            yield Problem(self._path, sample.number, f"{member.name[:200]!a}: {error}")
        while self._pending and (
            len(self._pending) > PENDING_SAMPLES_MAX or self._bytes > PENDING_BYTES_MAX
        ):
            yield from self._finish(self._pending.popitem(last=False)[1])

    def finish(self) -> Iterator[Record | Problem]:
        """Yield the samples that are left."""
        while self._pending:
            yield from self._finish(self._pending.popitem(last=False)[1])

    @property
    def count(self) -> int:
        """How many samples there were."""
        return self._count

    def _take(self, sample: Sample, member: Member, extension: str) -> None:
        last = extension_of(f"x.{extension}")
        if last in MEDIA_EXTENSIONS or last in _DOCUMENTS:
            file = self._folder.extract(self._path, f"member.{last}", member.chunks())
            sample.media.append((extension, file))
        elif last in CAPTIONS or last in LABELS or last in JSON:
            text = clean(decode_text(member.read(TEXT_BYTES_MAX)))
            sample.texts[extension] = text
            sample.size_bytes += len(text)
            self._bytes += len(text)
        else:
            sample.others.append(extension or member.name[:200])

    def _finish(self, sample: Sample) -> Iterator[Record | Problem]:
        self._bytes -= sample.size_bytes
        if not sample.media and not sample.texts:
            if sample.others:
                kinds = ", ".join(sample.others)[:200]
                reason = f"sample {sample.key[:200]!a} has only members of unknown kind: {kinds!a}"
                yield Problem(self._path, sample.number, reason)
            return
        try:
            yield sample_record(self._folder, self._path, sample)
        except RecordError as error:
            yield Problem(self._path, sample.number, str(error))


def split_name(name: str) -> tuple[str, str]:
    """Return key and extension: the name up to the first dot of its last part, and the rest."""
    parent, slash, base = name.replace("\\", "/").rpartition("/")
    # A name that begins with a dot has no stem before it.
    stem, _, extension = base[1:].partition(".") if base.startswith(".") else base.partition(".")
    stem = f".{stem}" if base.startswith(".") else stem
    return f"{parent}{slash}{stem}", extension.lower()


def sample_record(folder: ScrapeFolder, path: str, sample: Sample) -> Record:
    """Return the record of one sample: its first medium with everything that is said about it."""
    value = _json_of(sample)
    said = understand(value)
    captions = [text for name, text in sample.texts.items() if _last(name) in CAPTIONS]
    labels = [text for name, text in sample.texts.items() if _last(name) in LABELS]
    caption = as_text(captions[0]) if captions else said.meta["caption"]
    label = as_text(labels[0]) if labels else said.meta["label"]
    subject = _subject(folder, path, sample, said.url)
    meta = {
        **said.meta,
        "layout": "webdataset",
        "file_name": None,
        "item_id": as_text(sample.key),
        "caption": caption,
        "label": label,
        "label_from": "column" if label else None,
        "error": said.meta["error"],
        "members": [text for text in map(as_text, sample.others) if text] or None,
    }
    title = caption or said.title or label
    own = Observation(subject, SOURCE, True, title, said.view, said.time, None, meta)
    links = [Link(subject, file, "attachment") for _, file in sample.media if file != subject]
    complete: dict[str, Any] = {
        "key": sample.key,
        "members": [*(name for name, _ in sample.media), *sample.texts, *sample.others],
    }
    if value:
        complete["json"] = value
    texts = {
        name: text for name, text in sample.texts.items() if not (value and _last(name) in JSON)
    }
    if texts:
        complete["texts"] = texts
    return Record(path, sample.number, subject, (own,), tuple(dict.fromkeys(links)), complete)


def _json_of(sample: Sample) -> dict[str, Any]:
    for name, text in sample.texts.items():
        if _last(name) in JSON:
            value = parse_json(text)
            if isinstance(value, dict):
                return value
    return {}


def _subject(folder: ScrapeFolder, path: str, sample: Sample, url: str | None) -> NodeReference:
    if sample.media:
        plain = [file for name, file in sample.media if "." not in name]
        return plain[0] if plain else sample.media[0][1]
    if url:
        # img2dataset keeps the metadata of downloads that failed.
        return describe("web", "media", url)
    name, text = next(iter(sample.texts.items()))
    last = _last(name)
    extension = last if last in ("txt", "json") else "json" if last in JSON else "txt"
    return folder.extract(path, f"member.{extension}", [text.encode("utf-8", "replace")])


def _last(extension: str) -> str:
    return extension.rpartition(".")[2]
