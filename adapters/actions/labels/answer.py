"""What people answer (AC5): it owns the shape of an answer, and whether it fits its question. Pure.

    classification   {"class": "cat"}
    boxes            {"boxes": [{"label": "face", "x": 1, "y": 2, "width": 30, "height": 40}]}

Boxes are in pixels of the image as stored, from its left top. No box at all is an answer too: there
is nothing of the kind. A skip has no document.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from adapters.actions.outputs.match import shown
from adapters.records.errors import RecordError

if TYPE_CHECKING:
    from adapters.actions.contract.contract import LabelTask

BOXES_MAX = 10_000
PIXELS_MAX = 1_000_000.0


class Box(NamedTuple):
    """One box in pixels."""

    label: str
    x: float
    y: float
    width: float
    height: float


def check_answer(task: LabelTask, document: Any) -> dict[str, Any]:
    """Return an answer in its one true form; RecordError says what does not fit the question."""
    if not isinstance(document, dict):
        raise RecordError("an answer is a mapping")
    given = cast("dict[str, Any]", document)
    if task.kind == "classification":
        _only(given, {"class"})
        return {"class": _class_of(task, given.get("class"))}
    _only(given, {"boxes"})
    boxes = given.get("boxes")
    if not isinstance(boxes, list) or len(cast("list[Any]", boxes)) > BOXES_MAX:
        raise RecordError(f"`boxes` is a list of at most {BOXES_MAX:,} boxes")
    found = sorted({_box(task, item) for item in cast("list[Any]", boxes)})
    return {"boxes": [box._asdict() for box in found]}


def boxes_of(document: dict[str, Any]) -> list[Box]:
    """Return the boxes of a checked answer."""
    return [Box(**item) for item in document["boxes"]]


def _only(given: dict[str, Any], names: set[str]) -> None:
    unknown = sorted(given.keys() - names)
    if unknown:
        raise RecordError(f"an answer has no {shown(unknown[0])!r}; it has {', '.join(names)}")


def _class_of(task: LabelTask, value: Any) -> str:
    if not isinstance(value, str) or value not in task.classes:
        choices = ", ".join(task.classes[:20])
        raise RecordError(f"{shown(value)!r} is none of the classes: {choices}")
    return value


def _box(task: LabelTask, item: Any) -> Box:
    if not isinstance(item, dict):
        raise RecordError("a box is a mapping")
    given = cast("dict[str, Any]", item)
    _only(given, set(Box._fields))
    label = _class_of(task, given.get("label"))
    x, y, width, height = (_pixels(given.get(name), name) for name in Box._fields[1:])
    if width <= 0 or height <= 0:
        raise RecordError("a box without width or height")
    return Box(label, x, y, width, height)


def _pixels(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise RecordError(f"{name} of a box is no number")
    if abs(value) > PIXELS_MAX:
        raise RecordError(f"{name} of a box is beyond {PIXELS_MAX:,.0f} pixels")
    # A thousandth of a pixel: the same box out of two formats is the same answer.
    return round(float(value), 3) + 0.0
