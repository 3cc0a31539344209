"""What is marked on a picture: boxes, polygons, masks and key points of results and of sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui.element import Element

from gui.widgets.blocks import clean
from sql import Geometry, geometry_of

NUMBERS_MAX = 100_000
"""So many numbers of shapes are sent to a browser; what comes after is left out."""
LABEL_LENGTH_MAX = 60
_BOX = ("x", "y", "width", "height")


class MarkedPicture(Element, component="../../static/marked_picture.js"):
    """Shows a picture and the shapes on it, in layers that can be hidden."""

    def __init__(self, source: str, alt: str, shapes: list[dict[str, Any]]) -> None:
        super().__init__()
        self.props["source"] = source
        self.props["alt"] = clean(alt)
        self.props["shapes"] = shapes


class Neighbours(Element, component="../../static/node_neighbours.js"):
    """Leads to the nodes beside this one in the grid that it was opened from."""

    def __init__(self, node_id: int) -> None:
        super().__init__()
        self.props["node"] = node_id


def shapes_of(declared: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the shapes in declared tables, with their layer and label.

    A row has a place when it has the columns of a box, or a geometry; both as labels write them.
    """
    shapes: list[dict[str, Any]] = []
    left = NUMBERS_MAX
    for table, rows in declared.items():
        kind, _, name = table.partition("_")
        layer = name if kind == "result" else f"from {name}"
        for row in rows:
            place = _place_of(row)
            left -= _numbers(place)
            if place and left >= 0:
                label = clean(str(row.get("label") or ""))[:LABEL_LENGTH_MAX]
                shapes.append({"layer": layer, "label": label, **place})
    return shapes


def _place_of(row: Mapping[str, Any]) -> dict[str, Any]:
    geometry = geometry_of(row.get("geometry")) or Geometry()
    place: dict[str, Any] = {}
    if geometry.mask is not None:
        mask = geometry.mask
        place["mask"] = {"width": mask.width, "height": mask.height, "runs": mask.runs()}
    if geometry.points:
        points = geometry.points
        place["points"] = [points[n : n + 2] for n in range(0, len(points), 3) if points[n + 2]]
    if geometry.polygons:
        place["rings"] = [list(ring) for ring in geometry.polygons]
    elif geometry.turned is not None:
        place["rings"] = [geometry.corners()]
    elif all(isinstance(row.get(name), int | float) for name in _BOX):
        x, y, width, height = (float(row[name]) for name in _BOX)
        place["rings"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return place


def _numbers(place: Mapping[str, Any]) -> int:
    rings = sum(map(len, place.get("rings", ())))
    runs = len(place["mask"]["runs"]) if "mask" in place else 0
    return rings + 2 * len(place.get("points", ())) + runs
