"""Annotated data sets come in and go out again with the same places: ids, boxes, masks, points."""

from __future__ import annotations

import io
import json
import os
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from dataset_house import House
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from store_harness import write_files

from adapters.ingest.inbox import choose_adapter
from adapters.ingest.ingest import ingest
from adapters.work.batch_work import Signal
from datasets.freeze.building import BuildResult, build
from sql import Geometry

WIDTH, HEIGHT = 64, 48
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (number * 37 % 256, 80, 120)).save(file, "PNG")
    return file.getvalue()


def pixels_of_mask() -> Any:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    pixels[5:20, 7:30] = 1
    pixels[10:12, 9:11] = 0
    return pixels


def a_mask() -> dict[str, Any]:
    packed = coco_mask.encode(pixels_of_mask())
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def coco_document() -> dict[str, Any]:
    mask = a_mask()
    runs = {"size": [HEIGHT, WIDTH], "counts": [48 * 10 + 3, 20, HEIGHT * WIDTH - 48 * 10 - 23]}
    ring = [10.25, 10.5, 40.0, 12.0, 30.0, 44.75]
    return {
        "images": [
            {"id": 70 + number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT}
            for number in range(4)
        ],
        "categories": [
            {"id": 3, "name": "cat", "supercategory": "animal"},
            {
                "id": 8,
                "name": "person",
                "keypoints": ["nose", "left eye", "right eye"],
                "skeleton": [[1, 2], [1, 3]],
            },
        ],
        "annotations": [
            {"id": 501, "image_id": 70, "category_id": 3, "bbox": [1.5, 2.25, 20, 10],
             "area": 200, "iscrowd": 0, "segmentation": []},
            {"id": 502, "image_id": 70, "category_id": 3, "bbox": [10.25, 10.5, 29.75, 34.25],
             "area": 480.5, "iscrowd": 0, "segmentation": [ring]},
            {"id": 503, "image_id": 71, "category_id": 3, "bbox": [7, 5, 23, 15], "area": 341,
             "iscrowd": 0, "segmentation": mask},
            {"id": 504, "image_id": 71, "category_id": 3, "bbox": [10, 3, 1, 20], "area": 20,
             "iscrowd": 1, "segmentation": runs},
            {"id": 505, "image_id": 72, "category_id": 8, "bbox": [5, 5, 30, 40], "area": 900,
             "iscrowd": 0, "keypoints": [6, 7, 2, 20, 9, 1, 0, 0, 0], "num_keypoints": 2},
        ],
    }  # fmt: skip


def dataset(layout: Any, **parts: Any) -> dict[str, Any]:
    """A definition of all annotated pictures, with their boxes and sizes as annotated."""

    def of(column: str) -> dict[str, Any]:
        return {"source_metadata": {"source": "annotation", "column": column}}

    return {
        "version": 1,
        "name": "again",
        "selector": {"version": 1, "where": {"media_type": "image"}},
        "labels": {"from": of("label"), "multiple": "all", "unlabelled": "keep"},
        "boxes": {"source": "annotation"},
        "image_size": {"width": of("image_width"), "height": of("image_height")},
        "metadata": {"image_id": of("image_id"), "file": of("file_name")},
        "layout": layout,
        **parts,
    }


def take_in(house: House, files: dict[str, bytes], expected: str) -> None:
    folder = write_files(os.path.join(house.area("3a"), expected), files)
    adapter = choose_adapter(folder, "auto")
    assert adapter == expected
    report = ingest(
        house.config_path, Signal(folder, expected, adapter, None), database=house.database
    )
    assert report.problems == []


def read(house: House, result: BuildResult) -> dict[str, bytes]:
    """Return the generated files of a dataset by their paths."""
    found: dict[str, bytes] = {}
    for number, entry in enumerate(house.manifest(result.manifest_key)):
        if "key" not in entry:
            found[entry["path"]] = entry.get("text", "").encode()
            continue
        target = os.path.join(house.store.root, f"read-{result.version}-{number}")
        house.store.client.read(entry["key"], target)
        with open(target, "rb") as file:
            found[entry["path"]] = file.read()
    return found


def test_coco_comes_out_as_it_went_in(house: House, tmp_path):
    document = coco_document()
    files = {f"train2017/{number}.png": picture(number) for number in range(4)}
    files["annotations/instances_train2017.json"] = json.dumps(document).encode()
    take_in(house, files, "coco")
    assert house.rows("SELECT DISTINCT split FROM meta_annotation") == [("train",)]
    layout = {"id": "coco", "options": {"ids": "kept"}}
    result = build(house.config_path, dataset(layout), database=house.database)
    out = json.loads(read(house, result)["annotations/instances_all.json"])
    names = {one["id"]: one["name"] for one in document["categories"]}
    again = {one["id"]: one["name"] for one in out["categories"]}
    assert {one["id"]: one["file"] for one in out["images"]} == {
        one["id"]: one["file_name"] for one in document["images"]
    }
    given = {one["id"]: one for one in document["annotations"]}
    found = {one["id"]: one for one in out["annotations"]}
    assert found.keys() == given.keys()
    for number, one in given.items():
        other = found[number]
        assert (other["image_id"], again[other["category_id"]], other["iscrowd"]) == (
            one["image_id"], names[one["category_id"]], one["iscrowd"],
        )  # fmt: skip
        assert other["bbox"] == pytest.approx(one["bbox"], abs=0.5)
        assert other["area"] == one["area"]
        # Masks are the same text or numbers, and polygons the same numbers.
        assert other.get("segmentation", []) == one.get("segmentation", [])
        assert other.get("keypoints") == one.get("keypoints")
    person = next(one for one in out["categories"] if one["name"] == "person")
    assert person["keypoints"] == ["nose", "left eye", "right eye"]
    assert person["skeleton"] == [[1, 2], [1, 3]]
    # What reads COCO reads it, and its mask has the same pixels.
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(out))
    library = COCO(str(path))
    assert coco_mask.area(library.annToRLE(library.anns[503])) == 341
    # The same data set again, copied at another time, brings no second box.
    folder = write_files(os.path.join(house.area("3a"), "later"), files)
    for name in files:
        os.utime(os.path.join(folder, name), (1_600_000_000, 1_600_000_000))
    ingest(house.config_path, Signal(folder, "later", "coco", None), database=house.database)
    counts = house.rows("SELECT count(*) FROM meta_annotation WHERE annotation_id IS NOT NULL")
    assert counts == [(10,)]
    second = build(house.config_path, dataset(layout), database=house.database)
    assert (second.created, second.manifest_key) == (False, result.manifest_key)


def test_masks_are_counted_as_pycocotools_does():
    packed = a_mask()
    geometry = Geometry.model_validate(
        {"mask": {"height": HEIGHT, "width": WIDTH, "counts": packed["counts"]}}
    )
    assert geometry.mask is not None
    assert sum(geometry.mask.runs()[1::2]) == coco_mask.area(packed) == 341
    assert list(geometry.bounds() or ()) == list(coco_mask.toBbox(packed))
    for wrong in ("", "~~~~", packed["counts"][:-1], packed["counts"] + "0"):
        with pytest.raises(ValueError, match="mask"):
            Geometry.model_validate({"mask": {"height": HEIGHT, "width": WIDTH, "counts": wrong}})


YOLO = {
    "detect": ("0 0.500000 0.500000 0.250000 0.333333", "1 0.250000 0.750000 0.100000 0.200000"),
    "segment": (
        "0 0.100000 0.100000 0.600000 0.150000 0.500000 0.900000",
        "1 0.200000 0.200000 0.400000 0.200000 0.400000 0.500000 0.200000 0.500000",
    ),
    "pose": ("0 0.500000 0.500000 0.250000 0.333333 0.450000 0.400000 2 0.550000 0.600000 1",),
    "obb": ("1 0.312500 0.166667 0.750000 0.166667 0.750000 0.583333 0.312500 0.583333",),
}  # fmt: skip


@pytest.mark.parametrize("task", YOLO)
def test_yolo_comes_out_as_it_went_in(house: House, task: str):
    shape = "kpt_shape: [2, 3]\n" if task == "pose" else ""
    files = {
        "data.yaml": f"train: images/train\n{shape}names:\n  0: cat\n  1: dog, big\n".encode(),
        "images/train/a.png": picture(1),
        "images/val/b.png": picture(2),
        "labels/train/a.txt": "".join(line + "\n" for line in YOLO[task]).encode(),
        "labels/val/b.txt": b"",
    }
    take_in(house, files, "yolo")
    kinds = {"detect": "box", "segment": "polygon", "pose": "points", "obb": "rotated_box"}
    known = "SELECT DISTINCT kind, split FROM meta_annotation ORDER BY 1, 2"
    expected = {(kinds[task], "train"), ("picture", "train"), ("picture", "validation")}
    assert set(house.rows(known)) == expected
    options = {"task": task, "key_points": 2} if task == "pose" else {"task": task}
    labels = {
        "from": {"source_metadata": {"source": "annotation", "column": "label"}},
        "classes": ["cat", "dog, big"],
        "multiple": "all",
        "unlabelled": "keep",
    }
    parts = {"labels": labels, "metadata": {}, "splits": {"missing_class": "allow"}}
    layout = {"id": "yolo", "options": options}
    result = build(house.config_path, dataset(layout, **parts), database=house.database)
    texts = {p: data.decode() for p, data in read(house, result).items() if p.startswith("labels/")}
    assert sorted(texts.values()) == ["", "".join(line + "\n" for line in YOLO[task])]


def test_voc_comes_out_as_it_went_in(house: House):
    layout = {"id": "voc"}
    xml = """<annotation><folder>JPEGImages</folder><filename>a.png</filename><size>
<width>64</width><height>48</height><depth>3</depth></size><object><name>cat</name>
<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><bndbox><xmin>5</xmin>
<ymin>7</ymin><xmax>24</xmax><ymax>16</ymax></bndbox></object><object><name>dog</name><bndbox>
<xmin>1</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax></bndbox></object></annotation>"""
    files = {
        "JPEGImages/a.png": picture(1),
        "Annotations/a.xml": xml.encode(),
        "ImageSets/Main/train.txt": b"a\n",
    }
    take_in(house, files, "voc")
    rows = house.rows("SELECT label, x, y, width, height FROM meta_annotation WHERE kind = 'box'")
    assert set(rows) == {("cat", 4, 6, 20, 10), ("dog", 0, 0, 64, 48)}
    result = build(house.config_path, dataset(layout, metadata={}), database=house.database)
    out = read(house, result)
    (text,) = (data for path, data in out.items() if path.startswith("Annotations/"))
    root = ElementTree.fromstring(text.decode())
    corners = {
        one.findtext("name"): [
            one.findtext(f"bndbox/{n}") for n in ("xmin", "ymin", "xmax", "ymax")
        ]
        for one in root.iter("object")
    }
    assert corners == {"cat": ["5", "7", "24", "16"], "dog": ["1", "1", "64", "48"]}


def test_shapes_of_labelme_and_cvat_come_out_as_coco(house: House):
    shapes = [
        {"label": "cat", "shape_type": "rectangle", "points": [[30, 5], [10, 25]]},
        {"label": "cat", "shape_type": "polygon", "points": [[1, 2], [9, 2], [9, 7]]},
        {"label": "cat", "shape_type": "star", "points": [[1, 2]]},
    ]
    sheet = {"shapes": shapes, "imagePath": "..\\a.png", "imageWidth": 64, "imageHeight": 48}
    cvat = """<annotations><version>1.1</version><image id="0" name="b.png" width="64" height="48">
<box label="dog" xtl="2" ytl="3" xbr="12" ybr="9" rotation="90" occluded="0"/>
<mask label="dog" left="10" top="20" width="3" height="2" rle="1,2,2,1"/>
<skeleton label="dog"><points label="nose" points="4,5" occluded="1"/></skeleton>
<tag label="dog"/></image></annotations>"""
    files = {
        "labelme/a.png": picture(1),
        "labelme/a.json": json.dumps(sheet).encode(),
        "cvat/annotations.xml": cvat.encode(),
        "cvat/images/b.png": picture(2),
    }
    folder = write_files(os.path.join(house.area("3a"), "both"), files)
    adapter = choose_adapter(folder, "auto")
    report = ingest(
        house.config_path, Signal(folder, "both", adapter, None), database=house.database
    )
    # The shape that nobody knows costs itself.
    assert adapter == "mixed"
    assert report.problems == [
        "labelme/a.json, record 2: shape 3, 'star' of 1 points, is none that is known"
    ]
    result = build(house.config_path, dataset("coco"), database=house.database)
    out = json.loads(read(house, result)["annotations/instances_all.json"])
    boxes = {tuple(round(number, 6) for number in one["bbox"]) for one in out["annotations"]}
    # The turned box stands around its corners; a key point alone has no box that is any place.
    assert boxes == {(10, 5, 20, 20), (1, 2, 8, 5), (4, 1, 6, 10), (11, 20, 2, 2)}
    (mask,) = (
        one["segmentation"]
        for one in out["annotations"]
        if isinstance(one.get("segmentation"), dict)
    )
    packed = coco_mask.frPyObjects(mask, *mask["size"])
    assert coco_mask.area(packed) == 3
    assert list(coco_mask.toBbox(packed)) == [11, 20, 2, 2]


def test_label_studio_comes_out_as_it_went_in(house: House):
    boxes = {"a": (12.5, 25.0, 50.0, 30.0), "b": (0.0, 0.0, 33.3, 66.7)}
    results = [
        {"id": name, "type": "rectanglelabels", "from_name": "label", "to_name": "image",
         "original_width": WIDTH, "original_height": HEIGHT,
         "value": {"x": x, "y": y, "width": w, "height": h, "rotation": 0,
                   "rectanglelabels": ["cat"]}}
        for name, (x, y, w, h) in boxes.items()
    ]  # fmt: skip
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-1.png"},
         "annotations": [{"id": 9, "completed_by": 2, "result": results}]},
        {"id": 2, "data": {"image": "/data/upload/3/2.png"}, "annotations": [], "file_upload": "2"},
    ]  # fmt: skip
    files = {"1.png": picture(1), "2.png": picture(2), "export.json": json.dumps(tasks).encode()}
    take_in(house, files, "label-studio")
    definition = dataset({"id": "label_studio"})
    result = build(house.config_path, definition, database=house.database)
    out = read(house, result)
    (text,) = (data for path, data in out.items() if path.startswith("tasks-"))
    found = [
        (*(value[side] for side in ("x", "y", "width", "height")), *value["rectanglelabels"])
        for task in json.loads(text)
        for made in task.get("annotations", ())
        for value in (one["value"] for one in made["result"])
    ]
    assert sorted(found) == [pytest.approx((*place, "cat")) for place in sorted(boxes.values())]
    # What we write for Label Studio is read again as the same.
    again = {path: data for path, data in out.items() if path.endswith(".json")}
    folder = write_files(os.path.join(house.area("3a"), "again"), again)
    assert choose_adapter(folder, "auto") == "label-studio"


def a_mask_of_open_images() -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels_of_mask() * 255).convert("1").save(file, "PNG")
    return file.getvalue()


def runs(mask: dict[str, Any]) -> list[int]:
    height, width = mask["size"]
    parts = {"mask": {"height": height, "width": width, "counts": mask["counts"]}}
    found = Geometry.model_validate(parts).mask
    assert found is not None
    return found.runs()


def datumaro_files() -> dict[str, bytes]:
    mask = a_mask()
    labels = {"labels": [{"name": "cat", "parent": "", "attributes": []}], "attributes": []}
    common = {"label_id": 0, "attributes": {}, "group": 0, "z_order": 0}
    annotations = [
        {"id": 1, "type": "bbox", "bbox": [16, 12, 32, 24], **common},
        {"id": 2, "type": "mask", "rle": mask, **common},
    ]
    image = {"path": "a.png", "size": [HEIGHT, WIDTH]}
    items = [{"id": "a", "annotations": annotations, "image": image}]
    document = {"infos": {}, "categories": {"label": labels}, "items": items}
    return {"annotations/train.json": json.dumps(document).encode(), "images/train/a.png": b""}


def open_images_files() -> dict[str, bytes]:
    boxes = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,/m/c,1,0.25,0.75,0.25,0.75"
    )
    masks = "MaskPath,ImageID,LabelName,BoxID\na_mc_1.png,a,/m/c,1"
    return {
        "annotations/train-annotations-bbox.csv": boxes.encode(),
        "annotations/train-annotations-object-segmentation.csv": masks.encode(),
        "annotations/class-descriptions.csv": b"/m/c,cat\n",
        "masks/a_mc_1.png": a_mask_of_open_images(),
        "images/a.png": b"",
    }


def fiftyone_files() -> dict[str, bytes]:
    found = {"_cls": "Detection", "label": "cat", "bounding_box": [0.25, 0.25, 0.5, 0.5]}
    field = {"_cls": "Detections", "detections": [found]}
    sample = {"filepath": "data/a.png", "tags": ["train"], "ground_truth": field}
    return {"samples.json": json.dumps({"samples": [sample]}).encode(), "data/a.png": b""}


FORMATS = {
    "datumaro": (datumaro_files, True),
    "open-images": (open_images_files, True),
    "fiftyone": (fiftyone_files, False),
}


@pytest.mark.parametrize("name", FORMATS)
def test_other_formats_come_out_as_coco(house: House, name: str):
    make, has_mask = FORMATS[name]
    take_in(house, {path: data or picture(1) for path, data in make().items()}, name)
    selector = {"version": 1, "where": {"source_metadata": {
        "source": "annotation", "columns": {"label": {"equals": "cat"}}}}}  # fmt: skip
    definition = dataset("coco", selector=selector)
    result = build(house.config_path, definition, database=house.database)
    out = json.loads(read(house, result)["annotations/instances_all.json"])
    (image,) = out["images"]
    assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
    assert [one["name"] for one in out["categories"]] == ["cat"]
    boxes = [one["bbox"] for one in out["annotations"] if not one.get("segmentation")]
    assert boxes == [pytest.approx([16, 12, 32, 24], abs=0.5)]
    masks = [one["segmentation"] for one in out["annotations"] if one.get("segmentation")]
    assert [runs(mask) for mask in masks] == [runs(a_mask())] * has_mask
