"""The geometry of labels: where in a picture, a film or a text a label is, in one form for all.

Pixels from the left top corner of the picture; pure. Sources write it into a column of JSON,
layouts read it. What a label has beside its upright box: polygons, a mask, key points, a turned
box, or a span of time or of text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from base.model import Document

POINTS_MAX = 200_000
Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[tuple[Number, ...], Field(max_length=2 * POINTS_MAX)]


class Mask(Document):
    """Pixels as COCO counts them: runs of 0 and 1 in turn, down each column, from the left.

    `counts` are numbers, or the text that pycocotools packs them into; kept as they were.
    """

    height: Annotated[int, Field(ge=1, le=1_000_000)]
    width: Annotated[int, Field(ge=1, le=1_000_000)]
    counts: str | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=POINTS_MAX)]

    @model_validator(mode="after")
    def _covers_the_picture(self) -> Self:
        if sum(self.runs()) != self.height * self.width:
            raise ValueError("the runs of a mask do not cover its picture")
        return self

    def runs(self) -> list[int]:
        """Return the lengths of the runs, the first of pixels outside."""
        return _unpacked(self.counts) if isinstance(self.counts, str) else list(self.counts)

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return left, top, width and height of what is inside; None for nothing."""
        left, top, right, bottom = self.width, self.height, -1, -1
        place = 0
        for number, length in enumerate(self.runs()):
            if number % 2 and length:
                first, last = place, place + length - 1
                left, right = min(left, first // self.height), max(right, last // self.height)
                if first // self.height != last // self.height:
                    top, bottom = 0, self.height - 1
                else:
                    top = min(top, first % self.height)
                    bottom = max(bottom, last % self.height)
            place += length
        if right < 0:
            return None
        return float(left), float(top), float(right - left + 1), float(bottom - top + 1)


class Geometry(Document):
    """Where a label is; see the module. Without any part the label is its upright box, or all."""

    polygons: Annotated[tuple[Numbers, ...], Field(max_length=10_000)] | None = None
    """Rings of x, y, x, y ..."""
    mask: Mask | None = None
    points: Numbers | None = None
    """Key points of x, y and visibility: 0 not labelled, 1 hidden, 2 visible."""
    point_names: Annotated[tuple[str, ...], Field(max_length=1_000)] | None = None
    skeleton: Annotated[tuple[tuple[int, int], ...], Field(max_length=10_000)] | None = None
    """Which key points a line joins, counted from 1, as COCO has them."""
    turned: Annotated[tuple[Number, Number, Number, Number, Number], Field()] | None = None
    """A box that is turned: x and y of its centre, width, height, degrees clockwise."""
    span: tuple[Number, Number] | None = None
    """Begin and end: seconds of a film or sound, characters of a text."""
    area: Number | None = None
    is_crowd: bool | None = None

    @model_validator(mode="after")
    def _are_whole(self) -> Self:
        if any(len(ring) % 2 or len(ring) < 6 for ring in self.polygons or ()):
            raise ValueError("a polygon needs three points of two numbers")
        if len(self.points or ()) % 3:
            raise ValueError("key points are three numbers each")
        return self

    @property
    def kind(self) -> str:
        """What this is, in a word; `box` where nothing but the box is known."""
        for name, value in (
            ("points", self.points), ("mask", self.mask), ("polygon", self.polygons),
            ("rotated_box", self.turned), ("span", self.span),
        ):  # fmt: skip
            if value is not None:
                return name
        return "box"

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return left, top, width and height of the upright box around it; None for no place."""
        if self.mask is not None:
            return self.mask.bounds()
        if self.polygons:
            return _around(number for ring in self.polygons for number in ring)
        if self.turned is not None:
            return _around(self.corners())
        labelled = [
            number
            for start in range(0, len(self.points or ()), 3)
            for number in (self.points or ())[start : start + 2]
            if (self.points or ())[start + 2]
        ]
        return _around(labelled)

    def corners(self) -> list[float]:
        """Return x and y of the four corners of a turned box, from its left top clockwise."""
        assert self.turned is not None
        x, y, width, height, degrees = self.turned
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        found: list[float] = []
        for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            aside, below = right * width / 2, down * height / 2
            found += (x + aside * cosine - below * sine, y + aside * sine + below * cosine)
        return found

    def as_json(self) -> str | None:
        """Return it as text for a column; None when it says nothing."""
        text = self.model_dump_json(exclude_none=True)
        return None if text == "{}" else text


def geometry_of(value: Any) -> Geometry | None:
    """Return the geometry in a column; None for none, or for what is no geometry."""
    if value is None:
        return None
    try:
        return Geometry.model_validate(value)
    except ValidationError:
        return None


def _around(numbers: Iterable[float]) -> tuple[float, float, float, float] | None:
    listed = list(numbers)
    if not listed:
        return None
    left, top = min(listed[::2]), min(listed[1::2])
    return left, top, max(listed[::2]) - left, max(listed[1::2]) - top


def _unpacked(text: str) -> list[int]:
    """Return the runs of a packed text: five bits a character, from the fourth run on differences.

    The form is that of pycocotools (`rleFrString`); ValueError when it is none.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("a mask whose counts are no runs")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0 or len(runs) >= POINTS_MAX:
            raise ValueError("a mask whose counts are no runs")
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("a mask whose counts end in the middle")
    return runs


def polygon_area(rings: Sequence[Sequence[float]]) -> float:
    """Return the sum of the areas of rings of x, y, x, y ..."""
    total = 0.0
    for ring in rings:
        points = list(zip(ring[::2], ring[1::2], strict=True))
        turned = zip(points, points[1:] + points[:1], strict=True)
        total += abs(sum(x * below - right * y for (x, y), (right, below) in turned)) / 2
    return total
