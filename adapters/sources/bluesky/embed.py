"""What a Bluesky post embeds: it owns pictures, videos, link cards, quotes and facets.

The record names blobs by CID; the view of the same post gives their addresses, in the same order.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.bluesky.addresses import collection_of, is_at_uri, uri_node

BLOBS_MAX = 100
_CID_OF_ADDRESS = re.compile(r"/(baf[a-z2-7]{20,})(?:@|/|$)")


def fields_of_embeds(raw: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Return media, pages, quotes and people of a record and of its view."""
    embed, view = record.get("embed"), first(raw.get("embed"), dig(raw, "embeds", 0))
    media = _media(embed, view)
    if embed is None and collection_of(raw.get("uri")) != "app.bsky.feed.post":
        media += [(blob, {}) for blob in blobs_of(record)]
    pages, thumbnail = list[Any](), None
    for holder, seen in ((embed, view), (dig(embed, "media"), dig(view, "media"))):
        external = first(dig(holder, "external"), dig(seen, "external"))
        if isinstance(external, dict):
            pages.append(external.get("uri"))
            thumbnail = thumbnail or dig(seen, "external", "thumb")
    features = [
        f for facet in mappings(record.get("facets")) for f in mappings(facet.get("features"))
    ]
    quoted = first(_quoted_uri(embed), _quoted_uri(view))
    is_quote = collection_of(quoted) == "app.bsky.feed.post"
    return {
        "rkey": str(raw.get("uri")).rpartition("/")[2],
        "media": [_medium(item, shown) for item, shown in media],
        "pages": [*(f.get("uri") for f in features), *pages],
        "people": [f.get("did") for f in features if isinstance(f.get("did"), str)],
        "quoted" if is_quote else "embedded": uri_node(quoted),
        "thumbnail": thumbnail,
    }


def _medium(item: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    addresses = [shown.get(name) for name in ("fullsize", "playlist", "thumb", "thumbnail")]
    blob = first(item.get("image"), item.get("video"), item)
    return {
        "cid": first(cid_of(blob), shown.get("cid"), *map(_cid_of_address, addresses)),
        "urls": [text for text in map(as_text, addresses) if text],
        "alt": first(as_text(item.get("alt")), as_text(shown.get("alt"))),
        "aspectRatio": first(item.get("aspectRatio"), shown.get("aspectRatio")),
    }


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


def tags_of_facets(record: dict[str, Any]) -> list[str]:
    """Return the hashtags of a record, of its own list and of its text."""
    tags = [as_text(tag) for tag in record["tags"]] if isinstance(record.get("tags"), list) else []
    for facet in mappings(record.get("facets")):
        tags += [as_text(feature.get("tag")) for feature in mappings(facet.get("features"))]
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
