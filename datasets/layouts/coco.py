"""COCO: `SPLIT/KEY.EXTENSION` and `annotations/instances_SPLIT.json`.

Numbers of images and annotations count from 1 over each split, those of categories are the places
of the classes, from 1. With `ids: kept`, for a dataset of one source, images and annotations have
the numbers that they had there. Polygons, masks and key points are as they were labelled. Metadata
of the definition stand with the image they are about.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Literal

from datasets.definition.definition import Definition
from datasets.definition.errors import RefusedError
from datasets.layout.face import Box, DatasetRow, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import (
    IndexFile,
    Options,
    by_split,
    merged,
    option_problems,
    options_of,
    size_of,
)
from sql import Geometry, polygon_area


class CocoOptions(Options):
    """Options of COCO."""

    ids: Literal["own", "kept"] = "own"


class CocoLayout:
    """See the module."""

    layout_id = "coco"
    summary = "SPLIT/ and annotations/instances_SPLIT.json for pycocotools"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse a dataset without boxes."""
        problems = option_problems(CocoOptions, definition)
        if definition.layout.options.get("ids") == "kept" and "image_id" not in definition.metadata:
            problems.append("layout.options.ids: kept needs `image_id` among `metadata`")
        if definition.boxes is None:
            problems.append("boxes: COCO's instances are boxes; say which results are some")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the images of each split, then its annotations."""
        kept = options_of(CocoOptions, context).ids == "kept"
        points: dict[str, Geometry] = {}
        for split, members in by_split(rows):
            index = IndexFile(context, f"annotations/instances_{split}.json")
            # Both lists grow at once, and JSON has them one after the other.
            beside = index.local_path + ".annotations"
            with index as file, open(beside, "w+", encoding="utf-8") as annotations:
                file.write(f'{{"info": {json.dumps(_info(context, split))},\n"images": [')
                number = 0
                for place, row in enumerate(members, 1):
                    image_id = _kept_id(row.metadata.get("image_id"), row) if kept else place
                    _write_item(file, place, _image(row, image_id))
                    for box in row.boxes:
                        number += 1
                        own = _kept_id(box.number, row) if kept else number
                        if box.geometry is not None and box.geometry.point_names:
                            points.setdefault(box.label, box.geometry)
                        found = {"id": own, "image_id": image_id, **_annotation(box, context)}
                        _write_item(annotations, number, found)
                    yield data_path(row, f"{split}/{row.file_name}")
                file.write('],\n"annotations": [')
                annotations.seek(0)
                shutil.copyfileobj(annotations, file)
                file.write(f'],\n"categories": {json.dumps(_categories(context, points))}}}\n')
            os.unlink(beside)
            yield index.entry


def _info(context: LayoutContext, split: str) -> dict[str, str]:
    return {"description": f"{context.name}, {split}"}


def _categories(context: LayoutContext, points: Mapping[str, Geometry]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for place, name in enumerate(context.classes, 1):
        category: dict[str, Any] = {"id": place, "name": name}
        if name in points:
            category["keypoints"] = points[name].point_names
            category["skeleton"] = points[name].skeleton or []
        found.append(category)
    return found


def _kept_id(text: Any, row: DatasetRow) -> int:
    if isinstance(text, int) or (isinstance(text, str) and text.isdecimal()):
        return int(text)
    raise RefusedError(
        f"layout.options.ids: node {row.node_id} or a label on it has no number to keep "
        f"({text!a}); write ids: own"
    )


def _image(row: DatasetRow, place: int) -> dict[str, Any]:
    width, height = size_of(row)
    own = {"id": place, "file_name": row.file_name, "width": width, "height": height}
    return merged(own, row.metadata)


def _annotation(box: Box, context: LayoutContext) -> dict[str, Any]:
    found: dict[str, Any] = {
        "category_id": context.class_numbers[box.label] + 1,
        "bbox": [box.x, box.y, box.width, box.height],
        "area": box.width * box.height,
        "iscrowd": 0,
    }
    if box.confidence is not None:
        found["score"] = box.confidence
    geometry = box.geometry
    if geometry is None:
        return found
    found["iscrowd"] = int(geometry.is_crowd or False)
    polygons = geometry.polygons or ((tuple(geometry.corners()),) if geometry.turned else None)
    if geometry.mask is not None:
        mask = geometry.mask
        found["segmentation"] = {"size": [mask.height, mask.width], "counts": mask.counts}
    elif polygons:
        found["segmentation"] = polygons
        found["area"] = polygon_area(polygons)
    if geometry.points is not None:
        found["keypoints"] = geometry.points
        found["num_keypoints"] = sum(1 for seen in geometry.points[2::3] if seen)
    if geometry.area is not None:
        found["area"] = geometry.area
    return found


def _write_item(file: IO[str], number: int, item: dict[str, Any]) -> None:
    file.write(("\n" if number == 1 else ",\n") + json.dumps(item))


LAYOUT = CocoLayout()
