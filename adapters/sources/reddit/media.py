"""Media of Reddit posts: it owns reading galleries, videos, picture links and previews.

Addresses come HTML-escaped unless the request had raw_json=1; both are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from adapters.records.describe import describe, reference
from adapters.records.items import NodeReference
from adapters.records.values import as_count, as_text, dig, mappings
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import base_name, is_media_address

PICTURE_HOSTS = frozenset({"i.redd.it", "i.reddituploads.com"})
PREVIEWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Medium:
    """One medium of a post; `addresses` best first, the first is the one to keep."""

    identity: str
    media_id: str | None
    addresses: tuple[str, ...]
    caption: str | None = None
    width: int | None = None
    height: int | None = None


def unescape(value: Any) -> str | None:
    """Return text of the API without its HTML escapes; text that was not escaped stays."""
    text = as_text(value)
    if text is None or "&" not in text:
        return text
    escaped = ("&amp;", "&lt;", "&gt;")
    if "<" in text or ">" in text or text.count("&") > sum(map(text.count, escaped)):
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def media_of(raw: dict[str, Any]) -> list[Medium]:
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
    host = host_of(address)
    return host in PICTURE_HOSTS or (
        is_media_address(address) and not host.endswith("wikipedia.org")
    )


def host_of(address: str) -> str:
    """Return the host of an address in lower case; empty when there is none."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def add_media(draft: Draft, raw: dict[str, Any], post_id: str) -> list[Medium]:
    """Tie the media to the post, observe them, and tie previews that were downloaded."""
    media = media_of(raw)
    nodes: list[NodeReference] = []
    for position, medium in enumerate(media):
        file = next(
            filter(None, (draft.media.by_address(a, draft.path) for a in medium.addresses)), None
        )
        file = file or (
            draft.media.by_stem(medium.media_id, draft.path) if medium.media_id else None
        )
        file = file or draft.media.of_post(post_id, position, len(media), draft.path)
        nodes.append(file or medium.identity)
    if not media and (file := draft.media.of_post(post_id, 0, 1, draft.path)):
        nodes.append(file)
        media = [Medium("", None, ())]
    for position, (medium, found) in enumerate(zip(media, nodes, strict=True)):
        draft.link(draft.subject, found, "contains", position)
        meta = {
            "media_id": medium.media_id,
            "url": medium.addresses[0] if medium.addresses else unescape(raw.get("url")),
            "width": medium.width,
            "height": medium.height,
        }
        draft.observe_medium(found, meta, medium.caption)
    parent = nodes[0] if len(nodes) == 1 else draft.subject
    for address in _previews(raw):
        file = draft.media.by_address(address, draft.path)
        if file is not None and file not in nodes:
            draft.link(parent, file, "thumbnail")
    return media


def _gallery(raw: dict[str, Any]) -> Iterator[Medium]:
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
        yield Medium(
            identity=identity,
            media_id=media_id,
            addresses=tuple(a for a in map(unescape, addresses) if a),
            caption=captions.get(media_id),
            width=as_count(dig(entry, "s", "x")) or as_count(dig(entry, "x")),
            height=as_count(dig(entry, "s", "y")) or as_count(dig(entry, "y")),
        )


def _video(raw: dict[str, Any], video: dict[str, Any]) -> Medium:
    addresses = [unescape(video.get(key)) for key in ("fallback_url", "hls_url", "dash_url")]
    addresses = [address for address in addresses if address]
    media_id = None
    for address in [unescape(raw.get("url")), *addresses]:
        if address and host_of(address) == "v.redd.it":
            media_id = urlsplit(address).path.strip("/").partition("/")[0] or None
            break
    identity = reference("reddit", "media", media_id) or _described(raw, addresses)
    return Medium(
        identity=identity,
        media_id=media_id,
        addresses=tuple(addresses),
        width=as_count(video.get("width")),
        height=as_count(video.get("height")),
    )


def _picture(raw: dict[str, Any], address: str) -> Medium:
    on_reddit = host_of(address) in PICTURE_HOSTS
    media_id = base_name(address).partition(".")[0] if on_reddit else None
    identity = (reference("reddit", "media", media_id) if media_id else None) or _described(
        raw, [address]
    )
    source = dig(raw, "preview", "images", 0, "source")
    addresses = [address]
    if address.endswith(".gifv"):
        addresses += [address[:-4] + "mp4", address[:-1]]
    return Medium(
        identity=identity,
        media_id=media_id or None,
        addresses=tuple(addresses),
        width=as_count(dig(source, "width")),
        height=as_count(dig(source, "height")),
    )


def _described(raw: dict[str, Any], addresses: list[str]) -> str:
    """Name a medium of another site by its address, one without any by its post."""
    named = reference("web", "media", addresses[0]) if addresses else None
    return named or describe("reddit", "media", as_text(raw.get("name")) or as_text(raw.get("id")))


def _previews(raw: dict[str, Any]) -> list[str]:
    found = [raw.get("thumbnail")]
    for image in mappings(dig(raw, "preview", "images")):
        found.append(dig(image, "source", "url"))
        found += [resolution.get("url") for resolution in mappings(image.get("resolutions"))]
    addresses = map(unescape, found[:PREVIEWS_MAX])
    # A thumbnail can also be a word: self, default, nsfw.
    return [address for address in addresses if address and "://" in address]
