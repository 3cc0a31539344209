"""The two notations of Flickr's REST: it owns making XML look like Flickr's own JSON.

In that JSON attributes are fields, the text of an element is `_content`, and children are fields by
their name: a list where there are several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.records.values import as_text, text_of_html

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEPTH_MAX = 20


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
