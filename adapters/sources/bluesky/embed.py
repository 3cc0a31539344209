"""What a Bluesky post embeds: it owns pictures, videos, link cards, quotes and facets.

The record names blobs by CID; the view of the same post gives their addresses, in the same order.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference
from adapters.records.items import NodeReference
from adapters.records.values import as_count, as_text, dig, first, mappings
from adapters.sources.bluesky.addresses import (
    PLATFORM,
    authority_node,
    collection_of,
    is_at_uri,
    uri_node,
)
from adapters.sources.reading.draft import Draft

BLOBS_MAX = 100
_CID_OF_ADDRESS = re.compile(r"/(baf[a-z2-7]{20,})(?:@|/|$)")


def add_embeds(draft: Draft, raw: dict[str, Any], record: dict[str, Any]) -> None:
    """Tie media, pages and quotes of a record and of its view."""
    embed, view = record.get("embed"), first(raw.get("embed"), dig(raw, "embeds", 0))
    media = _media(embed, view)
    if embed is None and collection_of(raw.get("uri")) != "app.bsky.feed.post":
        media += [(blob, {}) for blob in blobs_of(record)]
    rkey = str(raw.get("uri")).rpartition("/")[2]
    for position, (item, shown) in enumerate(media):
        _add_medium(draft, item, shown, (position, len(media), rkey))
    for holder, seen in ((embed, view), (dig(embed, "media"), dig(view, "media"))):
        external = first(dig(holder, "external"), dig(seen, "external"))
        if isinstance(external, dict):
            draft.link(draft.subject, reference("web", "page", external.get("uri")), "linked")
            address = dig(seen, "external", "thumb")
            draft.link(draft.subject, draft.media.by_address(address, draft.path), "thumbnail")
    quoted = first(_quoted_uri(embed), _quoted_uri(view))
    target = uri_node(quoted)
    if collection_of(quoted) == "app.bsky.feed.post":
        draft.link(target, draft.subject, "quote")
    else:
        draft.link(draft.subject, target, "linked")


def _add_medium(
    draft: Draft,
    item: dict[str, Any],
    shown: dict[str, Any],
    where: tuple[int, int, str],
) -> None:
    position, count, rkey = where
    addresses = [shown.get(name) for name in ("fullsize", "playlist", "thumb", "thumbnail")]
    blob = first(item.get("image"), item.get("video"), item)
    cid = first(cid_of(blob), shown.get("cid"), *map(_cid_of_address, addresses))
    file = None
    if isinstance(cid, str):
        file = draft.media.by_stem(cid, draft.path) or draft.media.by_stem(
            f"{cid}@jpeg", draft.path
        )
    file = file or draft.media.of_post(rkey, position, count, draft.path)
    medium: NodeReference | None = file or reference(PLATFORM, "media", first(cid, *addresses))
    if medium is None:
        return
    alt = first(as_text(item.get("alt")), as_text(shown.get("alt")))
    ratio = first(item.get("aspectRatio"), shown.get("aspectRatio"))
    meta = {
        "cid": as_text(cid),
        "media_url": first(*map(as_text, addresses)),
        "alt_text": alt,
        "width": as_count(dig(ratio, "width")),
        "height": as_count(dig(ratio, "height")),
    }
    draft.link(draft.subject, medium, "contains", position)
    draft.observe_medium(medium, meta, alt)


def _media(embed: Any, view: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return pairs (item of the record, item of the view) of pictures, or of one video."""
    holders = [(embed, view), (dig(embed, "media"), dig(view, "media"))]
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for holder, seen in holders:
        items, shown = list(mappings(dig(holder, "images"))), list(mappings(dig(seen, "images")))
        for index in range(min(max(len(items), len(shown)), BLOBS_MAX)):
            item = items[index] if index < len(items) else {}
            pairs.append((item, shown[index] if index < len(shown) else {}))
        is_video = isinstance(dig(holder, "video"), dict) or isinstance(dig(seen, "playlist"), str)
        if is_video:
            pairs.append((holder if isinstance(holder, dict) else {}, seen or {}))
    return pairs


def quoted_views(embed: Any) -> list[dict[str, Any]]:
    """Return the views of quoted records that an embed (or a list of them) holds."""
    if isinstance(embed, list):
        return [view for one in embed[:BLOBS_MAX] for view in quoted_views(one)]
    record = dig(embed, "record")
    if isinstance(dig(record, "record"), dict) and not is_at_uri(dig(record, "uri")):
        record = record["record"]
    return [record] if isinstance(record, dict) and "value" in record else []


def _quoted_uri(embed: Any) -> Any:
    record = dig(embed, "record")
    return first(dig(record, "uri"), dig(record, "record", "uri"))


def add_facets(draft: Draft, record: dict[str, Any]) -> list[str]:
    """Tie the people and pages that the text names; returns its hashtags."""
    tags = [as_text(tag) for tag in record["tags"]] if isinstance(record.get("tags"), list) else []
    for facet in mappings(record.get("facets")):
        for feature in mappings(facet.get("features")):
            tags.append(as_text(feature.get("tag")))
            if isinstance(feature.get("did"), str):
                person = authority_node(f"at://{feature['did']}/")
                draft.link(draft.subject, person, "mentioned")
            if isinstance(feature.get("uri"), str):
                draft.link(draft.subject, reference("web", "page", feature["uri"]), "linked")
    return list(dict.fromkeys(tag for tag in tags if tag))


def cid_of(blob: Any) -> str | None:
    """Return the CID of a blob, of today's form or the first one."""
    found = first(dig(blob, "ref", "$link"), dig(blob, "cid"))
    return found if isinstance(found, str) else None


def blobs_of(record: Any) -> list[dict[str, Any]]:
    """Return the blobs anywhere in a record of an unknown lexicon."""
    found: list[dict[str, Any]] = []
    waiting = [record]
    while waiting and len(found) < BLOBS_MAX:
        one = waiting.pop(0)
        if isinstance(one, dict) and one.get("$type") == "blob":
            found.append(one)
        elif isinstance(one, dict | list):
            waiting += list(one.values()) if isinstance(one, dict) else one
    return found


def _cid_of_address(address: Any) -> str | None:
    found = _CID_OF_ADDRESS.search(address) if isinstance(address, str) else None
    return found.group(1) if found else None
