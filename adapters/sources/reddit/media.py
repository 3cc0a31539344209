"""Media of Reddit posts: it owns reading galleries, videos, picture links and previews.

Addresses come HTML-escaped unless the request had raw_json=1; both are understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from adapters.records.describe import describe, reference
from adapters.records.values import as_count, as_text, dig, mappings
from adapters.sources.reading.media_finder import base_name, is_media_address
from adapters.sources.reading.web_address import host_of

PICTURE_HOSTS = frozenset({"i.redd.it", "i.reddituploads.com"})
PREVIEWS_MAX = 200
_POST_ADDRESS = re.compile(r"https?://[a-z.]*reddit\.com/(?:r/[^/]+/)?comments/([0-9a-z]{1,13})\b")


def unescape(value: Any) -> str | None:
    """Return text of the API without its HTML escapes; text that was not escaped stays."""
    text = as_text(value)
    if text is None or "&" not in text:
        return text
    escaped = ("&amp;", "&lt;", "&gt;")
    if "<" in text or ">" in text or text.count("&") > sum(map(text.count, escaped)):
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def media_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the media of a submission or comment in their order."""
    if isinstance(raw.get("media_metadata"), dict):
        return list(_gallery(raw))
    if raw.get("crosspost_parent"):
        return []  # They are those of the original, which is a record of its own.
    for holder in ("media", "secure_media"):
        if isinstance(video := dig(raw, holder, "reddit_video"), dict):
            return [_video(raw, video)]
    address = unescape(raw.get("url_overridden_by_dest")) or unescape(raw.get("url"))
    if address is None or raw.get("is_self") is True:
        return []
    return [_picture(raw, address)] if is_picture_link(address) else []


def is_picture_link(address: str) -> bool:
    """Tell whether a link leads to a medium and not to a page about it."""
    host = host_of(address) or ""
    return host in PICTURE_HOSTS or (
        is_media_address(address) and not host.endswith("wikipedia.org")
    )


def target_of(raw: dict[str, Any], post_id: str) -> str | None:
    """Return the post or page that a link post leads to."""
    address = unescape(raw.get("url_overridden_by_dest")) or unescape(raw.get("url"))
    if address is None or raw.get("is_self") is True or is_picture_link(address):
        return None
    if found := _POST_ADDRESS.match(address):
        return reference("reddit", "post", found.group(1))
    is_own = address.endswith(f"/gallery/{post_id}")
    is_web = address.startswith(("http://", "https://"))
    return reference("web", "page", address) if is_web and not is_own else None


def _gallery(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    known = raw["media_metadata"]
    items = list(mappings(dig(raw, "gallery_data", "items")))
    captions = {as_text(item.get("media_id")): as_text(item.get("caption")) for item in items}
    order = [key for key in captions if key] or [key for key in map(as_text, known) if key]
    for media_id in order:
        identity = reference("reddit", "media", media_id)
        if identity is None:
            continue
        entry = known.get(media_id)
        addresses = [dig(entry, "s", key) for key in ("u", "gif", "mp4")]
        addresses += [dig(entry, key) for key in ("hlsUrl", "dashUrl")]
        yield dict[str, Any](
            identity=identity,
            media_id=media_id,
            urls=[a for a in map(unescape, addresses) if a],
            caption=captions.get(media_id),
            width=as_count(dig(entry, "s", "x")) or as_count(dig(entry, "x")),
            height=as_count(dig(entry, "s", "y")) or as_count(dig(entry, "y")),
        )


def _video(raw: dict[str, Any], video: dict[str, Any]) -> dict[str, Any]:
    addresses = [unescape(video.get(key)) for key in ("fallback_url", "hls_url", "dash_url")]
    addresses = [address for address in addresses if address]
    media_id = None
    for address in [unescape(raw.get("url")), *addresses]:
        if address and host_of(address) == "v.redd.it":
            media_id = urlsplit(address).path.strip("/").partition("/")[0] or None
            break
    identity = reference("reddit", "media", media_id) or _described(raw, addresses)
    return dict[str, Any](
        identity=identity,
        media_id=media_id,
        urls=addresses,
        width=as_count(video.get("width")),
        height=as_count(video.get("height")),
    )


def _picture(raw: dict[str, Any], address: str) -> dict[str, Any]:
    on_reddit = host_of(address) in PICTURE_HOSTS
    media_id = base_name(address).partition(".")[0] if on_reddit else None
    identity = (reference("reddit", "media", media_id) if media_id else None) or _described(
        raw, [address]
    )
    source = dig(raw, "preview", "images", 0, "source")
    addresses = [address]
    if address.endswith(".gifv"):
        addresses += [address[:-4] + "mp4", address[:-1]]
    return dict[str, Any](
        identity=identity,
        media_id=media_id or None,
        urls=addresses,
        width=as_count(dig(source, "width")),
        height=as_count(dig(source, "height")),
    )


def _described(raw: dict[str, Any], addresses: list[str]) -> str:
    """Name a medium of another site by its address, one without any by its post."""
    named = reference("web", "media", addresses[0]) if addresses else None
    return named or describe("reddit", "media", as_text(raw.get("name")) or as_text(raw.get("id")))


def previews_of(raw: dict[str, Any]) -> list[str]:
    """Return the addresses of smaller pictures of a post."""
    found = [raw.get("thumbnail")]
    for image in mappings(dig(raw, "preview", "images")):
        found.append(dig(image, "source", "url"))
        found += [resolution.get("url") for resolution in mappings(image.get("resolutions"))]
    addresses = map(unescape, found[:PREVIEWS_MAX])
    # A thumbnail can also be a word: self, default, nsfw.
    return [address for address in addresses if address and "://" in address]
