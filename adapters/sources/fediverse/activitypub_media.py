"""Media of ActivityPub objects: it owns attachments, encodings of a video, icons as previews."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.describe import reference
from adapters.records.items import MediaFile
from adapters.records.values import as_count, as_number, as_text, first, mappings
from adapters.sources.fediverse.activitypub_parts import (
    PLATFORM,
    host_of,
    identity_node,
    is_address,
)
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import is_media_address

MEDIA_TYPES = (
    "image/",
    "video/",
    "audio/",
    "application/x-mpegurl",
    "application/vnd.apple.mpegurl",
)
PLAYLISTS = ("application/x-mpegurl", "application/vnd.apple.mpegurl")
MEDIA_OBJECTS = frozenset({"Image", "Video", "Audio", "Document"})
ENCODINGS_MAX = 200
_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")

Encoding = tuple[str | None, str, dict[str, Any]]


def add_media(draft: Draft, raw: dict[str, Any]) -> None:
    """Tie the media of a post in order: its own encodings first, then its attachments."""
    media = [one for one in _media_of(draft, raw) if one[1]]
    nodes: set[str | MediaFile] = set()
    post_id = str(raw.get("id")).rstrip("/").rpartition("/")[2]
    for position, (holder, encodings) in enumerate(media):
        files = [file for one in encodings if (file := _find(draft, one[1]))]
        if not files and (found := draft.media.of_post(post_id, position, len(media), draft.path)):
            files = [found]
        best = encodings[0]
        medium = files[0] if files else reference(PLATFORM, "media", best[1])
        if medium is None:
            continue
        nodes.add(medium)
        draft.link(draft.subject, medium, "contains", position)
        draft.observe_medium(medium, _meta(holder, best), as_text(holder.get("name")))
        for file in files[1:]:
            draft.link(medium, file, "variant")
    parent = next(iter(nodes)) if len(nodes) == 1 else draft.subject
    for name in ("icon", "image", "preview"):
        for _, address, _ in _links_of(raw.get(name)):
            draft.link(parent, _find(draft, address), "thumbnail")


def _media_of(draft: Draft, raw: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Encoding]]]:
    """Yield (object, encodings) of each medium; ties pages that are attached."""
    yield raw, _encodings(raw)
    attached = raw.get("attachment")
    for one in mappings([attached] if isinstance(attached, dict) else attached):
        encodings = _encodings(one)
        if encodings:
            yield one, encodings
        elif one.get("type") in ("Link", "Page", "Article"):
            for _, address, _ in _links_of(first(one.get("href"), one.get("url"))):
                if is_address(address) and host_of(address):
                    draft.link(draft.subject, reference("web", "page", address), "linked")
        elif one.get("type") == "Note":
            draft.link(draft.subject, identity_node("post", one.get("id")), "linked")


def _encodings(raw: dict[str, Any]) -> list[Encoding]:
    """Return the media links of an object, the largest first, playlists last."""
    is_medium = str(raw.get("type")) in MEDIA_OBJECTS
    found: list[Encoding] = []
    links = _links_of(first(raw.get("url"), raw.get("href")))
    for link in list(links):
        links += [one for one in _links_of(link[2].get("tag")) if link[2].get("tag")]
    for kind, address, link in links[:ENCODINGS_MAX]:
        said = kind or (raw.get("mediaType") if is_medium or "href" in raw else None)
        told = said.lower() if isinstance(said, str) else ""
        guessed = (
            not told and is_medium and (is_media_address(address) or raw.get("type") != "Video")
        )
        if told.startswith(MEDIA_TYPES) or guessed:
            found.append((told or None, address, link))
    unique = {one[1]: one for one in reversed(found)}
    order = [one for one in found if unique.pop(one[1], None)]
    return sorted(
        order, key=lambda one: (one[0] in PLAYLISTS, -(as_count(one[2].get("height")) or 0))
    )


def _links_of(value: Any) -> list[Encoding]:
    found: list[Encoding] = []
    for one in (value if isinstance(value, list) else [value])[:ENCODINGS_MAX]:
        link = one if isinstance(one, dict) else {"href": one}
        href = first(link.get("href"), link.get("url"))
        kind = first(link.get("mediaType"), link.get("mimeType"))
        if isinstance(href, str) and href.strip():
            found.append((kind if isinstance(kind, str) else None, href.strip(), link))
    return found


def _find(draft: Draft, address: str) -> MediaFile | None:
    """Find a file by address; exports write paths from their own root, such as /media/a.jpg."""
    if not is_address(address):
        return draft.media.by_path(address.lstrip("/"), draft.path)
    return draft.media.by_address(address, draft.path)


def _meta(holder: dict[str, Any], best: Encoding) -> dict[str, Any]:
    kind, address, link = best
    return {
        "media_url": as_text(address),
        "media_type": kind,
        "alt_text": first(as_text(holder.get("summary")), as_text(holder.get("name")))
        if "published" not in holder
        else None,
        "blurhash": as_text(holder.get("blurhash")),
        "width": as_count(first(link.get("width"), holder.get("width"))),
        "height": as_count(first(link.get("height"), holder.get("height"))),
        "duration_s": duration_s(holder.get("duration")),
    }


def duration_s(value: Any) -> float | None:
    """Return seconds of an ISO 8601 duration such as PT3622S, or of a number."""
    if not isinstance(value, str):
        return as_number(value)
    found = _DURATION.fullmatch(value.strip()[:100])
    if found is None or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return as_number(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)
