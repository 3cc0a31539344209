"""Every layout, loaded by the library that people load it with.

Rows are made up here, their bytes are real pictures; a small writer below stands where the core
puts entries into a tree, so that the layouts are judged alone.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import tarfile
import warnings
from xml.etree import ElementTree

import pytest
import yaml
from PIL import Image

from datasets.choice.registry import layout_named, layout_names
from datasets.definition.definition import Definition
from datasets.definition.errors import RefusedError
from datasets.layout.face import (
    Box,
    DatasetRow,
    GeneratedFile,
    InlineText,
    LayoutContext,
    StoredFile,
)

CLASSES = ("cat", "dog, big", "ünï")
SPLITS = ("train", "validation")
WIDTH, HEIGHT = 64, 48


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (number * 37 % 256, 80, 120)).save(file, "PNG")
    return file.getvalue() + b"\0" * 0


def make_rows(count: int = 12, *, boxes: bool = False, sized: bool = True) -> list[DatasetRow]:
    rows = []
    for number in range(count):
        data = picture(number)
        label = CLASSES[number % 3]
        found = (Box(label, 4.0, 6.0, 20.0, 10.0, 0.5), Box("cat", 0.0, 0.0, 64.0, 48.0))
        rows.append(
            DatasetRow(
                number=number,
                node_id=100 + number,
                key=hashlib.sha256(data).hexdigest(),
                size_bytes=len(data),
                extension="png",
                media_type="image",
                split=SPLITS[number >= count * 2 // 3],
                labels=(label,),
                component=number,
                metadata={"title": f'a "title", {number}\n<b>', "view": number},
                boxes=found[: number % 3] if boxes else (),
                width=WIDTH if sized else None,
                height=HEIGHT if sized else None,
            )
        )
    return rows


def definition(layout: str, *, boxes: bool = False, **options: object) -> Definition:
    document = {
        "version": 1,
        "name": "pets",
        "selector": {"version": 1, "where": {"media_type": "image"}},
        "labels": {"from": {"result": {"action": "a", "column": "label"}}},
        "metadata": {
            "title": {"metadata": {"field": "title"}},
            "view": {"metadata": {"field": "view"}},
        },
        "layout": {"id": layout, "options": options},
    }
    if boxes:
        document["boxes"] = {"action": "b"}
        size = {"result": {"action": "probe", "column": "width"}}
        document["image_size"] = {"width": size, "height": size}
    return Definition.model_validate(document)


def write(root: str, given: Definition, rows: list[DatasetRow], classes=CLASSES) -> list[str]:
    """Lay rows out below root as the core would; returns the paths in order."""
    layout = layout_named(given.layout.layout_id)
    assert layout.check(given) == []
    contents = {row.key: picture(row.number) for row in rows}
    work = os.path.join(root, ".work")
    os.makedirs(work)

    @contextlib.contextmanager
    def staged(part):
        folder = os.path.join(root, ".stage")
        os.makedirs(folder, exist_ok=True)
        for row in part:
            with open(os.path.join(folder, row.key), "wb") as file:
                file.write(contents[row.key])
        yield lambda row: os.path.join(folder, row.key)

    context = LayoutContext(
        definition=given,
        name=given.name,
        classes=tuple(classes),
        splits=SPLITS,
        counts={},
        options=given.layout.options,
        work_folder=work,
        staged=staged,
        class_numbers={name: place for place, name in enumerate(classes)},
    )
    paths = []
    for entry in layout.entries(iter(rows), context):
        path = os.path.join(root, entry.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(entry, StoredFile):
            with open(path, "xb") as file:
                file.write(contents[entry.key])
        elif isinstance(entry, InlineText):
            with open(path, "x", encoding="utf-8", newline="") as file:
                file.write(entry.text)
        else:
            assert isinstance(entry, GeneratedFile)
            os.rename(entry.local_path, path)
        paths.append(entry.path)
    assert os.listdir(work) == []
    assert len(paths) == len(set(paths))
    return paths


@pytest.mark.parametrize("name", layout_names())
def test_the_same_rows_give_the_same_bytes(name, tmp_path):
    boxes = name in ("coco", "voc", "yolo")
    options = {"path": "{split}/{key}.{extension}"} if name == "template" else {}
    if name == "imagefolder":
        options = {"index": "metadata.jsonl"}
    given = definition(name, boxes=boxes, **options)
    trees = []
    for root in (tmp_path / "a", tmp_path / "elsewhere" / "b"):
        os.makedirs(root)
        paths = write(str(root), given, make_rows(boxes=boxes))
        trees.append([(path, (root / path).read_bytes()) for path in paths])
    assert trees[0] == trees[1]


@pytest.mark.parametrize("name", layout_names())
def test_unknown_options_are_refused(name):
    problems = layout_named(name).check(definition(name, boxes=True, colour="red"))
    assert any("colour" in problem for problem in problems)


def test_imagefolder_is_what_torchvision_expects(tmp_path):
    write(str(tmp_path), definition("imagefolder"), make_rows())
    # The rule of torchvision's ImageFolder: classes are the sorted folders of a split.
    assert sorted(os.listdir(tmp_path / "train")) == ["cat", "dog, big", "ünï"]
    for folder, _, names in os.walk(tmp_path / "train"):
        for name in names:
            Image.open(os.path.join(folder, name)).verify()


@pytest.mark.parametrize("index", ["metadata.jsonl", "metadata.csv"])
def test_imagefolder_with_an_index(tmp_path, index):
    rows = make_rows()
    write(str(tmp_path), definition("imagefolder", index=index, class_folders=False), rows)
    with open(tmp_path / "train" / index, encoding="utf-8", newline="") as file:
        lines = (
            list(csv.DictReader(file))
            if index.endswith("csv")
            else [json.loads(line) for line in file]
        )
    assert [line["file_name"] for line in lines] == [row.file_name for row in rows[:8]]
    assert [line["label"] for line in lines] == [row.label for row in rows[:8]]
    assert lines[3]["title"] == rows[3].metadata["title"]
    assert all((tmp_path / "train" / line["file_name"]).is_file() for line in lines)


def test_two_classes_never_share_a_folder(tmp_path):
    with pytest.raises(RefusedError, match="rename it with"):
        write(str(tmp_path), definition("imagefolder"), make_rows(), ("a/b", "A_b", *CLASSES))


def test_coco_is_read_by_pycocotools(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coco_module = pytest.importorskip("pycocotools.coco")
    rows = make_rows(boxes=True)
    write(str(tmp_path), definition("coco", boxes=True), rows)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_module.COCO(str(tmp_path / "annotations/instances_train.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert len(coco.getImgIds()) == 8
    for row, image in zip(rows, coco.loadImgs(sorted(coco.getImgIds())), strict=False):
        found = coco.loadAnns(coco.getAnnIds(image["id"]))
        assert image["file_name"] == row.file_name
        assert [a["bbox"] for a in found] == [list(box[1:5]) for box in row.boxes]
        names = [coco.loadCats(a["category_id"])[0]["name"] for a in found]
        assert names == [box.label for box in row.boxes]


def test_yolo_lines_lead_back_to_the_boxes(tmp_path):
    rows = make_rows(boxes=True)
    write(str(tmp_path), definition("yolo", boxes=True), rows)
    document = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert document["val"] == "images/validation" and document["train"] == "images/train"
    assert document["names"] == dict(enumerate(CLASSES))
    for row in rows:
        text = (tmp_path / "labels" / row.split / f"{row.key}.txt").read_text()
        assert (tmp_path / document["val" if "val" in row.split else "train"]).is_dir()
        found = []
        for line in text.splitlines():
            number, x, y, width, height = line.split()
            width_px, height_px = float(width) * WIDTH, float(height) * HEIGHT
            left, top = float(x) * WIDTH - width_px / 2, float(y) * HEIGHT - height_px / 2
            found.append((document["names"][int(number)], left, top, width_px, height_px))
        for box, (label, *numbers) in zip(row.boxes, found, strict=True):
            assert label == box.label
            assert numbers == pytest.approx(list(box[1:5]), abs=1e-3)


def test_voc_annotations(tmp_path):
    rows = make_rows(boxes=True)
    write(str(tmp_path), definition("voc", boxes=True), rows)
    names = (tmp_path / "ImageSets/Main/train.txt").read_text().split()
    assert names == [row.key for row in rows[:8]]
    root = ElementTree.parse(tmp_path / "Annotations" / f"{rows[2].key}.xml").getroot()
    assert root.findtext("size/width") == "64"
    first = root.findall("object")[0]
    assert first.findtext("name") == CLASSES[2]
    corners = [first.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == ["5", "7", "24", "16"]
    whole = root.findall("object")[1]
    assert [whole.findtext(f"bndbox/{n}") for n in ("xmin", "ymin", "xmax", "ymax")] == [
        "1", "1", "64", "48",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["coco", "voc", "yolo"])
def test_boxes_need_the_size_of_their_image(tmp_path, name):
    with pytest.raises(RefusedError, match="no known width and height"):
        write(str(tmp_path), definition(name, boxes=True), make_rows(boxes=True, sized=False))
    assert any("boxes" in problem for problem in layout_named(name).check(definition(name)))


def test_webdataset_is_read_by_its_library(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        webdataset = pytest.importorskip("webdataset")
    rows = make_rows()
    paths = write(str(tmp_path), definition("webdataset", samples_max=3), rows)
    assert paths[:2] == ["train/pets-train-000000.tar", "train/pets-train-000001.tar"]
    shards = [str(tmp_path / path) for path in paths if path.startswith("train/")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = list(
            webdataset.WebDataset(shards, shardshuffle=False)
            .decode("pil")
            .to_tuple("png", "cls", "json")
        )
    assert len(samples) == 8
    for row, (image, number, document) in zip(rows, samples, strict=False):
        assert image.size == (WIDTH, HEIGHT)
        assert CLASSES[number] == row.label
        assert document["title"] == row.metadata["title"]
    with tarfile.open(shards[0]) as shard:
        assert {member.mtime for member in shard} == {0}


def test_parquet_is_read_by_pyarrow(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = make_rows()
    given = definition("parquet", types={"view": "integer"}, rows_max=3)
    paths = write(str(tmp_path), given, rows)
    names = [path for path in paths if path.startswith("index/train")]
    assert names == [f"index/train-{number:05d}.parquet" for number in range(3)]
    table = [line for name in names for line in parquet.read_table(tmp_path / name).to_pylist()]
    assert [line["key"] for line in table] == [row.key for row in rows[:8]]
    assert [line["view"] for line in table] == list(range(8))
    assert table[1]["labels"] == [rows[1].label]
    for line in table:
        data = (tmp_path / line["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line["key"]


def test_label_studio_tasks_and_configuration(tmp_path):
    rows = make_rows(boxes=True)
    write(str(tmp_path), definition("label_studio", boxes=True), rows)
    tasks = json.loads((tmp_path / "tasks-train.json").read_text())
    assert len(tasks) == 8
    assert tasks[0]["data"]["image"] == f"/data/local-files/?d=files/train/{rows[0].file_name}"
    (result,) = tasks[1]["annotations"][0]["result"]
    assert result["value"]["rectanglelabels"] == [rows[1].boxes[0].label]
    assert result["value"]["x"] == pytest.approx(100 * 4 / 64)
    view = ElementTree.parse(tmp_path / "label_config-train.xml").getroot()
    assert [one.get("value") for one in view.find("RectangleLabels")] == list(CLASSES)


def test_label_studio_choices(tmp_path):
    rows = make_rows()
    write(str(tmp_path), definition("label_studio", **{"as": "predictions"}), rows)
    tasks = json.loads((tmp_path / "tasks-validation.json").read_text())
    (result,) = tasks[0]["predictions"][0]["result"]
    assert result["value"] == {"choices": [rows[8].label]}


def test_csv_has_a_line_for_every_file(tmp_path):
    rows = make_rows()
    write(str(tmp_path), definition("csv_table", delimiter=";"), rows)
    with open(tmp_path / "train.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter=";"))
    assert [line["key"] for line in lines] == [row.key for row in rows[:8]]
    assert lines[4]["title"] == rows[4].metadata["title"]
    assert all((tmp_path / line["path"]).is_file() for line in lines)


def test_a_template_makes_the_tree_it_says(tmp_path):
    given = definition("template", path="{split}/by-{label}/{title}/{node_id}.{extension}")
    paths = write(str(tmp_path), given, make_rows(3))
    assert paths[0] == "train/by-cat/a _title_, 0__b_/100.png"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{split}/{label}.png", "files collide"),
        ("/{key}", "relative"),
        ("../{key}", "relative"),
        ("a//{key}", "relative"),
        ("{key!r}", "without"),
        ("{key.upper}", "no field"),
        ("{keys}", "no field"),
        ("{key", "expected"),
    ],
)
def test_templates_that_cannot_be(path, reason):
    problems = layout_named("template").check(definition("template", path=path))
    assert any(reason in problem for problem in problems), problems
