"""Media of Tumblr posts: it owns legacy photos, videos and sounds, NPF blocks, pictures in HTML.

Every medium comes in several sizes and is one node: the file of the largest size that is there, the
other files are variants. Without a file its name is that of the picture without the size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bs4 import BeautifulSoup

from adapters.records.values import as_count, as_number, as_text, dig, first, mappings
from adapters.sources.reading.media_finder import base_name

BLOCK_TYPES = frozenset({"text", "image", "link", "audio", "video", "poll", "paywall", "answer"})
BLOCKS_MAX = 1_000
SIZES_MAX = 50
HTML_LENGTH_MAX = 200_000
_SIZED_NAME = re.compile(
    r"(tumblr_[A-Za-z0-9_]+?)(?:_r\d+)?_(?:\d{2,4}|\d{2,4}sq|raw|frame\d)\.\w+"
)
_KEYED_ADDRESS = re.compile(r"media\.tumblr\.com/([0-9a-f]{32}/[0-9a-f]{16}-[0-9a-f]{2})/")


def blocks_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the NPF blocks of a post or trail item."""
    content = raw.get("content")
    return list(mappings([content] if isinstance(content, dict) else content))[:BLOCKS_MAX]


def media_of(raw: dict[str, Any], post_id: str | None) -> list[dict[str, Any]]:
    """Return the media of a post in order."""
    media = [*_of_legacy(raw), *_of_blocks(raw)] or list(_of_html(raw))
    return [one | {"id": _identity_of(one, f"{post_id}/{n}")} for n, one in enumerate(media)]


def _identity_of(medium: dict[str, Any], scope: str) -> str:
    """Return what is the same for all sizes of a picture."""
    for size in medium["sizes"]:
        if key := first(as_text(size.get("media_key")), as_text(size.get("mediaKey"))):
            return key.replace(":", "/", 1)
    for address in medium["urls"]:
        if found := _KEYED_ADDRESS.search(address):
            return found.group(1)
        if found := _SIZED_NAME.fullmatch(base_name(address)):
            return found.group(1)
    return medium["urls"][0] if medium["urls"] else scope


def _of_legacy(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for photo in mappings(raw.get("photos")):
        sizes = [photo.get("original_size"), *mappings(photo.get("alt_sizes"))]
        yield _medium(sizes, {"caption": photo.get("caption")})
    if isinstance(raw.get("video_url"), str) and raw["video_url"]:
        size = {
            "url": raw["video_url"],
            "width": first(raw.get("width"), raw.get("thumbnail_width")),
            "height": first(raw.get("height"), raw.get("thumbnail_height")),
        }
        yield _medium([size], {"duration": raw.get("duration")}, [raw.get("thumbnail_url")])
    sound = raw.get("audio_url")
    if isinstance(sound, str) and sound:
        about = {"artist": raw.get("artist"), "album": raw.get("album")}
        about["caption"] = raw.get("track_name")
        yield _medium([{"url": sound}], about, [raw.get("album_art")])


def _of_blocks(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in blocks_of(raw):
        if block.get("type") not in ("image", "audio", "video"):
            continue
        media = block.get("media")
        sizes = list(mappings([media] if isinstance(media, dict) else media))
        if not any(isinstance(size.get("url"), str) for size in sizes):
            continue  # An embed of another site, or the body of an upload.
        posters = [poster.get("url") for poster in mappings(block.get("poster"))]
        caption = first(block.get("caption"), block.get("title"), block.get("alt_text"))
        milliseconds = as_number(block.get("duration"))
        seconds = milliseconds / 1_000 if milliseconds else None
        yield _medium(sizes, block | {"caption": caption, "duration": seconds}, posters)


def _of_html(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pictures that a text post shows."""
    for name in ("body", "answer", "caption"):
        html = raw.get(name)
        if not isinstance(html, str) or "<img" not in html:
            continue
        try:
            soup = BeautifulSoup(f"<div>{html[:HTML_LENGTH_MAX]}</div>", "html.parser")
        except (RecursionError, ValueError, AssertionError):
            continue
        for image in soup.find_all("img")[:SIZES_MAX]:
            address = image.get("src")
            if isinstance(address, str) and address.startswith(("http://", "https://")):
                yield _medium([{"url": address}], {"alt_text": image.get("alt")})


def _medium(
    sizes: list[Any], about: dict[str, Any], posters: list[Any] | None = None
) -> dict[str, Any]:
    known = {size["url"]: size for size in mappings(sizes) if isinstance(size.get("url"), str)}
    ordered = sorted(known.values(), key=lambda size: -(as_count(size.get("width")) or 0))
    largest = ordered[0] if ordered else {}
    names = ("alt_text", "duration", "artist", "album", "provider", "caption")
    return {
        **{name: about.get(name) for name in names},
        **{name: largest.get(name) for name in ("type", "width", "height")},
        "sizes": ordered[:SIZES_MAX],
        "urls": [size["url"] for size in ordered[:SIZES_MAX]],
        "posters": [poster for poster in posters or [] if isinstance(poster, str)],
    }


def pages_of(raw: dict[str, Any]) -> list[str]:
    """Return the pages that a post links to."""
    found = [raw.get("url") if raw.get("type") == "link" else None, raw.get("permalink_url")]
    for block in blocks_of(raw):
        if block.get("type") in ("link", "video", "audio"):
            found.append(block.get("url"))
        for piece in mappings(block.get("formatting")):
            found.append(piece.get("url"))
        attribution = block.get("attribution")
        found.append(dig(attribution, "url"))
    pages = [one for one in found if isinstance(one, str)]
    return [page for page in pages if page.startswith(("http://", "https://"))]
