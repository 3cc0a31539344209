"""From what the database streams to what layouts get: it owns labels, boxes and image sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from datasets.choice.question import HEIGHT, WIDTH
from datasets.definition.definition import Definition
from datasets.layout.face import Box, DatasetRow
from sql import Boxes, CandidateRow, geometry_of

_OWN = frozenset({WIDTH, HEIGHT})


def dataset_rows(
    found: Iterable[CandidateRow],
    definition: Definition,
    classes: Sequence[str],
    splits: Sequence[str],
) -> Iterator[DatasetRow]:
    """Yield the rows as layouts get them."""
    boxes = definition.boxes
    for number, row in enumerate(found):
        width, height = _pixels(row.values.get(WIDTH)), _pixels(row.values.get(HEIGHT))
        yield DatasetRow(
            number,
            row.node_id,
            row.key,
            row.size_bytes,
            row.extension,
            row.media_type,
            splits[row.split],
            tuple(classes[label] for label in row.labels),
            row.component,
            _metadata(row.values),
            _boxes(row.boxes, boxes, classes, width, height) if boxes and width and height else (),
            width,
            height,
        )


def _metadata(values: Mapping[str, Any]) -> Mapping[str, Any]:
    if _OWN.isdisjoint(values):
        return values
    return {name: value for name, value in values.items() if name not in _OWN}


def _pixels(value: Any) -> int | None:
    """Return a size in pixels; what is none counts as unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 1e9:
        return None
    return int(value)


def _boxes(
    found: list[list[Any]],
    form: Boxes,
    classes: Sequence[str],
    width: int,
    height: int,
) -> tuple[Box, ...]:
    cut: list[Box] = []
    for label, *numbers, confidence, geometry, number in found:
        box = _box(classes[int(label)], numbers, form, width, height)
        if box is not None:
            told = geometry_of(geometry)
            cut.append(box._replace(confidence=confidence, geometry=told, number=number))
    return tuple(cut)


def _box(
    label: str,
    numbers: list[float],
    form: Boxes,
    width: int,
    height: int,
) -> Box | None:
    """Return a box in pixels, cut at the borders of the image; None where nothing is left of it."""
    one, two, three, four = numbers
    if form.unit == "shares":
        one, three, two, four = one * width, three * width, two * height, four * height
    if form.form == "xyxy":
        left, top, right, bottom = one, two, three, four
    elif form.form == "cxcywh":
        left, top, right, bottom = one - three / 2, two - four / 2, one + three / 2, two + four / 2
    else:
        left, top, right, bottom = one, two, one + three, two + four
    left, top = max(0.0, left), max(0.0, top)
    right, bottom = min(float(width), right), min(float(height), bottom)
    # Also false for numbers that are none.
    if right > left and bottom > top:
        return Box(label, left, top, right - left, bottom - top)
    return None
