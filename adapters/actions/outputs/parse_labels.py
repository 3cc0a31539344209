"""Annotation formats: it owns reading coco, label_studio and yolo as one record per annotation.

Fields, beside `path`, `name`, `stem` and the groups of the regular expression:

- coco: `image.*` (the image as it stands), `file_name`, `image_id`, `annotation_id`, `category`,
  `category_id`, `x`, `y`, `width`, `height` (pixels, from the left top), `score`, `area`,
  `iscrowd`, `segmentation`. A bare array of results (`image_id`, `category_id`, `bbox`, `score`)
  is read too.
- label_studio: `data.*` (what the task was about), `task_id`, `annotation_id`, `labeller`, `type`,
  `label`, `x`, `y`, `width`, `height`, `rotation` (per cent, as Label Studio writes them),
  `x_px` ... `height_px` where it says how large the image is, `text`, `number`.
- yolo: `class_index`, `class` (with `class_names`), `cx`, `cy`, `width`, `height`, `confidence`,
  `x`, `y` (left top; all from 0 to 1), and `points` for polygons.

An image or task without any annotation is a record that is empty: it was looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from adapters.actions.outputs.parse_readers import (
    WHOLE_FILE,
    Found,
    decode_strictly,
    limited_lines,
    read_document,
)
from adapters.records.errors import RecordError

if TYPE_CHECKING:
    from adapters.actions.contract.contract import Output
    from adapters.actions.outputs.tree import OutputTree

CLASS_NAMES_BYTES_MAX = 1 << 20

Fields = dict[str, Any]


def read_coco(tree: OutputTree, path: str, _output: Output) -> Iterator[Found]:
    """Yield the annotations of a COCO document, then the images that have none."""
    value = read_document(tree, path)
    if isinstance(value, list):
        value = {"annotations": value}
    if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
        raise RecordError("is no COCO: there is no array `annotations`")
    document = cast("dict[str, Any]", value)
    images = _by_id(document.get("images", []), "images")
    categories = {
        number: item.get("name")
        for number, item in _by_id(document.get("categories", []), "categories").items()
    }
    told: set[Any] = set()
    annotations = cast("list[Any]", document["annotations"])
    for number, item in enumerate(annotations):
        try:
            fields = _coco_fields(item, images, categories, listed="images" in document)
        except RecordError as error:
            yield Found(number, error)
        else:
            told.add(fields["image_id"])
            yield Found(number, fields)
    for number, (image_id, image) in enumerate(images.items(), len(annotations)):
        if image_id not in told:
            fields = {"image": image, "image_id": image_id, "file_name": image.get("file_name")}
            yield Found(number, fields, empty=True)


def _by_id(value: Any, name: str) -> dict[Any, Fields]:
    if not isinstance(value, list):
        raise RecordError(f"is no COCO: `{name}` is no array")
    found: dict[Any, Fields] = {}
    for item in cast("list[Any]", value):
        number = _identity(item, "id")
        if number is None:
            raise RecordError(f"is no COCO: a member of `{name}` has no id")
        if found.setdefault(number, item) is not item:
            raise RecordError(f"is no COCO: two members of `{name}` have the id {number!r}")
    return found


def _identity(item: Any, name: str) -> int | str | None:
    value = cast("Fields", item).get(name) if isinstance(item, dict) else None
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _coco_fields(
    item: Any, images: dict[Any, Fields], categories: dict[Any, Any], *, listed: bool
) -> Fields:
    image_id = _identity(item, "image_id")
    if image_id is None or (listed and image_id not in images):
        raise RecordError("an annotation of no image in `images`")
    if categories and _identity(item, "category_id") not in categories:
        raise RecordError("an annotation of no category in `categories`")
    image = images.get(image_id, {})
    fields: Fields = {
        "image": image,
        "image_id": image_id,
        "file_name": image.get("file_name"),
        "annotation_id": item.get("id"),
        "category_id": item.get("category_id"),
        "category": categories.get(item.get("category_id")),
    }
    for name in ("score", "area", "iscrowd", "segmentation", "attributes"):
        if name in item:
            fields[name] = item[name]
    if item.get("bbox") is not None:
        fields |= zip(("x", "y", "width", "height"), _box(item["bbox"]), strict=True)
    return fields


def _box(value: Any) -> list[float]:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 4:
        raise RecordError("a bbox that is no list of x, y, width and height")
    numbers = [_finite(number, "bbox") for number in cast("list[Any]", value)]
    if numbers[2] < 0 or numbers[3] < 0:
        raise RecordError("a bbox of negative width or height")
    return numbers


def _finite(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise RecordError(f"{name} is no number")
    return float(value)


# ---- Label Studio ----------------------------------------------------------------------------


def read_label_studio(tree: OutputTree, path: str, _output: Output) -> Iterator[Found]:
    """Yield every result of every annotation that was not cancelled."""
    value = read_document(tree, path)
    tasks = cast("list[Any]", value if isinstance(value, list) else [value])
    number = -1
    for task in tasks:
        try:
            found = list(_task_records(task))
        except RecordError as error:
            number += 1
            yield Found(number, error)
            continue
        for fields, empty in found:
            number += 1
            yield Found(number, fields, empty=empty)


def _task_records(task: Any) -> Iterator[tuple[Fields, bool]]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise RecordError("a task without `data`")
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list):
        raise RecordError("a task whose `annotations` are no array")
    about: Fields = {"data": task["data"], "task_id": task.get("id")}
    told = False
    for annotation in cast("list[Any]", annotations):
        results = annotation.get("result") if isinstance(annotation, dict) else None
        if not isinstance(results, list):
            raise RecordError("an annotation without `result`")
        if annotation.get("was_cancelled"):
            continue
        who: Fields = {"annotation_id": annotation.get("id"), "labeller": labeller_of(annotation)}
        for result in cast("list[Any]", results):
            told = True
            yield {**about, **who, **result_fields(result)}, False
    if not told:
        yield about, True


def labeller_of(annotation: Fields) -> str | None:
    """Return who made an annotation, as exports say it: a number, an e-mail, or a mapping."""
    who: Any = annotation.get("completed_by")
    if isinstance(who, dict):
        who = cast("Fields", who).get("email") or cast("Fields", who).get("id")
    return str(who) if isinstance(who, (int, str)) and str(who) else None


def result_fields(result: Any) -> Fields:
    """Return the fields of one result of Label Studio; RecordError when it is none."""
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        raise RecordError("a result without `value`")
    value = cast("Fields", result["value"])
    kind = result.get("type")
    fields: Fields = {"type": kind, "from_name": result.get("from_name")}
    # The key is the type's own name: rectanglelabels, choices, ...
    labels = value.get(str(kind))
    if isinstance(labels, list) and labels:
        fields["label"] = cast("list[Any]", labels)[0]
        fields["labels"] = labels
    for name in ("x", "y", "width", "height", "rotation"):
        if name in value:
            fields[name] = _finite(value[name], name)
    for axis, names in (
        ("original_width", ("x", "width")), ("original_height", ("y", "height")),
    ):  # fmt: skip
        size = result.get(axis)
        if isinstance(size, (int, float)) and not isinstance(size, bool):
            fields |= {f"{name}_px": fields[name] * size / 100 for name in names if name in fields}
    for name in ("text", "number", "points", "score"):
        if name in value:
            fields[name] = value[name]
    return fields


# ---- YOLO ------------------------------------------------------------------------------------


def read_yolo(tree: OutputTree, path: str, output: Output) -> Iterator[Found]:
    """Yield the objects of one image, a line each; an empty file found none."""
    names = class_names(tree, output.class_names) if output.class_names else None
    count = 0
    with tree.open(path) as file:
        for number, line in enumerate(limited_lines(file)):
            if isinstance(line, RecordError):
                yield Found(number, line)
            elif line.strip():
                count += 1
                try:
                    yield Found(number, yolo_fields(decode_strictly(line), names))
                except RecordError as error:
                    yield Found(number, error)
    if not count:
        yield Found(WHOLE_FILE, {}, empty=True)


def class_names(tree: OutputTree, path: str) -> list[str]:
    """Return the names of a file with one class a line."""
    if path not in tree.files:
        raise RecordError(f"the file of the class names, {path!r}, is missing")
    text = decode_strictly(tree.read(path, CLASS_NAMES_BYTES_MAX))
    return [line.strip() for line in text.splitlines() if line.strip()]


def yolo_fields(line: str, names: list[str] | None) -> Fields:
    """Return the fields of one line; RecordError when it is neither box nor polygon."""
    words = line.split()
    if not words[0].isdecimal() or len(words[0]) > 6:
        raise RecordError(f"a line that does not begin with a class: {line[:80]!r}")
    index = int(words[0])
    try:
        numbers = [float(word) for word in words[1:]]
    except ValueError:
        raise RecordError(f"a line with something that is no number: {line[:80]!r}") from None
    if any(not -0.001 <= number <= 1.001 for number in numbers):
        raise RecordError("a place or size outside of 0 to 1")
    fields: Fields = {"class_index": index}
    if names is not None:
        if index >= len(names):
            raise RecordError(f"class {index} where there are {len(names)} names")
        fields["class"] = names[index]
    if len(numbers) in (4, 5):
        box, rest = numbers[:4], numbers[4:]
        fields |= dict(zip(("confidence",), rest, strict=False))
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        fields["points"] = numbers
        left, right = min(numbers[::2]), max(numbers[::2])
        top, bottom = min(numbers[1::2]), max(numbers[1::2])
        box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    else:
        raise RecordError(f"{len(words)} numbers are neither a box nor a polygon")
    fields |= zip(("cx", "cy", "width", "height"), box, strict=True)
    fields["x"], fields["y"] = box[0] - box[2] / 2, box[1] - box[3] / 2
    return fields
