"""Datumaro: `annotations/SPLIT.json` of its own format, pictures in `images/` by split.

Boxes, polygons, masks, points with their names and skeleton, ellipses (as polygons), lines,
classes of whole pictures and captions; cuboids of point clouds are none that a picture has.
"""

from __future__ import annotations

from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.values import as_count, as_number, as_text, dig, mappings
from adapters.sources.annotated.json_documents import (
    AnnotatedDocuments,
    Items,
    Told,
    places_below,
    records_of,
)
from adapters.sources.annotated.picture import SPLITS, Label, Picture, geometry
from adapters.sources.annotated.pixels import ellipse

EXTENSIONS = ("jpg", "png", "jpeg", "bmp", "webp", "JPG", "PNG", "tif", "tiff")
TYPES = frozenset(
    {"label", "bbox", "polygon", "polyline", "mask", "points", "caption", "ellipse", "cuboid_3d"}
)


def is_datumaro(value: Any) -> bool:
    """Tell whether a document is one of Datumaro."""
    if not isinstance(value, dict) or not isinstance(value.get("categories"), dict):
        return False
    items = value.get("items")
    first = next(mappings(items), None) if isinstance(items, list) else None
    return first is not None and "id" in first and isinstance(first.get("annotations"), list)


def _document(folder: ScrapeFolder, path: str, value: dict[str, Any]) -> Items:
    labels = [*mappings(dig(value, "categories", "label", "labels"))]
    points = {
        as_count(one.get("label_id")): one
        for one in mappings(dig(value, "categories", "points", "items"))
    }
    word = path.rpartition("/")[2].rpartition(".")[0]
    told = (_item(folder, path, word, one, labels, points) for one in value["items"])
    yield from records_of(folder, path, "datumaro", told)


def _item(
    folder: ScrapeFolder,
    path: str,
    word: str,
    item: Any,
    labels: list[dict[str, Any]],
    points: dict[Any, dict[str, Any]],
) -> Told:
    identity = as_text(item.get("id"), 1_000) if isinstance(item, dict) else None
    if identity is None:
        return Picture("", ()), [], item
    found, wrong = list[Label](), list[str]()
    for one in mappings(item.get("annotations")):
        try:
            found.append(_label(one, labels, points))
        except RecordError as error:
            wrong.append(f"annotation {str(one.get('id'))[:40]!a} of {identity[:80]!a}: {error}")
    image = item.get("image") or item.get("media") or {}
    told = as_text(dig(image, "path"), 1_000)
    names = [told.replace("\\", "/")] if told else [f"{identity}.{end}" for end in EXTENSIONS]
    tops = (f"images/{word}/", "images/", "")
    places = places_below(path, [f"{top}{name}" for name in names for top in tops])
    file = next((place for place in places if place in folder.whole.files), names[0])
    size = dig(image, "size")
    height, width = size if isinstance(size, list) and len(size) == 2 else (None, None)
    picture = Picture(
        file.rpartition("/")[2],
        found,
        image_id=identity,
        split=SPLITS.get(word.lower()),
        width=width,
        height=height,
        candidates=places,
    )
    return picture, wrong, item


def _label(
    one: dict[str, Any], labels: list[dict[str, Any]], points: dict[Any, dict[str, Any]]
) -> Label:
    form, index = as_text(one.get("type")), as_count(one.get("label_id"))
    if index is not None and index >= len(labels):
        raise RecordError(f"label_id {index} where there are {len(labels)} labels")
    category = labels[index] if index is not None else {}
    attributes = dict(one["attributes"]) if isinstance(one.get("attributes"), dict) else {}
    if as_count(one.get("group")):
        attributes["group"] = one["group"]
    known: dict[str, Any] = {
        "label": as_text(category.get("name"), 200),
        "category_id": index,
        "supercategory": as_text(category.get("parent")),
        "annotation_id": one.get("id"),
        "confidence": attributes.get("score"),
        "attributes": attributes,
    }
    if form == "label":
        return Label(kind="tag", **known)
    if form == "caption":
        return Label(caption=one.get("caption"), **known)
    if form == "bbox":
        x, y, width, height = _numbers(one.get("bbox"), 4)
        return Label(box=(x, y, width, height), **known)
    if form == "mask":
        size = dig(one, "rle", "size")
        if not isinstance(size, list) or len(size) != 2:
            raise RecordError("a mask without its size")
        mask = {"height": size[0], "width": size[1], "counts": dig(one, "rle", "counts")}
        return Label(geometry=geometry(mask=mask), **known)
    if form == "polygon":
        return Label(geometry=geometry(polygons=[_numbers(one.get("points"))]), **known)
    if form == "ellipse":
        left, top, right, bottom = _numbers(one.get("points"), 4)
        centre = ((left + right) / 2, (top + bottom) / 2)
        attributes["shape_type"] = form
        ring = ellipse(centre, ((right - left) / 2, (bottom - top) / 2))
        return Label(geometry=geometry(polygons=[ring]), **known)
    if form in ("points", "polyline"):
        if form == "polyline":
            attributes["shape_type"] = form
        return Label(geometry=geometry(**_points(one, points.get(index, {}))), **known)
    raise RecordError(f"the type {str(form)[:40]!a} is none that is known")


def _points(one: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    flat = _numbers(one.get("points"))
    pairs = list(zip(flat[::2], flat[1::2], strict=False))
    seen = one.get("visibility")
    visible = seen if isinstance(seen, list) and len(seen) == len(pairs) else [2] * len(pairs)
    found: dict[str, Any] = {
        "points": [n for (x, y), v in zip(pairs, visible, strict=True) for n in (x, y, v)]
    }
    if isinstance(names := named.get("labels"), list) and len(names) == len(pairs):
        found["point_names"] = names
    if isinstance(lines := named.get("joints"), list) and lines:
        found["skeleton"] = lines
    return found


def _numbers(value: Any, count: int | None = None) -> list[float]:
    numbers = [as_number(number) for number in value] if isinstance(value, list) else []
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers) or (count is not None and len(known) != count):
        raise RecordError("its place is no list of numbers")
    return known


DATUMARO = AnnotatedDocuments("datumaro", "categories and items", is_datumaro, _document)
