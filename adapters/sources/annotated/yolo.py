"""YOLO: one text a picture with a line for each label: boxes, polygons, key points, turned boxes.

A line is the number of the class, then shares of the picture: centre and size of a box (with a
confidence where something found it), corners of a polygon, or a box and its key points where
`data.yaml` says `kpt_shape`. Four corners in every line of a data set are turned boxes. Names of
classes are those of `data.yaml`, `obj.names` or `classes.txt` nearest above. The places become
pixels, so the picture must be there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_text
from adapters.sources.annotated.picture import (
    TABLE,
    Label,
    Picture,
    geometry,
    picture_record,
    split_in,
    usable,
)
from adapters.sources.annotated.pixels import size_of_file
from adapters.sources.reading.documents import spread
from base.documents import DocumentError, Limits, read_document
from sql import DeclaredTable

LABELS_BYTES_MAX = 8 << 20
NAMES_BYTES_MAX = 1 << 20
SNIFFED_FILES_MAX = 12
NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "obj.names", "classes.txt", "labels.txt")
YAML_LIMITS = Limits(size_bytes_max=NAMES_BYTES_MAX, levels_max=20, values_max=100_000)
TURNED_ERROR_MAX = 0.02
"""How far, as a share of its size, a turned box may be from a rectangle."""
_NUMBER_KEY = re.compile(r"(^[ \t]*|[{,]\s*)(\d{1,6})\s*:(?=\s)", re.MULTILINE)
_LINE = re.compile(r"\s*(\d{1,6})((?:\s+-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?){4,})\s*")


@dataclass(frozen=True, slots=True)
class _Classes:
    """What a file of names says; `points` is how many key points of how many numbers."""

    names: dict[int, str]
    points: tuple[int, int] | None = None


class YoloAdapter:
    """Pictures with a text of labels each."""

    name = "yolo"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for texts of labels that have a picture."""
        texts = [path for path in folder.paths if _may_be_labels(path)]
        tried = spread(texts, SNIFFED_FILES_MAX)
        known = sum(bool(_picture_of(folder, p)) and _lines(folder, p) is not None for p in tried)
        if not known:
            return Sniff(0.0, "no text of labels beside a picture")
        share = known / len(tried)
        named = any(path.rpartition("/")[2].lower() in NAMES_FILES for path in folder.paths)
        sure = (0.95 if named else 0.85) * (0.5 + 0.5 * share)
        return Sniff(round(sure, 3), f"{known} of {len(tried)} texts tried are labels of a picture")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every picture that has a text of labels."""
        classes = _all_classes(folder)
        texts = [path for path in folder.paths if _may_be_labels(path)]
        found = {path: lines for path in texts if (lines := _lines(folder, path)) is not None}
        counts = {len(numbers) for lines in found.values() for _, numbers in lines}
        for path, lines in found.items():
            picture = _picture_of(folder, path)
            if picture is None:
                if lines:
                    yield Problem(path, 0, "labels of a picture that is not there")
                continue
            try:
                known = _nearest(classes, path)
                yield from _items(folder, path, picture, lines, known, counts == {8})
            except RecordError as error:
                yield Problem(path, -1, str(error))


def _items(
    folder: ScrapeFolder,
    path: str,
    picture: str,
    lines: list[tuple[int, list[float]]],
    classes: _Classes,
    are_turned: bool,
) -> Iterator[Record | Problem]:
    size = size_of_file(folder, picture)
    if size is None and lines:
        raise RecordError(
            f"the size of its picture {picture!a} cannot be told, and YOLO has shares"
        )
    width, height = size or (0, 0)
    labels, problems = usable(
        path,
        (
            partial(_label, number, index, numbers, classes, (width, height), are_turned)
            for number, (index, numbers) in enumerate(lines)
        ),
    )
    name = picture.rpartition("/")[2]
    told = Picture(name, labels, None, split_in(picture), width, height, (picture,))
    # An empty text says that nothing is on the picture; an empty file is no node.
    yield picture_record(folder, path, -1, told, "yolo", None if lines else "")
    yield from problems


def _label(
    number: int,
    index: int,
    numbers: list[float],
    classes: _Classes,
    size: tuple[int, int],
    are_turned: bool,
) -> Label:
    width, height = size
    name = classes.names.get(index, str(index))
    known: dict[str, Any] = {"label": name, "annotation_id": number, "category_id": index}

    def pixels(shares: list[float]) -> list[float]:
        return [share * (height if place % 2 else width) for place, share in enumerate(shares)]

    points = classes.points
    if points is not None and len(numbers) == 4 + points[0] * points[1]:
        return Label(
            **known, box=_box(numbers, size), geometry=_points(numbers[4:], points[1], size)
        )
    if len(numbers) in (4, 5):
        confidence = numbers[4] if len(numbers) == 5 else None
        return Label(**known, box=_box(numbers, size), confidence=confidence)
    if len(numbers) % 2 or len(numbers) < 6:
        raise RecordError(f"line {number + 1}: {len(numbers)} numbers are no place")
    corners = pixels(numbers)
    turned = _turned(corners) if are_turned else None
    place = {"turned": turned} if turned is not None else {"polygons": [corners]}
    return Label(**known, geometry=geometry(**place))


def _box(numbers: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, width, height = numbers[:4]
    return (
        (x - width / 2) * size[0], (y - height / 2) * size[1], width * size[0], height * size[1]
    )  # fmt: skip


def _points(numbers: list[float], each: int, size: tuple[int, int]) -> Any:
    found: list[float] = []
    for start in range(0, len(numbers), each):
        x, y = numbers[start] * size[0], numbers[start + 1] * size[1]
        seen = numbers[start + 2] if each == 3 else 2.0 if x or y else 0.0
        found += (x, y, seen)
    return geometry(points=found)


def _turned(corners: list[float]) -> list[float] | None:
    """Return the turned box of four corners; None when they are no rectangle."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = zip(corners[::2], corners[1::2], strict=True)
    width, height = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
    off = math.hypot(ax + cx - bx - dx, ay + cy - by - dy)
    across = math.hypot(cx - ax, cy - ay) - math.hypot(dx - bx, dy - by)
    if max(off, abs(across)) > TURNED_ERROR_MAX * max(width, height, 1.0):
        return None
    degrees = math.degrees(math.atan2(by - ay, bx - ax))
    return [(ax + cx) / 2, (ay + cy) / 2, width, height, degrees]


# ---- Files ---------------------------------------------------------------------------------------


def _may_be_labels(path: str) -> bool:
    base = path.rpartition("/")[2].lower()
    return base.endswith(".txt") and base not in NAMES_FILES


def _lines(folder: ScrapeFolder, path: str) -> list[tuple[int, list[float]]] | None:
    """Return class and numbers of each line; None when the text is none of labels."""
    if folder.files[path].size_bytes > LABELS_BYTES_MAX:
        return None
    found: list[tuple[int, list[float]]] = []
    for line in folder.read_text(path, LABELS_BYTES_MAX).splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        numbers = [float(word) for word in match[2].split()]
        if any(not -1.0 <= number <= 2.0 for number in numbers):
            return None
        found.append((int(match[1]), numbers))
    return found


def _picture_of(folder: ScrapeFolder, path: str) -> str | None:
    """Return the picture of a text of labels: in `images/` for `labels/`, or beside it."""
    folder = folder.whole
    stem = path.rpartition(".")[0]
    parts = stem.split("/")
    places = [stem]
    for place in reversed(range(len(parts) - 1)):
        if parts[place].lower() == "labels":
            images = "Images" if parts[place] == "Labels" else "images"
            places.insert(0, "/".join([*parts[:place], images, *parts[place + 1 :]]))
            break
    extensions = ("jpg", "png", "jpeg", "webp", "bmp", "tif", "tiff", "JPG", "PNG", "JPEG", "avif")
    names = (f"{place}.{extension}" for place in places for extension in extensions)
    return next((name for name in names if name in folder.files), None)


def _all_classes(folder: ScrapeFolder) -> dict[str, _Classes]:
    """Return the names of classes by the folder that says them."""
    found: dict[str, _Classes] = {}
    for name in reversed(NAMES_FILES):  # The first of them counts where a folder has several.
        for path in folder.paths:
            parent, _, base = path.rpartition("/")
            if base.lower() == name and (known := _classes(folder, path)).names:
                found[parent] = known
    return found


def _classes(folder: ScrapeFolder, path: str) -> _Classes:
    try:
        text = folder.read_text(path, NAMES_BYTES_MAX)
        if not path.lower().endswith((".yaml", ".yml")):
            lines = [line.strip() for line in text.splitlines()]
            return _Classes(
                {n: as_text(line, 200) or str(n) for n, line in enumerate(lines) if line}
            )
        # Numbers of classes are keys there, which our reader takes as texts only.
        value = read_document(_NUMBER_KEY.sub(r'\1"\2":', text), YAML_LIMITS).value
    except (RecordError, DocumentError):
        return _Classes({})
    names = value.get("names") if isinstance(value, dict) else None
    pairs = enumerate(names) if isinstance(names, list) else []
    pairs = names.items() if isinstance(names, dict) else pairs
    shape: Any = value.get("kpt_shape") if isinstance(value, dict) else None
    points = None
    if isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape):
        points = (shape[0], shape[1]) if shape[0] > 0 and shape[1] in (2, 3) else None
    known = {int(n): as_text(name, 200) or str(n) for n, name in pairs if str(n).isdecimal()}
    return _Classes(known, points)


def _nearest(classes: dict[str, _Classes], path: str) -> _Classes:
    parent = path
    while parent:
        parent = parent.rpartition("/")[0]
        if parent in classes:
            return classes[parent]
    return _Classes({})
