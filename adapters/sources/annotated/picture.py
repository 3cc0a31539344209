"""Annotated pictures: what every format of annotations comes to, and the rows that are made of it.

A picture is the file, or a node of this very data set where the file is not there. Each label on it
is a row of its own; so is the picture itself, for its size and its split, also without any label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Link, MediaFile, NodeReference, Observation, Problem, Record
from adapters.records.values import as_count, as_number, as_text
from adapters.sources.annotated.pixels import size_of_file
from adapters.sources.labelled_columns import find_named, node_of_missing
from adapters.sources.schemas.build import source_table
from sql import Geometry

SOURCE = "annotation"
TABLE = source_table(
    SOURCE,
    2,
    "Annotations: labels of pictures, texts and sounds, as COCO and other formats have them",
    """
    format text: coco, yolo, voc, labelme, cvat, label_studio, datumaro, open_images, fiftyone or createml
    kind text: picture for what is said of all of it; box, rotated_box, polygon, mask, points, span, tag, caption
    annotation_id text: Id or number of the label in its file
    image_id text: Id of the picture in its file
    file_name text: Name of the picture as the annotation writes it
    split text: train, validation, test ...
    image_width bigint: Width of the picture in pixels
    image_height bigint: Height of the picture in pixels
    label text: Class
    category_id bigint: Number of the class
    supercategory text: What the class is one of
    x double precision: Left side of the upright box in pixels
    y double precision: Upper side of the upright box in pixels
    width double precision: Width of the upright box in pixels
    height double precision: Height of the upright box in pixels
    geometry jsonb: Polygons, mask, key points, turned box, span
    confidence double precision: How sure who or what labelled it was, 0 to 1
    caption text: Text about the picture
    annotator text: Who labelled it
    attributes jsonb: What else the label says, such as truncated or occluded
    """,  # noqa: E501
)
SPLITS = {
    "train": "train", "training": "train", "trainval": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip
_WORD = re.compile(r"[a-z]+")
LABELS_MAX = 100_000
ATTRIBUTES_LENGTH_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a picture; pixels. `box` is left, top, width and height."""

    label: str | None = None
    box: tuple[float, float, float, float] | None = None
    geometry: Geometry = field(default_factory=Geometry)
    kind: str | None = None
    """Where the geometry does not say it."""
    annotation_id: Any = None
    category_id: Any = None
    supercategory: Any = None
    confidence: Any = None
    caption: Any = None
    annotator: Any = None
    attributes: Any = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One annotated picture, before it is found in the folder.

    Its size is that of the file where the annotation does not say it.
    """

    file_name: str
    labels: Sequence[Label]
    image_id: Any = None
    split: str | None = None
    width: Any = None
    height: Any = None
    candidates: Sequence[str] = ()
    """Other names under which the file may lie, from the root, the likeliest first."""
    node: str | None = None
    """What was labelled, where it is no file that has a name."""
    title: str | None = None


def picture_record(
    folder: ScrapeFolder, path: str, number: int, picture: Picture, layout: str, complete: Any
) -> Record:
    """Return what a picture and its labels say; RecordError when it has no usable name."""
    name = as_text(picture.file_name, 1_000)
    if picture.node is None and not name:
        raise RecordError("a picture without a name")
    node = picture.node or _node(folder, path, name or "", picture.candidates)
    size = as_count(picture.width) or None, as_count(picture.height) or None
    if not all(size) and isinstance(node, MediaFile):
        size = size_of_file(folder, node.path) or size
    common = {
        "format": layout,
        "image_id": as_text(picture.image_id),
        "file_name": name,
        "split": picture.split,
        "image_width": size[0],
        "image_height": size[1],
    }
    rows = [{**common, "kind": "picture"}]
    rows += [{**common, **_columns(label)} for label in picture.labels[:LABELS_MAX]]
    captions = [as_text(label.caption) for label in picture.labels if label.caption]
    title = as_text(picture.title) or next(iter(captions), None)
    observations = tuple(
        Observation(node, SOURCE, not place, title if not place else None, meta=row)
        for place, row in enumerate(rows)
    )
    links: list[Link] = []
    if picture.split:
        links.append(Link(describe("dataset", "tag", f"split {picture.split}"), node, "tagged"))
    return Record(path, number, node, observations, tuple(links), complete)


def _node(folder: ScrapeFolder, path: str, name: str, candidates: Sequence[str]) -> NodeReference:
    for candidate in candidates:
        if candidate in folder.files:
            return MediaFile(candidate)
    return find_named(folder, path, name) or node_of_missing(folder, path, name)


def _columns(label: Label) -> dict[str, Any]:
    geometry = label.geometry
    box = label.box or geometry.bounds()
    if box is not None and not all(abs(number) < 1e9 for number in box):
        raise RecordError("a box beyond any picture")
    place = dict(zip(("x", "y", "width", "height"), map(float, box or ()), strict=False))
    has_place = box is not None or geometry.kind != "box"
    kind = label.kind or (geometry.kind if has_place else "tag")
    return {
        "kind": "caption" if kind == "tag" and label.caption else kind,
        "annotation_id": as_text(label.annotation_id),
        "label": as_text(label.label, 200),
        "category_id": as_count(label.category_id),
        "supercategory": as_text(label.supercategory) or None,
        "confidence": as_number(label.confidence),
        "caption": as_text(label.caption),
        "annotator": as_text(label.annotator),
        "geometry": geometry.as_json(),
        "attributes": _json(label.attributes),
        **place,
    }


def _json(value: Any) -> str | None:
    if not isinstance(value, dict) or not value:
        return None
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text if len(text) <= ATTRIBUTES_LENGTH_MAX and "\\u0000" not in text else None


def usable(path: str, labels: Iterable[Callable[[], Label]]) -> tuple[list[Label], list[Problem]]:
    """Return the labels that can be read, and what is wrong with the others by their numbers."""
    found: list[Label] = []
    problems: list[Problem] = []
    for number, read in enumerate(labels):
        try:
            found.append(read())
        except RecordError as error:
            problems.append(Problem(path, number, str(error)))
    return found, problems


def geometry(**parts: Any) -> Geometry:
    """Return a geometry; RecordError says what is wrong with it."""
    try:
        return Geometry.model_validate(parts)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecordError(f"a label whose place is unusable: {reason}") from None


def split_in(path: str) -> str | None:
    """Return the split that a path names: a folder, or a word of the file's name."""
    parts = path.lower().split("/")
    words = [*_WORD.findall(parts[-1]), *reversed(parts[:-1])]
    return next((SPLITS[word] for word in words if word in SPLITS), None)
