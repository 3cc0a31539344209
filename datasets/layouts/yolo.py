"""YOLO, as Ultralytics reads it: `images/SPLIT/`, `labels/SPLIT/KEY.txt` and `data.yaml`.

A line of a label file is the class number, then centre, width and height of a box as shares of the
image. An image without boxes has an empty file: a background image. In `data.yaml` a split named
`validation` or `valid` is `val`, which is the name YOLO asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from datasets.definition.definition import Definition
from datasets.layout.face import DatasetRow, InlineText, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import Options, option_problems, size_of

_VALIDATION_NAMES = ("validation", "valid")


class YoloLayout:
    """See the module."""

    layout_id = "yolo"
    summary = "images/, labels/ and data.yaml for YOLO (Ultralytics)"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse a dataset without boxes."""
        problems = option_problems(Options, definition)
        if definition.boxes is None:
            problems.append("boxes: YOLO is about boxes; say which results are some")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield `data.yaml`, then each image with its label file."""
        yield InlineText("data.yaml", _data_yaml(context))
        for row in rows:
            yield data_path(row, f"images/{row.split}/{row.file_name}")
            text = "".join(_lines(row, context)) if row.boxes else ""
            yield InlineText(f"labels/{row.split}/{row.key}.txt", text, row.node_id)


def _data_yaml(context: LayoutContext) -> str:
    splits = {
        "val" if name.lower() in _VALIDATION_NAMES else name: f"images/{name}"
        for name in context.splits
    }
    names = dict(enumerate(context.classes))
    document = {"path": ".", **splits, "names": names}
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def _lines(row: DatasetRow, context: LayoutContext) -> Iterator[str]:
    width, height = size_of(row)
    for box in row.boxes:
        shares = (
            (box.x + box.width / 2) / width,
            (box.y + box.height / 2) / height,
            box.width / width,
            box.height / height,
        )
        written = " ".join(f"{share:.6f}" for share in shares)
        yield f"{context.class_numbers[box.label]} {written}\n"


LAYOUT = YoloLayout()
