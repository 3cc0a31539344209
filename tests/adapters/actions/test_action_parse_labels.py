"""Annotation formats as outputs of programs: coco, label_studio and yolo, and their mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store_harness import write_files

from adapters.actions.contract.contract import Output
from adapters.actions.outputs.parse_labels import read_coco, read_label_studio, read_yolo
from adapters.actions.outputs.parse_readers import Found, Reader
from adapters.actions.outputs.tree import list_outputs
from adapters.records.errors import RecordError

OUTPUT = {"name": "it", "glob": "**", "input": {"field": "x", "equals": "stem"}}


def read(reader: Reader, tmp_path, data: Any, files: dict[str, bytes] | None = None, **more: Any):
    """Return what a reader finds in a file: fields, a reason, or None for an empty record."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    root = write_files(str(tmp_path), {"it.x": text, **(files or {})})
    output = Output.model_validate({**OUTPUT, "format": "yolo", **more})
    found = list(reader(list_outputs(root), "it.x", output))
    return [(each.number, summary(each)) for each in found]


def summary(found: Found) -> Any:
    if isinstance(found.fields, RecordError):
        return str(found.fields)
    return None if found.empty else found.fields


COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 9}, {"id": 2, "file_name": "b.png"}],
    "categories": [{"id": 7, "name": "cat"}],
    "annotations": [
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"id": 4, "image_id": 9, "category_id": 7},
        {"id": 5, "image_id": 1, "category_id": 8},
        {"id": 6, "image_id": 1, "category_id": 7, "bbox": [1, 2, -3, 4]},
        {"id": 6, "image_id": 1, "category_id": 7, "bbox": [1, 2, "3", 4]},
        "seven",
    ],
}


def test_coco(tmp_path):
    first, *wrong, empty = read(read_coco, tmp_path, COCO)
    assert first == (
        0,
        {
            "image": COCO["images"][0], "image_id": 1, "file_name": "a.png", "annotation_id": 3,
            "category_id": 7, "category": "cat", "score": 0.5, "x": 1.0, "y": 2.0, "width": 3.0,
            "height": 4.0,
        },
    )  # fmt: skip
    assert [(number, reason.split()[1]) for number, reason in wrong] == [
        (1, "annotation"), (2, "annotation"), (3, "bbox"), (4, "is"), (5, "annotation"),
    ]  # fmt: skip
    # The image on which nothing was found was looked at.
    assert empty == (6 + 1, None)


def test_coco_results_without_their_images(tmp_path):
    found = read(read_coco, tmp_path, [{"image_id": 12, "category_id": 1, "bbox": [0, 0, 1, 1]}])
    ((_, fields),) = found
    assert (fields["image_id"], fields["category"], fields["width"]) == (12, None, 1.0)


@pytest.mark.parametrize(
    "document",
    [
        {},
        7,
        {"annotations": {}},
        {"annotations": [], "images": 7},
        {"annotations": [], "images": [{"file_name": "a"}]},
        {"annotations": [], "images": [{"id": 1}, {"id": 1}]},
    ],
)
def test_what_is_no_coco(tmp_path, document: Any):
    with pytest.raises(RecordError, match="is no COCO"):
        read(read_coco, tmp_path, document)


def test_label_studio(tmp_path):
    box = {
        "type": "rectanglelabels", "from_name": "boxes", "original_width": 200,
        "original_height": 50, "value": {"x": 10, "y": 20, "width": 5, "height": 50,
        "rotation": 0, "rectanglelabels": ["cat"]},
    }  # fmt: skip
    choice = {"type": "choices", "from_name": "what", "value": {"choices": ["dog", "cow"]}}
    tasks = [
        {
            "id": 1,
            "data": {"image": "a.png"},
            "annotations": [
                {"id": 5, "completed_by": {"email": "ann@x"}, "result": [box, choice]},
                {"id": 6, "completed_by": 9, "result": [choice], "was_cancelled": True},
            ],
        },
        {"id": 2, "data": {"image": "b.png"}, "annotations": [{"result": []}]},
        {"id": 3, "annotations": []},
        {"id": 4, "data": {}, "annotations": [{"result": [{"type": "choices"}]}]},
    ]
    (_, first), (_, second), empty, no_data, no_value = read(read_label_studio, tmp_path, tasks)
    assert (first["label"], first["labeller"], first["x"]) == ("cat", "ann@x", 10.0)
    assert [first[f"{name}_px"] for name in ("x", "y", "width", "height")] == [20, 10, 10, 25]
    assert (second["label"], second["labels"], second["data"]) == (
        "dog", ["dog", "cow"], {"image": "a.png"},
    )  # fmt: skip
    assert empty == (2, None)
    assert "without `data`" in no_data[1] and "without `value`" in no_value[1]


def test_yolo(tmp_path):
    data = b"0 0.5 0.5 0.2 0.4\n\n1 0.5 0.5 0.2 0.4 0.9\n0 0.1 0.1 0.3 0.1 0.3 0.5\n"
    found = read(
        read_yolo, tmp_path, data, {"names.txt": b"cat\ndog\n"}, class_names="names.txt"
    )  # fmt: skip
    (_, box), (_, sure), (_, polygon) = found
    assert (box["class"], box["x"], box["y"]) == ("cat", 0.4, 0.3)
    assert (sure["class"], sure["confidence"]) == ("dog", 0.9)
    assert (polygon["points"], polygon["cx"]) == ([0.1, 0.1, 0.3, 0.1, 0.3, 0.5], 0.2)
    assert read(read_yolo, tmp_path, b"\n") == [(-1, None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x 0.5 0.5 0.2 0.4", "does not begin with a class"),
        (b"0 0.5 0.5 0.2", "neither a box nor a polygon"),
        (b"0 0.5 0.5 0.2 wide", "no number"),
        (b"0 0.5 0.5 0.2 1.4", "outside of 0 to 1"),
        (b"0 0.5 0.5 0.2 nan", "outside of 0 to 1"),
        (b"2 0.5 0.5 0.2 0.4", "class 2 where there are 2 names"),
        (b"0 0.5 0.5 0.2 0.\xff", "no UTF-8"),
    ],
)
def test_lines_that_are_no_yolo(tmp_path, line: bytes, reason: str):
    found = read(
        read_yolo, tmp_path, line, {"names.txt": b"cat\ndog\n"}, class_names="names.txt"
    )  # fmt: skip
    assert len(found) == 1 and reason in found[0][1]


def test_class_names_that_are_missing(tmp_path):
    with pytest.raises(RecordError, match="is missing"):
        read(read_yolo, tmp_path, b"0 0.5 0.5 0.2 0.4", class_names="../names.txt")
