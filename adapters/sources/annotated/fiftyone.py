"""FiftyOne: `samples.json` of its own format, and `labels.json` of its exports of one field.

Places are shares of the picture. Every field of a sample that holds labels is read; its name is
among the attributes. The tags of a sample tell its split.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from adapters.sources.annotated.picture import SPLITS, Label, Picture, geometry, split_in
from adapters.sources.annotated.pixels import size_of_file

LISTS = {
    "Detections": "detections",
    "Polylines": "polylines",
    "Keypoints": "keypoints",
    "Classifications": "classifications",
}
ONES = frozenset({"Detection", "Polyline", "Keypoint", "Classification"})
OWN = frozenset(
    {"_id", "_cls", "label", "bounding_box", "points", "confidence", "closed", "filled", "tags"}
    | {"attributes", "mask", "logits", "mask_path"}
)
EXTENSIONS = ("jpg", "png", "jpeg", "webp", "bmp")


def is_fiftyone(value: Any) -> bool:
    """Tell whether a document is one of FiftyOne."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("samples"), list):
        first = next(mappings(value["samples"]), {})
        return "filepath" in first
    return value.keys() == {"classes", "labels"} and isinstance(value["labels"], dict)


def _document(folder: ScrapeFolder, path: str, value: dict[str, Any]) -> Items:
    samples = value.get("samples")
    if not isinstance(samples, list):
        samples = [*_samples_of(value)]
    told = (_sample(folder, path, sample) for sample in samples)
    yield from records_of(folder, path, "fiftyone", told)


def _samples_of(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the samples of an export of one field, whose labels are by the stems of files."""
    names = value.get("classes")
    classes = names if isinstance(names, list) else []

    def of(target: Any) -> Any:
        is_known = isinstance(target, int) and 0 <= target < len(classes)
        return classes[target] if is_known else target

    for stem, target in value["labels"].items():
        if isinstance(target, list):
            found = [{**one, "label": of(one.get("label"))} for one in mappings(target)]
            is_line = any("points" in one for one in found)
            name = "Polylines" if is_line else "Detections" if found else "Classifications"
            label = {"_cls": name, LISTS[name]: found}
        else:
            label = {"_cls": "Classification", "label": of(target)}
        yield {"stem": stem, "label": label} if target is not None else {"stem": stem}


def _sample(folder: ScrapeFolder, path: str, sample: Any) -> Told:
    if not isinstance(sample, dict):
        return Picture("", ()), [], sample
    told, stem = as_text(sample.get("filepath"), 1_000), as_text(sample.get("stem"), 900)
    names = [told.replace("\\", "/")] if told else []
    if stem:
        names = [f"data/{stem}.{extension}" for extension in EXTENSIONS]
    base = names[0].rpartition("/")[2] if names else ""
    places = places_below(path, [name.lstrip("/") for name in names] + [f"data/{base}"])
    file = next((place for place in places if place in folder.whole.files), None)
    base = file.rpartition("/")[2] if file else base
    size = tuple(as_count(dig(sample, "metadata", side)) for side in ("width", "height"))
    if not all(size):
        size = (size_of_file(folder, file) if file else None) or (None, None)
    labels, wrong = list[Label](), list[str]()
    for name, one in _labels_of(sample):
        try:
            labels.append(_label(name, one, size))
        except RecordError as error:
            wrong.append(f"a label in {name[:80]!a} of {base[:80]!a}: {error}")
    tags = sample.get("tags")
    words = [tag.lower() for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    split = next((SPLITS[word] for word in words if word in SPLITS), None) or split_in(path)
    picture = Picture(base, labels, dig(sample, "_id", "$oid"), split, *size, candidates=places)
    return picture, wrong, sample


def _labels_of(sample: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in sample.items():
        kind = value.get("_cls") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            continue
        if kind in ONES:
            yield name, value
        elif kind in LISTS:
            yield from ((name, one) for one in mappings(value.get(LISTS[kind])))


def _label(field: str, one: dict[str, Any], size: Any) -> Label:
    more = {
        name: value
        for name, value in one.items()
        if name not in OWN and isinstance(value, str | int | float)
    }
    known: dict[str, Any] = {
        "label": as_text(one.get("label"), 200),
        "annotation_id": dig(one, "_id", "$oid"),
        "confidence": one.get("confidence"),
        "attributes": {"field": field, **more},
    }
    if "bounding_box" not in one and "points" not in one:
        return Label(kind="tag", **known)
    width, height = size
    if not width or not height:
        raise RecordError("the size of its picture cannot be told, and FiftyOne has shares")
    if "bounding_box" in one:
        x, y, across, down = _pairs([one["bounding_box"]], 4)[0]
        return Label(box=(x * width, y * height, across * width, down * height), **known)
    points = one["points"]
    is_nested = isinstance(points, list) and points and isinstance(dig(points, 0, 0), list)
    rings = [
        [n for x, y in _pairs(ring, 2) for n in (x * width, y * height)]
        for ring in (points if is_nested else [points])
    ]
    if one.get("_cls") == "Keypoint" or not (is_nested and one.get("closed", True)):
        flat = [number for ring in rings for number in ring]
        seen = [n for x, y in zip(flat[::2], flat[1::2], strict=True) for n in (x, y, 2.0)]
        return Label(geometry=geometry(points=seen), **known)
    return Label(geometry=geometry(polygons=rings), **known)


def _pairs(value: Any, count: int) -> list[list[float]]:
    members = value if isinstance(value, list) else [None]
    found: list[list[float]] = []
    for member in members:
        numbers = [as_number(number) for number in member] if isinstance(member, list) else []
        known = [number for number in numbers if number is not None]
        if len(numbers) != count or len(known) != count:
            raise RecordError(f"a place that is not {count} numbers")
        found.append(known)
    return found


FIFTYONE = AnnotatedDocuments("fiftyone", "samples of FiftyOne", is_fiftyone, _document)
