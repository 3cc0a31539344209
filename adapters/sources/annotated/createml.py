"""Create ML: a list of pictures with boxes around their centres, as Roboflow and Apple write it."""

from __future__ import annotations

from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.values import as_number, as_text, dig, mappings
from adapters.sources.annotated.json_documents import (
    AnnotatedDocuments,
    Items,
    Told,
    places_below,
    records_of,
)
from adapters.sources.annotated.picture import Label, Picture, split_in

SIDES = ("x", "y", "width", "height")


def is_createml(value: Any) -> bool:
    """Tell whether a document is one of Create ML."""
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, dict) or not isinstance(first.get("annotations"), list):
        return False
    labels = [one for row in mappings(value[:20]) for one in mappings(row.get("annotations"))]
    has_places = all("coordinates" in one and "label" in one for one in labels)
    return has_places and bool(labels) and _name(first) is not None


def _name(row: dict[str, Any]) -> str | None:
    return as_text(row.get("image"), 1_000) or as_text(row.get("imagefilename"), 1_000)


def _document(folder: ScrapeFolder, path: str, value: list[Any]) -> Items:
    yield from records_of(folder, path, "createml", (_row(path, row) for row in value))


def _row(path: str, row: Any) -> Told:
    name = _name(row) if isinstance(row, dict) else None
    if name is None:
        return Picture("", ()), [], row
    labels, wrong = list[Label](), list[str]()
    for number, one in enumerate(mappings(row.get("annotations"))):
        numbers = [as_number(dig(one, "coordinates", side)) for side in SIDES]
        known = [number for number in numbers if number is not None]
        label = as_text(one.get("label"), 200)
        try:
            if label is None or len(known) != 4 or known[2] < 0 or known[3] < 0:
                raise RecordError("no label, or no x, y, width and height")
            x, y, width, height = known
            box = (x - width / 2, y - height / 2, width, height)
            labels.append(Label(label, box, annotation_id=number))
        except RecordError as error:
            wrong.append(f"annotation {number + 1} of {name[:80]!a}: {error}")
    places = places_below(path, [name])
    return Picture(name, labels, split=split_in(path), candidates=places), wrong, row


CREATEML = AnnotatedDocuments("createml", "pictures with coordinates", is_createml, _document)
