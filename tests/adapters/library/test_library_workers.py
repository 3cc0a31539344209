"""The worker programs for images, alone: a folder in, a folder out.

Each gets good samples and hostile ones: no input may fail another.
"""

from __future__ import annotations

import csv
import json
import os

import library_samples as samples
import numpy as np
import pytest
from library_folders import PARTIAL, Folders, tiny_model
from PIL import Image


@pytest.fixture
def folders(tmp_path) -> Folders:
    made = Folders(str(tmp_path / "in"), str(tmp_path / "out"))
    os.mkdir(made.input)
    os.mkdir(made.output)
    return made


HOSTILE = samples.hostile_pictures()


def test_image_probe_measures(folders: Folders):
    white = Image.new("RGBA", (40, 30), (255, 0, 0, 0))
    moving = [samples.picture(seed, (50, 50)) for seed in (1, 2, 3)]
    files = {
        "1.jpg": samples.camera_jpeg(),
        "2.png": samples.encoded(white, "PNG"),
        "3.gif": samples.encoded(moving[0], "GIF", save_all=True, append_images=moving[1:]),
        # The name says something else than the bytes.
        "4.png": samples.encoded(samples.picture(1), "WEBP"),
    }
    samples.write_all(folders.input, files | HOSTILE)
    folders.run("image_probe", code=PARTIAL)
    records = folders.records("images.jsonl")
    assert set(records) == set(files)
    assert folders.errors() == set(HOSTILE)
    photo = records["1.jpg"]
    assert (photo["width_px"], photo["height_px"], photo["mode"]) == (320, 240, "RGB")
    assert photo["camera"] == "Example Camera 1"
    assert photo["taken_at"] == "2024:05:06 07:08:09"
    assert (photo["latitude_deg"], photo["longitude_deg"]) == (-33.5, -70.25)
    assert json.loads(photo["exif"])["Orientation"] == "6"
    assert records["2.png"]["has_alpha"] is True
    assert records["2.png"]["exif"] is None
    assert records["3.gif"]["frames"] == 3
    assert records["4.png"]["format"] == "WEBP"
    assert all(len(record["perceptual_hash"]) == 16 for record in records.values())


def test_image_probe_finds_near_duplicates(folders: Folders):
    image = samples.picture(5)
    files = {
        "1.png": samples.encoded(image, "PNG"),
        "2.jpg": samples.encoded(image.resize((160, 120)), "JPEG", quality=60),
        "3.png": samples.encoded(samples.picture(6), "PNG"),
    }
    samples.write_all(folders.input, files)
    folders.run("image_probe")
    hashes = {
        name: int(record["perceptual_hash"], 16)
        for name, record in folders.records("images.jsonl").items()
    }
    assert (hashes["1.png"] ^ hashes["2.jpg"]).bit_count() <= 4
    assert (hashes["1.png"] ^ hashes["3.png"]).bit_count() > 4


def test_image_variants_fit_their_sizes(folders: Folders):
    files = {
        "1.jpg": samples.encoded(samples.picture(1, (2400, 1600)), "JPEG"),
        "2.png": samples.encoded(samples.picture(2, (600, 2000), "RGBA"), "PNG"),
        "3.png": samples.encoded(samples.picture(3, (100, 50)), "PNG"),
        "4.jpg": samples.camera_jpeg(),
    }
    samples.write_all(folders.input, files | HOSTILE)
    folders.run("image_variants", "--sizes", "1080p,720p,800x600", code=PARTIAL)
    sizes = {}
    for name in folders.files() - {"errors.jsonl"}:
        with Image.open(os.path.join(folders.output, name)) as image:
            sizes[name] = (image.format, image.size)
    assert sizes == {
        "1/0_1080p.jpg": ("JPEG", (1620, 1080)),
        "1/1_720p.jpg": ("JPEG", (1080, 720)),
        "1/2_800x600.jpg": ("JPEG", (800, 533)),
        "2/0_1080p.jpg": ("JPEG", (324, 1080)),
        "2/1_720p.jpg": ("JPEG", (216, 720)),
        "2/2_800x600.jpg": ("JPEG", (180, 600)),
        "3/0_1080p.jpg": ("JPEG", (100, 50)),  # Never enlarged, and once only.
        "4/0_1080p.jpg": ("JPEG", (240, 320)),  # Turned as the camera says.
    }
    assert folders.errors() == set(HOSTILE)


def test_image_variants_may_enlarge(folders: Folders):
    samples.write_all(folders.input, {"3.png": samples.encoded(samples.picture(3), "PNG")})
    folders.run("image_variants", "--sizes", "512", "--format", "webp", "--enlarge", "true")
    with Image.open(os.path.join(folders.output, "3", "0_512.webp")) as image:
        assert image.size == (512, 384)


@pytest.mark.parametrize("sizes", ["0p", "800x", "99999999", "", "800x600;rm", "20000"])
def test_image_variants_refuse_other_sizes(folders: Folders, sizes: str):
    assert "size" in folders.run("image_variants", "--sizes", sizes, code=2) or sizes == "20000"


def test_canny_edges_are_drawn(folders: Folders):
    square = Image.new("L", (64, 64), 0)
    square.paste(255, (16, 16, 48, 48))
    files = {
        "1.png": samples.encoded(square, "PNG"),
        "2.png": samples.encoded(Image.new("RGB", (9, 9)), "PNG"),
    }
    samples.write_all(folders.input, files | HOSTILE)
    folders.run("canny_edges", "--blur-px", "0", code=PARTIAL)
    assert folders.files() == {"1.png", "2.png", "errors.jsonl"}
    with Image.open(os.path.join(folders.output, "1.png")) as image:
        edges = np.asarray(image.convert("L"))
    assert 100 < (edges > 0).sum() < 140  # Four sides of about 32.
    assert edges[32, 32] == edges[0, 0] == 0


def test_crops_of_boxes(folders: Folders, tmp_path):
    boxes = tmp_path / "boxes"
    good = {"x": 10.4, "y": 20, "width": 30, "height": 40, "label": "A Cat / Dog"}
    outside = {"x": 500, "y": 0, "width": 5, "height": 5}
    over = {"x": 300, "y": 230, "width": 100, "height": 100}
    value = {"x": 50, "y": 25, "width": 10, "height": 50, "rectanglelabels": ["Face"]}
    task = {
        "data": {"image": "7.png"},
        "annotations": [
            {"result": [{"type": "rectanglelabels", "value": value}]},
            {"was_cancelled": True, "result": [{"type": "rectanglelabels", "value": value}]},
        ],
    }
    sidecars = {
        "7.boxes.json": json.dumps(task).encode(),
        "8.boxes.json": json.dumps({"annotations": [{"result": 3}]}).encode(),
        "1.boxes.json": json.dumps([good, outside, over]).encode(),
        "2.boxes-7.csv": b"\xef\xbb\xbfx,y,width,height,label\n0,0,5,5,\n",
        "2.boxes-8.json": json.dumps({"boxes": [good]}).encode(),
        "3.boxes.json": b'[{"x": 1, "y": 1, "width": NaN, "height": 1}]',
        "4.boxes.json": b'{"other": 1}',
        "4.boxes-2.csv": b"title,views\na,1\n",
        "5.boxes.json": b"\xff\xfe broken",
        "12.boxes.json": json.dumps([good]).encode(),
        "90-truncated.boxes.json": json.dumps([good]).encode(),
    }
    samples.write_all(str(boxes), sidecars)
    image = samples.encoded(samples.picture(1), "PNG")
    samples.write_all(folders.input, {f"{n}.png": image for n in range(1, 9)} | HOSTILE)
    folders.run("crop_boxes", "--boxes", str(boxes), code=PARTIAL)
    sizes = {}
    for name in folders.files() - {"errors.jsonl"}:
        with Image.open(os.path.join(folders.output, name)) as crop:
            sizes[name] = crop.size
    assert sizes == {
        "1/0_a-cat-dog.png": (31, 40),
        "1/2_.png": (20, 10),
        "2/0_.png": (5, 5),
        "2/1_a-cat-dog.png": (31, 40),
        "7/0_face.png": (32, 120),
    }
    # Those without boxes are not even opened.
    assert folders.errors() == {"3.png", "5.png", "8.png", "90-truncated.png"}


def test_ocr_reads_characters_with_their_places(folders: Folders):
    files = {
        "1.png": samples.encoded(samples.text_picture("DRY STONE 42"), "PNG"),
        "2.png": samples.encoded(Image.new("RGB", (200, 100), "white"), "PNG"),
    }
    samples.write_all(folders.input, files | HOSTILE)
    folders.run("ocr_detect", code=PARTIAL)
    assert folders.files() == {"1.csv", "2.csv", "errors.jsonl"}
    with open(os.path.join(folders.output, "1.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert "".join(row["character"] for row in rows) == "DRYSTONE42"
    assert [int(row["position"]) for row in rows] == list(range(10))
    assert [int(row["word"]) for row in rows] == [0] * 3 + [1] * 5 + [2] * 2
    lefts = [int(row["left_px"]) for row in rows]
    assert lefts == sorted(lefts)
    assert all(20 < int(row["top_px"]) < 60 for row in rows)
    assert all(float(row["confidence"]) > 50 for row in rows)
    with open(os.path.join(folders.output, "2.csv"), encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["position"], row["character"], row["left_px"]) == ("0", "", "")


@pytest.mark.parametrize("side", [8, "side"])
def test_embeddings_come_from_the_model(folders: Folders, tmp_path, side: int | str):
    model = str(tmp_path / "tiny.onnx")
    digest = tiny_model(model, side)
    files = {
        "1.png": samples.encoded(Image.new("RGB", (30, 20), (255, 0, 0)), "PNG"),
        "2.png": samples.encoded(Image.new("RGB", (20, 30), (0, 128, 128)), "PNG"),
    }
    black = {"3.png": samples.encoded(Image.new("RGB", (9, 9)), "PNG")}  # Has no direction.
    samples.write_all(folders.input, files | black | HOSTILE)
    folders.run("image_embedding", "--model", model, "--model-sha256", digest, code=PARTIAL)
    records = folders.records("embeddings.jsonl")
    assert set(records) == set(files)
    assert folders.errors() == set(HOSTILE) | set(black)
    assert records["1.png"]["vector"] == pytest.approx([1, 0, 0, 0])
    assert records["2.png"]["vector"] == pytest.approx([0, 0.5**0.5, 0.5**0.5, 0], abs=1e-6)


def test_another_model_is_refused(folders: Folders, tmp_path):
    model = str(tmp_path / "tiny.onnx")
    tiny_model(model)
    said = folders.run("image_embedding", "--model", model, "--model-sha256", "0" * 64, code=1)
    assert "not the one" in said
    assert "no model file" in folders.run("image_embedding", "--model", "/not/here", code=1)
