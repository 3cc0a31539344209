"""Pascal VOC: an XML a picture, splits in `ImageSets/`; also polygons and turned boxes of its kin.

Corners count from 1 and are whole pixels that belong to the box, as VOC's own devkit has them:
what lies from 1 to 10 is ten wide. Pictures are found by their name, in `JPEGImages/`, or by the
stem of the XML in any case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_number, as_text
from adapters.sources.annotated.picture import (
    SPLITS,
    TABLE,
    Label,
    Picture,
    geometry,
    picture_record,
    split_in,
    usable,
)
from adapters.sources.reading.documents import spread
from adapters.sources.reading.xml import parse_xml
from sql import DeclaredTable, media_type_of

XML_BYTES_MAX = 16 << 20
LIST_BYTES_MAX = 64 << 20
SNIFFED_FILES_MAX = 12
SURE = 0.95
ATTRIBUTES = ("pose", "truncated", "difficult", "occluded")


class VocAdapter:
    """XML as Pascal VOC has it."""

    name = "voc"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for XML of one picture."""
        tried = spread(folder.with_suffix(".xml"), SNIFFED_FILES_MAX)
        known = sum(is_voc(_root(folder, path)) for path in tried)
        if not known:
            return Sniff(0.0, "no XML of a picture's objects")
        sure = SURE * (0.5 + 0.5 * known / len(tried))
        return Sniff(round(sure, 3), f"{known} of {len(tried)} XML files tried are of Pascal VOC")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the picture of every XML."""
        splits, pictures = _splits(folder), _pictures(folder)
        for path in folder.with_suffix(".xml"):
            root = _root(folder, path)
            try:
                if isinstance(root, RecordError):
                    raise root
                if not is_voc(root):
                    raise RecordError("no Pascal VOC: there is no annotation of a picture")
                yield from _items(folder, path, root, splits, pictures)
            except RecordError as error:
                yield Problem(path, -1, str(error))


def _root(folder: ScrapeFolder, path: str) -> Element | RecordError:
    try:
        return parse_xml(folder.read_bytes(path, XML_BYTES_MAX))
    except RecordError as error:
        return error


def is_voc(root: Any) -> bool:
    """Tell whether an XML is the annotation of one picture."""
    is_annotation = isinstance(root, Element) and root.tag == "annotation"
    return is_annotation and (root.find("size") is not None or root.find("object") is not None)


def _items(
    folder: ScrapeFolder,
    path: str,
    root: Element,
    splits: dict[str, str],
    pictures: dict[tuple[str, str], str | None],
) -> Iterator[Record | Problem]:
    parent, _, base = path.rpartition("/")
    stem = base.rpartition(".")[0]
    name = as_text(root.findtext("filename"), 1_000) or stem
    above = parent.rpartition("/")[0]
    beside = f"{above}/JPEGImages" if above else "JPEGImages"
    places = [f"{beside}/{name}"]
    for place in (parent, beside, f"{above}/images" if above else "images"):
        if (found := pictures.get((place, stem.lower()))) is not None:
            places.append(found)
    is_named = extension_of(name) and media_type_of(extension_of(name)) == "image"
    if not is_named:
        name = next((one.rpartition("/")[2] for one in places if one in folder.files), name)
    found = enumerate(root.iterfind("object"))
    labels, problems = usable(path, (partial(_label, number, one) for number, one in found))
    picture = Picture(
        name,
        labels,
        image_id=stem,
        split=splits.get(stem) or split_in(path),
        width=root.findtext("size/width"),
        height=root.findtext("size/height"),
        candidates=places,
    )
    yield picture_record(folder, path, -1, picture, "voc", None)
    yield from problems


def _label(number: int, one: Element) -> Label:
    name = as_text(one.findtext("name"), 200)
    if name is None:
        raise RecordError(f"object {number + 1} has no name")
    attributes = {key: text for key in ATTRIBUTES if (text := as_text(one.findtext(key), 100))}
    known: dict[str, Any] = {"label": name, "annotation_id": number, "attributes": attributes}
    box = _box(one.find("bndbox"), number)
    if (turned := one.find("robndbox")) is not None:
        numbers = _numbers(turned, ("cx", "cy", "w", "h", "angle"), number)
        numbers[4] = math.degrees(numbers[4])
        return Label(**known, geometry=geometry(turned=numbers))
    if (polygon := one.find("polygon")) is not None and (ring := _ring(polygon)):
        return Label(**known, box=box, geometry=geometry(polygons=[ring]))
    return Label(**known, box=box)


def _box(found: Element | None, number: int) -> tuple[float, float, float, float] | None:
    if found is None:
        return None
    left, top, right, bottom = _numbers(found, ("xmin", "ymin", "xmax", "ymax"), number)
    if right < left or bottom < top:
        raise RecordError(f"object {number + 1}: a box of negative width or height")
    return left - 1, top - 1, right - left + 1, bottom - top + 1


def _numbers(found: Element, names: tuple[str, ...], number: int) -> list[float]:
    values = [as_number(found.findtext(name)) for name in names]
    if any(value is None for value in values):
        raise RecordError(f"object {number + 1}: {' '.join(names)} are not all numbers")
    return [float(value or 0) for value in values]


def _ring(found: Element) -> list[float] | None:
    """Return the corners of a polygon, written as x1, y1, x2 ... or as points of x and y."""
    points = found.findall("pt") or found.findall("point")
    if points:
        texts = [point.findtext(axis) for point in points for axis in ("x", "y")]
    else:
        corners = {one.tag: one.text for one in found}
        count = sum(name.startswith("x") for name in corners)
        names = [f"{axis}{place}" for place in range(1, count + 1) for axis in "xy"]
        texts = [corners.get(name) for name in names]
    numbers = [number for text in texts if (number := as_number(text)) is not None]
    return numbers if len(numbers) == len(texts) and len(numbers) >= 6 else None


def _splits(folder: ScrapeFolder) -> dict[str, str]:
    """Return the split of each stem that `ImageSets/Main` and its like list."""
    found: dict[str, str] = {}
    for path in folder.with_suffix(".txt"):
        name = path.rpartition("/")[2][: -len(".txt")].lower()
        if "ImageSets/" not in path or name not in SPLITS or name == "trainval":
            continue
        try:
            lines = folder.read_text(path, LIST_BYTES_MAX).splitlines()
        except RecordError:
            continue
        for line in lines:
            if words := line.split():
                found.setdefault(words[0], SPLITS[name])
    return found


def _pictures(folder: ScrapeFolder) -> dict[tuple[str, str], str | None]:
    """Return the only picture of each folder and stem, whatever the case."""
    found: dict[tuple[str, str], str | None] = {}
    for path in folder.whole.paths:
        if media_type_of(extension_of(path)) == "image":
            parent, _, base = path.rpartition("/")
            key = (parent, base.rpartition(".")[0].lower())
            found[key] = None if key in found else path
    return found
