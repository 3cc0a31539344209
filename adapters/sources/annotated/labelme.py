"""LabelMe: a JSON beside each picture with `shapes`: rectangles, polygons, circles, points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_number, as_text
from adapters.sources.annotated.picture import (
    TABLE,
    Label,
    Picture,
    geometry,
    picture_record,
    split_in,
    usable,
)
from adapters.sources.plain_folder.sidecars import owner_of
from adapters.sources.reading.documents import document_paths, documents, likely_paths
from sql import DeclaredTable

SURE = 0.96
CIRCLE_CORNERS = 32


class LabelmeAdapter:
    """JSON of LabelMe, one a picture."""

    name = "labelme"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for documents with shapes and the path of a picture."""
        paths = likely_paths(folder)
        known = sum(is_labelme(_value(folder, path)) for path in paths)
        if not known:
            return Sniff(0.0, "no document with shapes")
        sure = SURE * (0.5 + 0.5 * known / len(paths))
        return Sniff(round(sure, 3), f"{known} of {len(paths)} documents looked at are of LabelMe")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the picture of every document, then what is wrong with its shapes."""
        for path in document_paths(folder):
            value = _value(folder, path)
            try:
                if isinstance(value, RecordError):
                    raise value
                if not is_labelme(value):
                    raise RecordError("no LabelMe: there are no `shapes` and `imagePath`")
                labels, problems = _labels(path, value)
                yield _record(folder, path, value, labels)
                yield from problems
            except RecordError as error:
                yield Problem(path, -1, str(error))


def _value(folder: ScrapeFolder, path: str) -> Any:
    return next((document.value for document in documents(folder, path)), None)


def is_labelme(value: Any) -> bool:
    """Tell whether a document is one of LabelMe."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("shapes"), list)
        and ("imagePath" in value or "imageData" in value)
    )


def _record(folder: ScrapeFolder, path: str, value: dict[str, Any], labels: list[Label]) -> Record:
    named = as_text(value.get("imagePath"), 1_000) or ""
    base = named.replace("\\", "/").rpartition("/")[2]
    beside = owner_of(folder, path)
    parent = path.rpartition("/")[0]
    places = [f"{parent}/{base}" if parent else base, *([beside.path] if beside else [])]
    picture = Picture(
        base or (beside.path.rpartition("/")[2] if beside else ""),
        labels,
        split=split_in(path),
        width=value.get("imageWidth"),
        height=value.get("imageHeight"),
        candidates=places,
    )
    return picture_record(folder, path, -1, picture, "labelme", None)


def _labels(path: str, value: dict[str, Any]) -> tuple[list[Label], list[Problem]]:
    shapes = enumerate(value["shapes"])
    labels, problems = usable(path, (partial(_label, number, shape) for number, shape in shapes))
    flags = value.get("flags")
    for name, is_set in (flags if isinstance(flags, dict) else {}).items():
        if is_set is True:
            labels.append(Label(label=as_text(name, 200), kind="tag"))
    return labels, problems


def _label(number: int, shape: Any) -> Label:
    if not isinstance(shape, dict) or as_text(shape.get("label")) is None:
        raise RecordError(f"shape {number + 1} has no label")
    form = as_text(shape.get("shape_type")) or "polygon"
    points = _points(shape.get("points"))
    attributes = {
        name: shape[name]
        for name in ("group_id", "flags", "description")
        if shape.get(name) not in (None, {}, "")
    }
    known: dict[str, Any] = {"label": as_text(shape["label"], 200), "annotation_id": number}
    if form == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        box = min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)
        return Label(**known, box=box, attributes=attributes)
    if form == "circle" and len(points) == 2:
        attributes = {**attributes, "shape_type": form}
        return Label(**known, geometry=geometry(polygons=[_circle(*points)]), attributes=attributes)
    flat = [number for point in points for number in point]
    if form == "polygon":
        return Label(**known, geometry=geometry(polygons=[flat]), attributes=attributes)
    if form in ("point", "points", "line", "linestrip"):
        seen = [number for x, y in points for number in (x, y, 2.0)]
        if not seen:
            raise RecordError(f"shape {number + 1} has no points")
        attributes = {**attributes, "shape_type": form}
        return Label(**known, geometry=geometry(points=seen), attributes=attributes)
    if form == "mask" and len(points) == 2:
        # The mask itself is a picture inside the text; its box is what others can read.
        (left, top), (right, bottom) = points
        box = (left, top, right - left + 1, bottom - top + 1)
        return Label(**known, box=box, attributes={**attributes, "shape_type": form})
    raise RecordError(
        f"shape {number + 1}, {form[:40]!a} of {len(points)} points, is none that is known"
    )


def _points(value: Any) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for point in value if isinstance(value, list) else []:
        numbers = [as_number(number) for number in point] if isinstance(point, list) else []
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
            raise RecordError("a point that is not x and y")
        found.append((numbers[0], numbers[1]))
    return found


def _circle(centre: tuple[float, float], edge: tuple[float, float]) -> list[float]:
    radius = math.hypot(edge[0] - centre[0], edge[1] - centre[1])
    turns = [2 * math.pi * step / CIRCLE_CORNERS for step in range(CIRCLE_CORNERS)]
    return [
        number
        for turn in turns
        for number in (centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn))
    ]
