"""COCO: `SPLIT/KEY.EXTENSION` and `annotations/instances_SPLIT.json`.

Numbers of images and annotations count from 1 over each split, those of categories are the places
of the classes, from 1. Metadata of the definition stand with the image they are about.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from typing import IO, Any

from datasets.definition.definition import Definition
from datasets.layout.face import DatasetRow, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import IndexFile, Options, by_split, merged, option_problems, size_of


class CocoLayout:
    """See the module."""

    layout_id = "coco"
    summary = "SPLIT/ and annotations/instances_SPLIT.json for pycocotools"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse a dataset without boxes."""
        problems = option_problems(Options, definition)
        if definition.boxes is None:
            problems.append("boxes: COCO's instances are boxes; say which results are some")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the images of each split, then its annotations."""
        for split, members in by_split(rows):
            index = IndexFile(context, f"annotations/instances_{split}.json")
            # Both lists grow at once, and JSON has them one after the other.
            beside = index.local_path + ".annotations"
            with index as file, open(beside, "w+", encoding="utf-8") as annotations:
                file.write(f'{{"info": {json.dumps(_info(context, split))},\n"images": [')
                number = 0
                for place, row in enumerate(members, 1):
                    _write_item(file, place, _image(row, place))
                    for box in _boxes(row, place, context):
                        number += 1
                        _write_item(annotations, number, {"id": number, **box})
                    yield data_path(row, f"{split}/{row.file_name}")
                file.write('],\n"annotations": [')
                annotations.seek(0)
                shutil.copyfileobj(annotations, file)
                file.write(f'],\n"categories": {json.dumps(_categories(context))}}}\n')
            os.unlink(beside)
            yield index.entry


def _info(context: LayoutContext, split: str) -> dict[str, str]:
    return {"description": f"{context.name}, {split}"}


def _categories(context: LayoutContext) -> list[dict[str, Any]]:
    return [{"id": place, "name": name} for place, name in enumerate(context.classes, 1)]


def _image(row: DatasetRow, place: int) -> dict[str, Any]:
    width, height = size_of(row)
    own = {"id": place, "file_name": row.file_name, "width": width, "height": height}
    return merged(own, row.metadata)


def _boxes(row: DatasetRow, image_id: int, context: LayoutContext) -> Iterator[dict[str, Any]]:
    for box in row.boxes:
        found: dict[str, Any] = {
            "image_id": image_id,
            "category_id": context.class_numbers[box.label] + 1,
            "bbox": [box.x, box.y, box.width, box.height],
            "area": box.width * box.height,
            "iscrowd": 0,
        }
        if box.confidence is not None:
            found["score"] = box.confidence
        yield found


def _write_item(file: IO[str], number: int, item: dict[str, Any]) -> None:
    file.write(("\n" if number == 1 else ",\n") + json.dumps(item))


LAYOUT = CocoLayout()
