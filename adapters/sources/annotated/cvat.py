"""CVAT's XML 1.1: pictures with boxes, polygons, points, tags, masks and skeletons, and tracks.

A track is what one thing does from frame to frame: each of its shapes is a label of the picture
of that frame (`frame_000010.png`), with the track's number among its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_count, as_number, as_text
from adapters.sources.annotated.json_documents import records_of
from adapters.sources.annotated.picture import TABLE, Label, Picture, geometry, split_in
from adapters.sources.annotated.pixels import MASK_PIXELS_MAX, mask_of
from adapters.sources.reading.documents import spread
from adapters.sources.reading.xml import parse_xml
from sql import DeclaredTable

XML_BYTES_MAX = 256 << 20
SNIFFED_FILES_MAX = 6
SNIFFED_BYTES_MAX = 32 << 20
SHAPES = ("box", "polygon", "polyline", "points", "tag", "mask", "skeleton", "ellipse")
SURE = 0.95


class CvatAdapter:
    """XML of CVAT, for images and for videos."""

    name = "cvat"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for its XML."""
        small = [
            path
            for path in folder.with_suffix(".xml")
            if folder.files[path].size_bytes <= SNIFFED_BYTES_MAX
        ]
        tried = spread(small, SNIFFED_FILES_MAX)
        known = sum(is_cvat(_root(folder, path)) for path in tried)
        if not known:
            return Sniff(0.0, "no XML of CVAT")
        sure = SURE * (0.5 + 0.5 * known / len(tried))
        return Sniff(round(sure, 3), f"{known} of {len(tried)} XML files tried are of CVAT")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every picture with its labels, then what is wrong with labels."""
        for path in folder.with_suffix(".xml"):
            root = _root(folder, path)
            if isinstance(root, RecordError):
                yield Problem(path, -1, str(root))
            elif is_cvat(root):
                yield from _items(folder, path, root)
            else:
                yield Problem(path, -1, "no XML of CVAT: there are no images or tracks")


def _root(folder: ScrapeFolder, path: str) -> Element | RecordError:
    try:
        return parse_xml(folder.read_bytes(path, XML_BYTES_MAX))
    except RecordError as error:
        return error


def is_cvat(root: Any) -> bool:
    """Tell whether an XML is one of CVAT."""
    is_its = isinstance(root, Element) and root.tag == "annotations"
    return is_its and (root.find("image") is not None or root.find("track") is not None)


def _items(folder: ScrapeFolder, path: str, root: Element) -> Iterator[Record | Problem]:
    problems: list[str] = []
    pictures = [_picture(image, path, problems) for image in root.iterfind("image")]
    pictures += _frames(root, path, problems)
    told = [(picture, list[str](), complete) for picture, complete in pictures]
    yield from records_of(folder, path, "cvat", told)
    for place, reason in enumerate(problems, len(told)):
        yield Problem(path, place, reason)


def _picture(image: Element, path: str, problems: list[str]) -> tuple[Picture, Any]:
    labels: list[Label] = []
    shapes = [one for one in image if one.tag in SHAPES]
    for one in shapes:
        try:
            labels.append(_label(one, one.get("label"), {}, image))
        except RecordError as error:
            problems.append(f"a {one.tag} of {str(image.get('name'))[:80]!a}: {error}")
    name = image.get("name") or ""
    subset = (image.get("subset") or "").lower()
    picture = Picture(
        name,
        labels,
        image_id=image.get("id"),
        split=split_in(f"{subset}/") or split_in(path),
        width=image.get("width"),
        height=image.get("height"),
        candidates=_places(path, name, image.get("subset")),
    )
    return picture, {"image": dict(image.attrib), "shapes": [dict(one.attrib) for one in shapes]}


def _frames(root: Element, path: str, problems: list[str]) -> list[tuple[Picture, Any]]:
    by_frame: dict[int, list[tuple[Label, dict[str, str]]]] = {}
    width = root.findtext(".//original_size/width")
    height = root.findtext(".//original_size/height")
    for track in root.iterfind("track"):
        for one in track:
            frame = as_count(one.get("frame"))
            if one.tag not in SHAPES or one.get("outside") == "1" or frame is None:
                continue
            more = {"track_id": track.get("id"), "keyframe": one.get("keyframe")}
            try:
                label = _label(one, track.get("label"), more, None)
            except RecordError as error:
                problems.append(f"a {one.tag} of frame {frame}: {error}")
                continue
            by_frame.setdefault(frame, []).append((label, dict(one.attrib)))
    found: list[tuple[Picture, Any]] = []
    for frame, labels in sorted(by_frame.items()):
        names = [f"frame_{frame:06d}.{extension}" for extension in ("png", "jpg", "PNG")]
        places = [place for name in names for place in _places(path, name, None)]
        told = [label for label, _ in labels]
        picture = Picture(names[0], told, frame, split_in(path), width, height, places)
        found.append((picture, {"frame": frame, "shapes": [shape for _, shape in labels]}))
    return found


def _places(path: str, name: str, subset: str | None) -> list[str]:
    if not name or name.startswith("/") or ".." in name.split("/"):
        return []
    parent = path.rpartition("/")[0]
    top = f"{parent}/" if parent else ""
    inside = [f"images/{subset}/"] if subset else []
    return [f"{top}{folder}{name}" for folder in (*inside, "images/", "")]


def _label(
    one: Element, label: str | None, more: dict[str, str | None], image: Element | None
) -> Label:
    attributes: dict[str, Any] = {
        str(part.get("name"))[:200]: as_text(part.text, 1_000) for part in one.iterfind("attribute")
    }
    attributes |= {name: one.get(name) for name in ("occluded", "group_id", "source")}
    attributes = {name: value for name, value in (attributes | more).items() if value is not None}
    known: dict[str, Any] = {"label": as_text(label, 200), "attributes": attributes}
    if one.tag == "tag":
        return Label(**known, kind="tag")
    if one.tag == "box":
        left, top, right, bottom = _numbers(one, ("xtl", "ytl", "xbr", "ybr"))
        if right < left or bottom < top:
            raise RecordError("a box of negative width or height")
        turn = as_number(one.get("rotation"))
        if turn:
            centre = (left + right) / 2, (top + bottom) / 2
            turned = (*centre, right - left, bottom - top, turn)
            return Label(**known, geometry=geometry(turned=turned))
        return Label(**known, box=(left, top, right - left, bottom - top))
    if one.tag == "ellipse":
        x, y, rx, ry = _numbers(one, ("cx", "cy", "rx", "ry"))
        known["attributes"] = {**attributes, "shape_type": one.tag}
        return Label(**known, box=(x - rx, y - ry, 2 * rx, 2 * ry))
    if one.tag == "mask":
        return Label(**known, geometry=geometry(mask=_mask(one, image)))
    if one.tag == "skeleton":
        return _skeleton(one, known)
    points = _points(one.get("points"))
    if one.tag == "polygon":
        flat = [number for point in points for number in point]
        return Label(**known, geometry=geometry(polygons=[flat]))
    if one.tag == "polyline":
        known["attributes"] = {**attributes, "shape_type": one.tag}
    seen = [number for x, y in points for number in (x, y, 2.0)]
    return Label(**known, geometry=geometry(points=seen))


def _skeleton(one: Element, known: dict[str, Any]) -> Label:
    seen: list[float] = []
    names: list[str] = []
    for point in one.iterfind("points"):
        ((x, y),) = _points(point.get("points"))[:1]
        is_outside, is_hidden = point.get("outside") == "1", point.get("occluded") == "1"
        seen += (x, y, 0.0 if is_outside else 1.0 if is_hidden else 2.0)
        names.append(as_text(point.get("label"), 200) or str(len(names) + 1))
    if not seen:
        raise RecordError("a skeleton without points")
    return Label(**known, geometry=geometry(points=seen, point_names=names))


def _mask(one: Element, image: Element | None) -> dict[str, Any]:
    """Return a mask as COCO counts it, of runs along the rows of a part of the picture."""
    size = _numbers(one, ("left", "top", "width", "height"))
    left, top, width, height = (int(number) for number in size)
    full_width = as_count(image.get("width")) if image is not None else None
    full_height = as_count(image.get("height")) if image is not None else None
    if not full_width or not full_height or full_width * full_height > MASK_PIXELS_MAX:
        raise RecordError("a mask of a picture whose size is unknown or beyond the limit")
    runs = [as_count(word) for word in (one.get("rle") or "").split(",")]
    known = [run for run in runs if run is not None]
    is_inside = (
        left >= 0 and top >= 0 and left + width <= full_width and top + height <= full_height
    )
    if len(known) < len(runs) or sum(known) != width * height or not is_inside:
        raise RecordError("a mask whose runs do not fit its place")
    part = np.repeat(np.arange(len(known)) % 2, known).astype(np.uint8).reshape(height, width)
    whole = np.zeros((full_height, full_width), dtype=np.uint8)
    whole[top : top + height, left : left + width] = part
    return mask_of(whole)


def _points(text: str | None) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for pair in (text or "").split(";"):
        numbers = [as_number(word) for word in pair.split(",")]
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
            raise RecordError("points that are not x,y;x,y ...")
        found.append((numbers[0], numbers[1]))
    return found


def _numbers(one: Element, names: tuple[str, ...]) -> list[float]:
    values = [as_number(one.get(name)) for name in names]
    if any(value is None for value in values):
        raise RecordError(f"{' '.join(names)} are not all numbers")
    return [float(value or 0) for value in values]
