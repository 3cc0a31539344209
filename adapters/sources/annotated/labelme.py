"""LabelMe: a JSON beside each picture with `shapes`: rectangles, polygons, circles, points."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record
from adapters.records.values import as_number, as_text
from adapters.sources.annotated.json_documents import AnnotatedDocuments, Items
from adapters.sources.annotated.picture import (
    Label,
    Picture,
    geometry,
    picture_record,
    split_in,
    usable,
)
from adapters.sources.annotated.pixels import ellipse
from adapters.sources.plain_folder.sidecars import owner_of


def is_labelme(value: Any) -> bool:
    """Tell whether a document is one of LabelMe."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("shapes"), list)
        and ("imagePath" in value or "imageData" in value)
    )


def _document(folder: ScrapeFolder, path: str, value: dict[str, Any]) -> Items:
    labels, problems = _labels(path, value)
    yield _record(folder, path, value, labels)
    yield from problems


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
        radius = math.dist(*points)
        ring = ellipse(points[0], (radius, radius))
        return Label(**known, geometry=geometry(polygons=[ring]), attributes=attributes)
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


LABELME = AnnotatedDocuments("labelme", "shapes and the path of a picture", is_labelme, _document)
