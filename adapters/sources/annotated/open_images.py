"""Open Images: tables of boxes, of labels of whole pictures and of masks, in shares of a picture.

A picture is known by its id, which its file is called by. Its size is that of the file, or of
`images.meta` as Datumaro writes it. A label that somebody verified to be absent (confidence 0) is
no label; the complete record keeps it. Classes get the names of `class-descriptions.csv`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_number, as_text
from adapters.sources.annotated.json_documents import Items, Told, records_of
from adapters.sources.annotated.picture import TABLE, Label, Picture, geometry, split_in
from adapters.sources.annotated.pixels import mask_in_file, size_of_file
from sql import DeclaredTable, media_type_of

SURE = 0.95
ROWS_MAX = 3_000_000
"""The most rows of one table; larger ones are for a part of the data set first."""
BOXES = frozenset({"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"})
MASKS = frozenset({"MaskPath", "ImageID", "LabelName"})
LABELS = frozenset({"ImageID", "LabelName", "Confidence"})
PICTURES = frozenset({"ImageID", "OriginalURL"})
FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
Row = dict[str, str]


@dataclass(slots=True)
class _Tables:
    """What the other tables of a folder say of classes, and of pictures by their ids."""

    names: dict[str, str] = field(default_factory=dict[str, str])
    pictures: dict[str, Row] = field(default_factory=dict[str, Row])
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    problems: list[Problem] = field(default_factory=list[Problem])


class OpenImagesAdapter:
    """Tables of Open Images."""

    name = "open-images"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at the heads of tables."""
        found = [path for path in folder.with_suffix(".csv") if _kind(folder, path)]
        if not any(_kind(folder, path) in ("boxes", "labels", "masks") for path in found):
            return Sniff(0.0, "no table of Open Images")
        return Sniff(SURE, f"{len(found)} tables of Open Images")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the pictures of every table, each with its labels there."""
        found = _Tables()
        labelled: list[str] = []
        for path in folder.with_suffix(".csv"):
            kind = _kind(folder, path)
            if kind in ("boxes", "labels", "masks"):
                labelled.append(path)
            elif kind == "pictures":
                rows = _rows(folder, path, found)
                found.pictures |= {row["ImageID"]: row for row in rows if row.get("ImageID")}
            elif "class-descriptions" in path:
                found.names |= _names(folder, path)
        for path in folder.with_suffix(".meta"):
            found.sizes |= _sizes(folder, path)
        files = _files(folder)
        for path in labelled:
            yield from _items(folder, path, found, files)
        yield from found.problems


def _kind(folder: ScrapeFolder, path: str) -> str | None:
    first = next((line for _, line in folder.read_lines(path)), None)
    if not isinstance(first, str):
        return None
    names = {name.strip().strip('"').removeprefix("\ufeff") for name in first.split(",")}
    kinds = {"boxes": BOXES, "masks": MASKS, "labels": LABELS, "pictures": PICTURES}
    return next((kind for kind, needed in kinds.items() if needed <= names), None)


def _rows(folder: ScrapeFolder, path: str, found: _Tables) -> Iterator[Row]:
    lines = (line for _, line in folder.read_lines(path) if isinstance(line, str))
    try:
        for number, row in enumerate(csv.DictReader(lines)):
            if number >= ROWS_MAX:
                reason = f"more than {ROWS_MAX:,} rows: give it in parts"
                found.problems.append(Problem(path, -1, reason))
                return
            yield {name: value for name, value in row.items() if name and isinstance(value, str)}
    except csv.Error as error:
        found.problems.append(Problem(path, -1, f"no table that can be read: {error}"))


def _names(folder: ScrapeFolder, path: str) -> dict[str, str]:
    pairs = (line.partition(",") for _, line in folder.read_lines(path) if isinstance(line, str))
    return {key: name.strip().strip('"') for key, _, name in pairs if key.startswith("/")}


def _sizes(folder: ScrapeFolder, path: str) -> dict[str, tuple[int, int]]:
    """Return width and height by picture; a line has the height first."""
    lines = [line.rsplit(" ", 2) for _, line in folder.read_lines(path) if isinstance(line, str)]
    return {
        parts[0].strip('"'): (int(parts[2]), int(parts[1]))
        for parts in lines
        if len(parts) == 3 and all(word.isdecimal() and len(word) < 8 for word in parts[1:])
    }


def _files(folder: ScrapeFolder) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in folder.whole.paths:
        if media_type_of(extension_of(path)) == "image":
            found.setdefault(path.rpartition("/")[2].rpartition(".")[0], path)
    return found


def _items(folder: ScrapeFolder, path: str, found: _Tables, files: dict[str, str]) -> Items:
    rows: dict[str, list[Row]] = {}
    for row in _rows(folder, path, found):
        if row.get("ImageID"):
            rows.setdefault(row["ImageID"], []).append(row)
    told = (_picture(folder, path, one, found, files, of) for one, of in rows.items())
    yield from records_of(folder, path, "open_images", told)


def _picture(
    folder: ScrapeFolder,
    path: str,
    identity: str,
    found: _Tables,
    files: dict[str, str],
    rows: list[Row],
) -> Told:
    file = files.get(identity)
    size = found.sizes.get(identity) or (size_of_file(folder, file) if file else None)
    about = found.pictures.get(identity, {})
    labels, wrong = list[Label](), list[str]()
    for row in rows:
        try:
            label = _label(folder, row, size, found, files)
            if label is not None:
                labels.append(label)
        except RecordError as error:
            wrong.append(f"a label of {identity[:80]!a}: {error}")
    width, height = size or (None, None)
    picture = Picture(
        (file or f"{identity}.jpg").rpartition("/")[2],
        labels,
        image_id=identity,
        split=split_in(path) or split_in(f"{about.get('Subset', '')}/"),
        width=width,
        height=height,
        candidates=(file,) if file else (),
        title=about.get("Title"),
    )
    return picture, wrong, {"image": about, "annotations": rows}


def _label(
    folder: ScrapeFolder,
    row: Row,
    size: tuple[int, int] | None,
    found: _Tables,
    files: dict[str, str],
) -> Label | None:
    code = as_text(row.get("LabelName"), 200) or ""
    confidence = as_number(row.get("Confidence"))
    flags = (name for name in FLAGS if row.get(name) in ("0", "1"))
    attributes: dict[str, Any] = {name: row[name] == "1" for name in flags}
    attributes |= {name: row[name] for name in ("Source",) if row.get(name)}
    known: dict[str, Any] = {
        "label": found.names.get(code, code),
        "annotation_id": row.get("BoxID"),
        "confidence": confidence,
        "attributes": {"code": code, **attributes},
    }
    if "MaskPath" in row:
        stem = row["MaskPath"].rpartition("/")[2].rpartition(".")[0]
        if stem not in files:
            raise RecordError(f"its mask {row['MaskPath'][:80]!a} is not there")
        return Label(geometry=geometry(mask=mask_in_file(folder, files[stem])), **known)
    if "XMin" not in row:
        return Label(kind="tag", **known) if confidence != 0 else None
    if size is None:
        raise RecordError("the size of its picture cannot be told, and Open Images has shares")
    numbers = [as_number(row.get(name)) for name in ("XMin", "YMin", "XMax", "YMax")]
    places = [number for number in numbers if number is not None]
    if len(places) != 4 or places[2] < places[0] or places[3] < places[1]:
        raise RecordError("XMin, YMin, XMax and YMax are no box")
    width, height = size
    left, top, right, bottom = places
    box = (left * width, top * height, (right - left) * width, (bottom - top) * height)
    return Label(box=box, **known)
