"""Hugging Face imagefolder: it owns metadata.jsonl and metadata.csv, item JSON, and class folders.

Every row is an observation of the file that it names, also when several rows name one file. A row
whose file is absent describes a virtual node, by the item's own address where a `<file>.json` names
one. Class folders (`train/cat/x.jpg`) count only where no metadata file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import MediaFile, NodeReference, Observation, Problem, Record, Sniff
from adapters.records.values import as_text, first, mappings
from adapters.sources.labelled_columns import (
    MEDIA_EXTENSIONS,
    find_named,
    node_of_missing,
    understand,
)
from adapters.sources.labelled_rows import rows
from adapters.sources.schemas.labelled_file import TABLE
from sql import DeclaredTable

SOURCE = "labelled_file"
METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
}
CLASSES_MIN = 2
SNIFFED_ROWS_MAX = 20


class ImagefolderAdapter:
    """Hugging Face imagefolder and audiofolder."""

    name = "imagefolder"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for a metadata file whose rows have file_name; else for class folders."""
        for path in _metadata_paths(folder):
            for count, row in enumerate(rows(folder, path)):
                if isinstance(row.value, dict) and _names_of(row.value):
                    return Sniff(0.95, f"{path!a} has rows with file_name")
                if count == SNIFFED_ROWS_MAX:
                    break
        classes = _classes(folder)
        if not classes:
            return Sniff(0.0, "neither metadata nor class folders")
        with_splits = any(split for _, split in classes.values())
        # Any album looks like a class; only splits above them make it likely.
        return Sniff(0.3 if with_splits else 0.05, "folders named like classes")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the rows of the metadata files and the item JSON, sorted by path."""
        metadata = set(_metadata_paths(folder))
        if not metadata:
            yield from _class_records(folder)
        items = _Items(folder)
        for path in folder.paths:
            base = path.rpartition("/")[2].lower()
            if path in metadata:
                yield from _metadata_records(folder, path, items)
            elif base == "metadata.parquet":
                yield Problem(path, -1, "Parquet is not read here; export it as metadata.jsonl")
            elif base.endswith(".json"):
                yield items.record(path, metadata)


class _Items:
    """JSON files of single items, `<file name>.json`, and the nodes that they describe."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self._folder = folder
        self._values: dict[str, dict[str, Any] | RecordError] = {}

    def _value(self, path: str) -> dict[str, Any] | RecordError:
        if path not in self._values:
            try:
                value = self._folder.read_json(path)
            except RecordError as error:
                value = error
            self._values[path] = (
                value
                if isinstance(value, dict | RecordError)
                else RecordError("JSON of an item that is no object")
            )
        return self._values[path]

    def address_of(self, metadata: str, file_name: str) -> str | None:
        """Return the address that the item JSON of an absent file gives."""
        found = self._folder.find(f"{file_name}.json", metadata)
        value = self._value(found.path) if found else None
        if not isinstance(value, dict):
            return None
        text = as_text(first(value.get("image"), value.get("image_url"), value.get("url")))
        return text if text and "://" in text else None

    def record(self, path: str, metadata: set[str]) -> Record | Problem:
        """Return the record of one item JSON."""
        value = self._value(path)
        if isinstance(value, RecordError):
            return Problem(path, -1, str(value))
        file_name = path.rpartition("/")[2][: -len(".json")]
        if not extension_of(file_name):
            return Problem(path, -1, "JSON that belongs to no file: its name is not <file>.json")
        near = min(
            metadata, key=lambda p: (not path.startswith(p.rpartition("/")[0]), p), default=path
        )
        try:
            subject = self._subject(path, near, file_name)
        except RecordError as error:
            return Problem(path, -1, str(error))
        said = understand(value)
        tags = [
            f"{kind}: {text}" if kind else text
            for trait in mappings(value.get("attributes"))
            if (text := as_text(trait.get("value")))
            for kind in [as_text(trait.get("trait_type"))]
        ]
        meta = {**said.meta, "layout": "imagefolder", "file_name": file_name}
        meta["tags"] = tags[:1_000] or said.meta["tags"]
        meta["url"] = self.address_of(path, file_name) or said.url
        own = Observation(subject, SOURCE, True, said.title, said.view, said.time, None, meta)
        return Record(path, -1, subject, (own,))

    def _subject(self, path: str, near: str, file_name: str) -> NodeReference:
        if found := find_named(self._folder, path, file_name):
            return found
        if address := self.address_of(path, file_name):
            return describe("web", "media", address)
        return node_of_missing(self._folder, near, file_name)


# ---- Metadata files ------------------------------------------------------------------------------


def _metadata_paths(folder: ScrapeFolder) -> list[str]:
    return [p for p in folder.paths if p.rpartition("/")[2].lower() in METADATA_NAMES]


def _metadata_records(folder: ScrapeFolder, path: str, items: _Items) -> Iterator[Record | Problem]:
    for row in rows(folder, path):
        if isinstance(row.value, RecordError):
            yield Problem(path, row.number, str(row.value))
            continue
        names = _names_of(row.value)
        if not names:
            yield Problem(path, row.number, "a row without file_name")
            continue
        try:
            yield _row_record(folder, path, row.number, row.value, names, items)
        except RecordError as error:
            yield Problem(path, row.number, str(error))


def _names_of(value: dict[str, Any]) -> list[str]:
    """Return the files that a row names: `file_name`, `image_file_name`, `file_names` ..."""
    names: list[str] = []
    for column, content in value.items():
        if column == "file_name" or column.endswith("_file_name"):
            names.append(as_text(content) or "")
        elif column == "file_names" or column.endswith("_file_names"):
            members = content if isinstance(content, list) else []
            names.extend(as_text(member) or "" for member in members[:1_000])
    return [name for name in names if name]


def _row_record(
    folder: ScrapeFolder,
    path: str,
    number: int,
    value: dict[str, Any],
    names: list[str],
    items: _Items,
) -> Record:
    said = understand(value)
    observations: list[Observation] = []
    for name in dict.fromkeys(names):
        node: NodeReference | None = find_named(folder, path, name)
        if node is None:
            address = items.address_of(path, name)
            node = (
                describe("web", "media", address)
                if address
                else node_of_missing(folder, path, name)
            )
        meta = {**said.meta, "layout": "imagefolder", "file_name": name}
        meta["split"] = said.meta["split"] or _split_of(path) or _split_of(name)
        title = said.title or said.meta["label"]
        observations.append(
            Observation(node, SOURCE, True, title, said.view, said.time, None, meta)
        )
    return Record(path, number, observations[0].node, tuple(observations), (), value)


def _split_of(path: str) -> str | None:
    for part in path.lower().split("/")[:-1]:
        if part in SPLITS:
            return SPLITS[part]
    return None


# ---- Class folders -------------------------------------------------------------------------------


def _classes(folder: ScrapeFolder) -> dict[str, tuple[str, str | None]]:
    """Return label and split of every medium; nothing when the folders are no classes."""
    found: dict[str, tuple[str, str | None]] = {}
    for path in folder.paths:
        if extension_of(path) not in MEDIA_EXTENSIONS:
            continue
        parts = path.split("/")[:-1]
        split = SPLITS.get(parts[0].lower()) if parts else None
        labels = parts[1:] if split else parts
        if len(labels) != 1:
            return {}
        found[path] = (labels[0], split)
    labels = Counter(label for label, _ in found.values())
    return found if len(labels) >= CLASSES_MIN else {}


def _class_records(folder: ScrapeFolder) -> Iterator[Record]:
    for path, (label, split) in _classes(folder).items():
        meta = {
            "layout": "imagefolder",
            "file_name": as_text(path.rpartition("/")[2]),
            "label": as_text(label),
            "label_from": "folder",
            "split": split,
        }
        media = MediaFile(path)
        own = Observation(media, SOURCE, True, as_text(label), meta=meta)
        # The path is the whole record, and it has no object of its own.
        yield Record(path, -1, media, (own,), (), {"path": as_text(path)})


ADAPTERS = (ImagefolderAdapter(),)
