"""YOLO, as Ultralytics reads it: `images/SPLIT/`, `labels/SPLIT/KEY.txt` and `data.yaml`.

A line of a label file is the class number, then centre, width and height of a box as shares of the
image. With the option `task` other labels: `segment` has polygons (rings of one label one after the
other), `pose` the box and its key points, `obb` the corners of turned boxes. A label that has no
such place is its box: as four corners, or without a key point. An image without labels has an
empty file: a background image. In `data.yaml` a split named `validation` or `valid` is `val`, which
is the name YOLO asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from datasets.definition.definition import Definition
from datasets.definition.errors import RefusedError
from datasets.layout.face import Box, DatasetRow, InlineText, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import Options, option_problems, options_of, size_of

_VALIDATION_NAMES = ("validation", "valid")


class YoloOptions(Options):
    """Options of YOLO."""

    task: Literal["detect", "segment", "pose", "obb"] = "detect"
    key_points: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """How many a label has; `pose` needs it."""


class YoloLayout:
    """See the module."""

    layout_id = "yolo"
    summary = "images/, labels/ and data.yaml for YOLO (Ultralytics)"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse a dataset without boxes."""
        problems = option_problems(YoloOptions, definition)
        given = definition.layout.options
        if (given.get("task") == "pose") != ("key_points" in given):
            problems.append("layout.options: `task: pose` and `key_points` belong together")
        if definition.boxes is None:
            problems.append("boxes: YOLO is about boxes; say which results are some")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield `data.yaml`, then each image with its label file."""
        options = options_of(YoloOptions, context)
        yield InlineText("data.yaml", _data_yaml(context, options))
        for row in rows:
            yield data_path(row, f"images/{row.split}/{row.file_name}")
            text = "".join(_lines(row, context, options)) if row.boxes else ""
            yield InlineText(f"labels/{row.split}/{row.key}.txt", text, row.node_id)


def _data_yaml(context: LayoutContext, options: YoloOptions) -> str:
    splits = {
        "val" if name.lower() in _VALIDATION_NAMES else name: f"images/{name}"
        for name in context.splits
    }
    names = dict(enumerate(context.classes))
    document: dict[str, Any] = {"path": ".", **splits, "names": names}
    if options.key_points is not None:
        document["kpt_shape"] = [options.key_points, 3]
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def _lines(row: DatasetRow, context: LayoutContext, options: YoloOptions) -> Iterator[str]:
    size = size_of(row)
    for box in row.boxes:
        numbers = _place(box, options, row)
        # The third number of a key point says whether it is seen.
        written = " ".join(
            f"{number:g}" if axis == 2 else f"{number / size[axis]:.6f}" for number, axis in numbers
        )
        yield f"{context.class_numbers[box.label]} {written}\n"


def _place(box: Box, options: YoloOptions, row: DatasetRow) -> Iterator[tuple[float, int]]:
    """Yield the numbers of a line in pixels, each with its axis; 2 for what is no place."""
    geometry = box.geometry
    if options.task == "segment":
        for ring in (geometry.polygons if geometry else None) or (_corners(box),):
            yield from zip(ring, cycle((0, 1)))
        return
    if options.task == "obb":
        corners = geometry.corners() if geometry and geometry.turned else _corners(box)
        yield from zip(corners, cycle((0, 1)))
        return
    yield box.x + box.width / 2, 0
    yield box.y + box.height / 2, 1
    yield box.width, 0
    yield box.height, 1
    if options.key_points is not None:
        wanted = 3 * options.key_points
        points = (geometry.points if geometry else None) or (0.0,) * wanted
        if len(points) != wanted:
            raise RefusedError(
                f"layout.options.key_points: node {row.node_id} has a label of "
                f"{len(points) // 3} key points, not {options.key_points}"
            )
        yield from zip(points, cycle((0, 1, 2)))


def _corners(box: Box) -> list[float]:
    right, bottom = box.x + box.width, box.y + box.height
    return [box.x, box.y, right, box.y, right, bottom, box.x, bottom]


LAYOUT = YoloLayout()
