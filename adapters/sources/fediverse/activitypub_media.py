"""Media of ActivityPub objects: attachments, encodings of a video, links of every form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.values import as_count, as_number, as_text, first, mappings
from adapters.sources.reading.media_finder import is_media_address

PLAYLISTS = ("application/x-mpegurl", "application/vnd.apple.mpegurl")
MEDIA_TYPES = ("image/", "video/", "audio/", *PLAYLISTS)
MEDIA_OBJECTS = frozenset({"Image", "Video", "Audio", "Document"})
LINKS_MAX = 1_000
_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")

Link = tuple[str | None, str, dict[str, Any]]
"""The media type, the address and the object of a link."""


def links_of(value: Any) -> list[Link]:
    """Return the links of a `url`: text, Link, or a list of either."""
    found: list[Link] = []
    for one in listed(value)[:LINKS_MAX]:
        link = one if isinstance(one, dict) else {"href": one}
        href = first(link.get("href"), link.get("url"))
        if isinstance(href, str) and href.strip():
            kind = first(link.get("mediaType"), link.get("mimeType"))
            found.append((kind if isinstance(kind, str) else None, href.strip(), link))
        elif isinstance(href, list | dict) and "url" in link:
            found += links_of(href)
    return found[:LINKS_MAX]


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as the only member of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def media_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the media of a post in order: its own encodings first, then its attachments."""
    holders = [raw, *mappings(listed(raw.get("attachment")))]
    return [_medium(holder, found) for holder in holders if (found := encodings(holder))]


def _medium(holder: dict[str, Any], found: list[Link]) -> dict[str, Any]:
    kind, address, link = found[0]
    told = first(as_text(holder.get("summary")), as_text(holder.get("name")))
    return {
        "id": address,
        "urls": [one[1] for one in found],
        "title": holder.get("name"),
        "media_url": address,
        "media_type": kind,
        "alt_text": told if "published" not in holder else None,
        "blurhash": holder.get("blurhash"),
        "width": first(link.get("width"), holder.get("width")),
        "height": first(link.get("height"), holder.get("height")),
        "duration_s": duration_s(holder.get("duration")),
    }


def encodings(raw: dict[str, Any]) -> list[Link]:
    """Return the media links of an object, the largest first, playlists last."""
    links = links_of(first(raw.get("url"), raw.get("href")))
    links += [one for link in links for one in links_of(link[2].get("tag"))]
    found = {one[1]: one for one in reversed([*_typed(raw, links)])}
    order = reversed(found.values())
    return sorted(
        order, key=lambda one: (one[0] in PLAYLISTS, -(as_count(one[2].get("height")) or 0))
    )


def _typed(raw: dict[str, Any], links: list[Link]) -> Iterator[Link]:
    is_medium = str(raw.get("type")) in MEDIA_OBJECTS
    for kind, address, link in links:
        said = kind or (raw.get("mediaType") if is_medium or "href" in raw else None)
        told = said.lower() if isinstance(said, str) else ""
        is_shown = is_media_address(address) or raw.get("type") != "Video"
        if told.startswith(MEDIA_TYPES) or (not told and is_medium and is_shown):
            yield told or None, address, link


def duration_s(value: Any) -> float | None:
    """Return seconds of an ISO 8601 duration such as PT3622S, or of a number."""
    if not isinstance(value, str):
        return as_number(value)
    found = _DURATION.fullmatch(value.strip()[:100])
    if found is None or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return as_number(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)
