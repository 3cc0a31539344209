"""The two notations of Flickr's REST: it owns making XML look like Flickr's own JSON.

In that JSON attributes are fields, the text of an element is `_content`, and children are fields by
their name: a list where there are several.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, first, text_of_html

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEPTH_MAX = 20
GRANULARITIES = {0: "second", 4: "month", 6: "year", 8: "circa"}
_LICENSES_TEXT = """
0 All Rights Reserved
1 CC BY-NC-SA 2.0
2 CC BY-NC 2.0
3 CC BY-NC-ND 2.0
4 CC BY 2.0
5 CC BY-SA 2.0
6 CC BY-ND 2.0
7 No known copyright restrictions
8 United States Government Work
9 Public Domain Dedication (CC0)
10 Public Domain Mark
11 CC BY 4.0
12 CC BY-SA 4.0
13 CC BY-ND 4.0
14 CC BY-NC 4.0
15 CC BY-NC-SA 4.0
16 CC BY-NC-ND 4.0
"""
LICENSES: dict[str, str] = {
    line.partition(" ")[0]: line.partition(" ")[2] for line in _LICENSES_TEXT.strip().splitlines()
}
"""Names of the licences by id, so that both notations say the same."""
_ZONELESS = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


def object_of(element: Element, depth: int = 0) -> dict[str, Any]:
    """Return an XML element in the form of Flickr's JSON; deeper levels than 20 are left out."""
    found: dict[str, Any] = dict(element.attrib)
    text = (element.text or "").strip()
    if text or not (found or len(element)):
        found["_content"] = text
    for child in element if depth < DEPTH_MAX else ():
        value = object_of(child, depth + 1)
        if child.tag in found:
            others = found[child.tag]
            found[child.tag] = [*others, value] if isinstance(others, list) else [others, value]
        else:
            found[child.tag] = value
    return found


def text_of(value: Any) -> str | None:
    """Return the text of a field, whether it is bare or a `_content`; HTML becomes text."""
    inner = value.get("_content") if isinstance(value, dict) else value
    return text_of_html(inner) if isinstance(inner, str) else as_text(inner)


def members(value: Any, name: str) -> list[dict[str, Any]]:
    """Return the children of a name, however many there are."""
    inner = value.get(name) if isinstance(value, dict) else None
    listed = inner if isinstance(inner, list) else [inner]
    return [member for member in listed if isinstance(member, dict)]


def typed(value: Any) -> Any:
    """Unwrap a typed value such as {"type": "datetime.datetime", "value": ...}."""
    return value["value"] if isinstance(value, dict) and "value" in value else value


def license_name(value: Any) -> str | None:
    """Return the name of a licence from its number, its name, or the Foundation's object."""
    if isinstance(value, dict):
        return as_text(first(value.get("label"), value.get("id")))
    text = as_text(value)
    return LICENSES.get(text, text) if text else None


def taken(value: Any, granularity: Any, is_unknown: Any) -> dict[str, Any]:
    """Return when a photo was taken. It has no zone: the camera's clock is written as UTC."""
    number = as_count(granularity)
    named = as_text(granularity) if number is None else GRANULARITIES.get(number)
    if as_count(is_unknown) == 1:
        return {"taken_granularity": "unknown"}
    time: datetime | None = None
    text = as_text(typed(value))
    if text and _ZONELESS.match(text):
        time = parse_time(text)
    return {"taken_time": time, "taken_granularity": named if time else None}
