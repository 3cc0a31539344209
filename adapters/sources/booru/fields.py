"""Fields of booru records in every notation: it owns making one flat mapping of them.

XML writes them as children with types (`<score type="integer">`, `nil="true"`) or as attributes,
with hyphens or underscores; JSON nests some (`file.url`). Here all are snake case, and what is nil
or empty is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.records.values import as_text, as_texts, dig, first

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TAG_GROUPS = ("artist", "character", "copyright", "general", "meta", "species", "lore", "invalid")


def fields_of_element(element: Element) -> dict[str, Any]:
    """Return the fields of an XML post or tag."""
    found: dict[str, Any] = {}
    for name, value in element.attrib.items():
        found[_snake(name)] = value
    for child in element:
        if child.get("nil") == "true":
            continue
        text = (child.text or "").strip()
        if text:
            found[_snake(child.tag)] = text
    # Some servers write a tag's name as the text of its element.
    if (text := (element.text or "").strip()) and len(element) == 0:
        found.setdefault("name", text)
    return {name: value for name, value in found.items() if value not in ("", None)}


def fields_of_object(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a JSON post, those of e621's nested form included."""
    found = {_snake(name): field for name, field in value.items() if field not in ("", None)}
    nested = {
        "md5": ("file", "md5"),
        "file_url": ("file", "url"),
        "width": ("file", "width"),
        "height": ("file", "height"),
        "file_size": ("file", "size"),
        "sample_url": ("sample", "url"),
        "preview_url": ("preview", "url"),
        "score": ("score", "total"),
        "parent_id": ("relationships", "parent_id"),
    }
    for name, path in nested.items():
        if (inner := dig(value, *path)) is not None:
            found[name] = inner
    return found


def tags_of(fields: dict[str, Any]) -> dict[str, list[str]]:
    """Return the tags by group; `all` holds every one of them."""
    groups: dict[str, list[str]] = {}
    for group in TAG_GROUPS:
        value = first(dig(fields.get("tags"), group), fields.get(f"tag_string_{group}"))
        groups[group] = _words(value)
    text = fields.get("tag_string", fields.get("tags"))
    everything = _words(text) if not isinstance(text, dict) else []
    merged = [tag for group in TAG_GROUPS for tag in groups[group]]
    groups["all"] = everything or list(dict.fromkeys(merged))
    return groups


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return (as_text(value, 200_000) or "").split()
    return [text for text in as_texts(value) or [] if text]


def _snake(name: str) -> str:
    return name.strip().lower().replace("-", "_")
