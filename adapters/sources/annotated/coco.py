"""COCO: documents of `images`, `annotations` and `categories`: boxes, polygons, masks, key points,
captions and panoptic segments.

Each picture of a document is a record with all of its labels. Pictures are looked for beside the
document, and where COCO's own folders have them (`annotations/instances_train2017.json` and
`train2017/` or `images/train2017/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_number, as_text, mappings
from adapters.sources.annotated.picture import (
    TABLE,
    Label,
    Picture,
    geometry,
    picture_record,
    split_in,
)
from adapters.sources.reading.documents import document_paths, documents, likely_paths
from sql import DeclaredTable

SURE = 0.96
SNIFFED_BYTES_MAX = 32 << 20


class CocoAdapter:
    """Documents of COCO."""

    name = "coco"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for documents with images and annotations."""
        paths = [p for p in likely_paths(folder) if folder.files[p].size_bytes < SNIFFED_BYTES_MAX]
        known = sum(is_coco(_value(folder, path)) for path in paths)
        if not known:
            return Sniff(0.0, "no document with images and annotations")
        share = known / len(paths)
        sure = SURE * (0.6 + 0.4 * share) if share >= 0.5 else SURE * (0.2 + share)
        return Sniff(round(sure, 3), f"{known} of {len(paths)} documents looked at are of COCO")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every picture with its labels, then the labels of no picture."""
        for path in document_paths(folder):
            value = _value(folder, path)
            if isinstance(value, RecordError):
                yield Problem(path, -1, str(value))
            elif is_coco(value):
                yield from _Coco(folder, path, value).items()
            else:
                yield Problem(path, -1, "no COCO: there are no lists `images` and `annotations`")


def _value(folder: ScrapeFolder, path: str) -> Any:
    return next((document.value for document in documents(folder, path)), None)


def is_coco(value: Any) -> bool:
    """Tell whether a document is one of COCO."""
    images = value.get("images") if isinstance(value, dict) else None
    if not isinstance(images, list) or not isinstance(value.get("annotations", []), list):
        return False
    first = next(iter(images), None)
    is_named = isinstance(first, dict) and "id" in first and "file_name" in first
    return is_named and ("annotations" in value or "categories" in value)


class _Coco:
    """One document, its labels by picture."""

    def __init__(self, folder: ScrapeFolder, path: str, value: dict[str, Any]) -> None:
        self._folder, self._path, self._value = folder, path, value
        self._categories = {
            _id(one.get("id")): one for one in mappings(value.get("categories")) if "id" in one
        }
        self._by_image: dict[Any, list[dict[str, Any]]] = {}
        for one in mappings(value.get("annotations")):
            self._by_image.setdefault(_id(one.get("image_id")), []).append(one)

        self._problems: list[str] = []

    def items(self) -> Iterator[Record | Problem]:
        """Yield the pictures by their places, then what is wrong with labels."""
        images = self._value["images"]
        for number, image in enumerate(images):
            try:
                if not isinstance(image, dict) or _id(image.get("id")) is None:
                    raise RecordError("a picture without an id")
                labels = self._by_image.pop(_id(image["id"]), [])
                yield self._record(number, image, labels)
            except RecordError as error:
                yield Problem(self._path, number, str(error))
        for labels in self._by_image.values():
            self._problems += [
                f"label {_shown(one)} is of no picture in `images`" for one in labels
            ]
        for number, reason in enumerate(self._problems, len(images)):
            yield Problem(self._path, number, reason)

    def _record(self, number: int, image: dict[str, Any], found: list[dict[str, Any]]) -> Record:
        name = as_text(image.get("file_name"), 1_000) or ""
        labels: list[Label] = []
        for one in found:
            try:
                labels += self._labels(one)
            except RecordError as error:
                self._problems.append(str(error))
        picture = Picture(
            file_name=name,
            labels=labels,
            image_id=image.get("id"),
            split=split_in(self._path) or split_in(name),
            width=image.get("width"),
            height=image.get("height"),
            candidates=self._places(name),
        )
        complete = {"image": image, "annotations": found}
        return picture_record(self._folder, self._path, number, picture, "coco", complete)

    def _places(self, name: str) -> list[str]:
        """Return where COCO's own folders have a picture."""
        if not name or name.startswith("/") or ".." in name.split("/"):
            return []
        folder, _, base = self._path.rpartition("/")
        above = folder.rpartition("/")[0]
        part = base.rpartition(".")[0].rpartition("_")[2]
        return [
            f"{top}{inside}{name}"
            for top in dict.fromkeys((f"{folder}/" if folder else "", f"{above}/" if above else ""))
            for inside in ("", f"{part}/", f"images/{part}/", "images/", "data/", "JPEGImages/")
        ]

    def _labels(self, one: dict[str, Any]) -> Iterator[Label]:
        if isinstance(segments := one.get("segments_info"), list):
            for segment in mappings(segments):
                yield self._label({**segment, "segmentation": None}, attributes={"panoptic": True})
            return
        yield self._label(one)

    def _label(self, one: dict[str, Any], attributes: dict[str, Any] | None = None) -> Label:
        category = self._categories.get(_id(one.get("category_id")))
        if category is None and "caption" not in one:
            raise RecordError(f"label {_shown(one)} is of no category in `categories`")
        category = category or {}
        own = one.get("attributes")
        try:
            parts = _parts(one, category)
            box = _box(one.get("bbox"))
            return Label(
                label=as_text(category.get("name"), 200),
                box=box,
                geometry=geometry(**parts),
                annotation_id=one.get("id"),
                category_id=one.get("category_id"),
                supercategory=category.get("supercategory"),
                confidence=one.get("score"),
                caption=one.get("caption"),
                attributes=own if isinstance(own, dict) and own else attributes,
            )
        except RecordError as error:
            raise RecordError(f"label {_shown(one)}: {error}") from None


def _parts(one: dict[str, Any], category: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    segmentation = one.get("segmentation")
    if isinstance(segmentation, dict):
        size = segmentation.get("size")
        if not isinstance(size, list) or len(size) != 2:
            raise RecordError("a mask without its size")
        mask = {"height": size[0], "width": size[1], "counts": segmentation.get("counts")}
        parts["mask"] = mask
    elif isinstance(segmentation, list) and segmentation:
        is_flat = not isinstance(segmentation[0], list)
        parts["polygons"] = [segmentation] if is_flat else segmentation
    if isinstance(points := one.get("keypoints"), list) and points:
        parts["points"] = points
        if isinstance(names := category.get("keypoints"), list) and names:
            parts["point_names"] = names
        if isinstance(lines := category.get("skeleton"), list) and lines:
            parts["skeleton"] = lines
    if (area := as_number(one.get("area"))) is not None:
        parts["area"] = area
    if one.get("iscrowd") in (0, 1):
        parts["is_crowd"] = bool(one["iscrowd"])
    return parts


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if value is None or value == []:
        return None
    numbers = [as_number(number) for number in value] if isinstance(value, list) else []
    known = [number for number in numbers if number is not None]
    if len(numbers) != 4 or len(known) != 4 or known[2] < 0 or known[3] < 0:
        raise RecordError("a bbox that is not x, y, width and height")
    return known[0], known[1], known[2], known[3]


def _id(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _shown(one: dict[str, Any]) -> str:
    return f"{str(one.get('id'))[:40]!a}"
