"""Cuts boxes out of images. Knows folders only.

The boxes of `7.png` lie beside it in `7.boxes.json` or `7.boxes.csv` (or `7.boxes-*.json`): objects
or rows with x, y, width, height in pixels from the top left of the picture as it is shown, and
perhaps a label. JSON is a list, an object with the list at `boxes`, or a Label Studio task with its
annotations (one image's, in percent).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import sys
import warnings
from typing import Any, NamedTuple

from PIL import Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 200_000_000
BOXES_MAX = 1_000
SIDECAR_BYTES_MAX = 4 << 20


class Box(NamedTuple):
    """A rectangle in pixels, and what it shows."""

    x: float
    y: float
    width: float
    height: float
    label: str


class Crops:
    """Writes `<stem>/<number>_<label>.png` for every box that meets the picture."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.boxes_folder: str = arguments.boxes
        self.output: str = arguments.output
        self.margin: float = arguments.margin
        # Listed once: there may be 50,000 images.
        self.sidecars: dict[str, list[str]] = {}
        there = os.path.isdir(self.boxes_folder)
        for name in sorted(os.listdir(self.boxes_folder)) if there else ():
            if match := re.fullmatch(r"(.+)\.boxes(-[^.]*)?\.(json|csv)", name, re.DOTALL):
                self.sidecars.setdefault(match[1], []).append(name)

    def cut(self, path: str) -> None:
        """Cut one image; one without a sidecar has no crops."""
        sidecars = self._sidecars_of(stem_of(path))
        if not sidecars:
            return
        with Image.open(path, formats=FORMATS) as opened:
            image = ImageOps.exif_transpose(opened)
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        boxes = [box for sidecar in sidecars for box in read_boxes(sidecar, image.size)]
        if len(boxes) > BOXES_MAX:
            raise ValueError(f"more than {BOXES_MAX} boxes")
        folder = os.path.join(self.output, stem_of(path))
        os.makedirs(folder)
        for number, box in enumerate(boxes):
            place = self._within(box, image.size)
            if place is None:
                print(f"{stem_of(path)}: box {number} lies outside", file=sys.stderr)
                continue
            label = re.sub(r"[^a-z0-9]+", "-", box.label.lower()).strip("-")[:40]
            with new_file(os.path.join(folder, f"{number}_{label}.png")) as file:
                image.crop(place).save(file, "PNG")

    def _sidecars_of(self, stem: str) -> list[str]:
        return [os.path.join(self.boxes_folder, name) for name in self.sidecars.get(stem, [])]

    def _within(self, box: Box, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        margin_x, margin_y = box.width * self.margin, box.height * self.margin
        left = max(0, math.floor(box.x - margin_x))
        top = max(0, math.floor(box.y - margin_y))
        right = min(size[0], math.ceil(box.x + box.width + margin_x))
        bottom = min(size[1], math.ceil(box.y + box.height + margin_y))
        return (left, top, right, bottom) if left < right and top < bottom else None


def read_boxes(path: str, size: tuple[int, int]) -> list[Box]:
    """Return the boxes of a sidecar of an image of this size. Raises ValueError.

    Other things than boxes may lie beside an image, such as what a source said about it: they have
    none.
    """
    if os.path.getsize(path) > SIDECAR_BYTES_MAX:
        raise ValueError(f"the sidecar has more than {SIDECAR_BYTES_MAX} bytes")
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.endswith(".csv"):
            reader = csv.DictReader(file)
            if not {"x", "y", "width", "height"} <= set(reader.fieldnames or ()):
                return []
            return [_box(row) for row in reader]
        document: Any = json.load(file)
    if isinstance(document, dict) and "annotations" in document:
        return _label_studio_boxes(document, size)
    records: Any = document.get("boxes") if isinstance(document, dict) else document
    if not isinstance(records, list):
        return []
    return [_box(record) for record in records]


def _label_studio_boxes(task: dict[str, Any], size: tuple[int, int]) -> list[Box]:
    try:
        values = [
            result["value"]
            for annotation in task["annotations"]
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            if result["type"] == "rectanglelabels"
        ]
        return [
            _box(
                {
                    "x": value["x"] * size[0] / 100,
                    "y": value["y"] * size[1] / 100,
                    "width": value["width"] * size[0] / 100,
                    "height": value["height"] * size[1] / 100,
                    "label": (value.get("rectanglelabels") or [""])[0],
                }
            )
            for value in values
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the sidecar is no task of Label Studio: {error!r}") from error


def _box(record: Any) -> Box:
    if not isinstance(record, dict):
        raise ValueError("a box is an object with x, y, width, height")
    try:
        numbers = [float(record[name]) for name in ("x", "y", "width", "height")]
    except (KeyError, TypeError) as error:
        raise ValueError(f"a box lacks a number: {error}") from error
    if not all(math.isfinite(number) for number in numbers) or min(numbers[2:]) <= 0:
        raise ValueError("a box has an impossible size")
    return Box(*numbers, label=str(record.get("label") or ""))


def main() -> int:
    """Cut every image; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="the images")
    parser.add_argument("--boxes", required=True, help="the sidecars; may be the same folder")
    parser.add_argument("--output", required=True)
    parser.add_argument("--margin", type=float, default=0.0, help="share of each side, around")
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return each_input(arguments.input, arguments.output, Crops(arguments).cut)


if __name__ == "__main__":
    sys.exit(main())
