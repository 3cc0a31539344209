"""The Instagram Graph and Basic Display APIs: it owns media objects, comments and profiles of them.

Takes one object, pages (`data`), business discovery and profiles with their media. Fields are
absent unless they were asked for: a medium without address is still a node. `paging` is no record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_id, as_text, dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.instagram.post import (
    TABLES,
    comment_item,
    id_of_shortcode,
    post_item,
    shortcode_in,
    user_item,
)
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value

EXPECTED = "expected media of the Instagram Graph API (id and media_type, or permalink), or a page"
_KINDS = {"IMAGE": "image", "VIDEO": "video", "CAROUSEL_ALBUM": "carousel", "REELS": "video"}


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds media of the API."""
    discovered = dig(value, "business_discovery")
    page = first(dig(discovered, "media", "data"), dig(value, "media", "data"), dig(value, "data"))
    members = [value, *_by_id(value)[:5], *(page[:5] if isinstance(page, list) else []), discovered]
    # Mastodon's accounts have a username and followers_count, too.
    return any(
        _is_post(member) or (_is_profile(member) and "acct" not in member) for member in members
    )


def items_in(value: Any, parent: dict[str, Any] | None = None) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member, parent)
    elif by_id := _by_id(value):
        yield from items_in(by_id, parent)
    elif isinstance(dig(value, "business_discovery"), dict):
        yield from _profile_in(value["business_discovery"])
    elif _is_post(value):
        yield from _post_in(value)
    elif _is_comment(value):
        yield from _comment_in(value, parent)
    elif _is_profile(value) or isinstance(dig(value, "media", "data"), list):
        yield from _profile_in(value)
    elif isinstance(dig(value, "data"), list):
        yield from items_in(value["data"], parent)
    elif _may_be_post(value):
        yield from _post_in(value)
    else:
        yield RecordError(EXPECTED)


_PROFILE = recast("""
    id = id:id
    name = username:text
    display_name = name
    follower_count = followers_count
    following_count = follows_count
    post_count = media_count
    bio = biography
""")
_POST = recast("""
    caption = caption
    created = timestamp
    view_count = view_count
    other_id = id:id
    like_count = like_count
    comment_count = comments_count
""")
_OWNER = recast("id = owner.id:id\nname = username:text|owner.username:text")
_COMMENT = recast("""
    id = id:id
    text = text
    created = timestamp
    comment = parent_id:id
    like_count = like_count
""")
_WRITER = recast("id = from.id:id\nname = username:text|from.username:text")
NO_ID = "the medium has no usable id; expected digits in id, or a permalink"


def _profile_in(value: dict[str, Any]) -> Iterator[Found]:
    person = _PROFILE(value)
    media = [m for name in ("media", "stories") for m in mappings(dig(value, name, "data"))]
    if "name" in person or "display_name" in person:
        yield user_item(person, value)
    for member in media:
        # The media of a profile need not repeat whose they are.
        yield from _post_in(member, person)


def _post_in(value: dict[str, Any], owner: dict[str, Any] | None = None) -> Iterator[Found]:
    shortcode, post_id = _identity(value)
    kind = _KINDS.get(str(value.get("media_type")))
    whose = {name: one for name, one in (owner or {}).items() if name in ("id", "name")}
    fields = _POST(value) | {
        "id": post_id,
        "shortcode": shortcode,
        "kind": "story" if _is_story(value) else kind,
        "author": [whose | _OWNER(value)],
        "media": _media(value, post_id, kind),
    }
    yield post_item(fields, value, NO_ID)
    for comment in mappings(dig(value, "comments", "data")) if post_id else ():
        yield from _comment_in(comment, {"post": post_id}, is_inner=True)


def _identity(value: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return short code and id: the number outside of this API where it is known."""
    address = value.get("permalink")
    shortcode = as_text(value.get("shortcode")) or shortcode_in(address)
    story = as_id(str(address).rstrip("/").rpartition("/")[2]) if _is_story(value) else None
    own = first(as_id(value.get("ig_id")), id_of_shortcode(shortcode), story)
    return shortcode, first(own, as_id(value.get("id")))


def _media(value: dict[str, Any], post_id: str | None, kind: str | None) -> list[dict[str, Any]]:
    children = list(mappings(dig(value, "children", "data")))
    if not children:
        return [_medium(value, post_id) | {"is_cover": kind == "carousel"}]
    media = {found: _medium(child, found) for child in children if (found := _identity(child)[1])}
    return list(media.values())


def _medium(value: dict[str, Any], medium_id: str | None) -> dict[str, Any]:
    url, preview = as_text(value.get("media_url")), as_text(value.get("thumbnail_url"))
    return {
        "id": medium_id,
        "kind": _KINDS.get(str(value.get("media_type"))),
        "urls": [url] if url else [],
        "thumbs": [preview] if preview else [],
        "stems": [graph_id] if (graph_id := as_id(value.get("id"))) else [],
        "alt_text": value.get("alt_text"),
    }


def _comment_in(
    value: dict[str, Any], parent: dict[str, Any] | None, is_inner: bool = False
) -> Iterator[Found]:
    fields = _COMMENT(value)
    medium = value.get("media")
    if isinstance(medium, dict) and "comment" not in fields and (found := _identity(medium)[1]):
        parent = {"post": found}
    whose = {} if "comment" in fields else parent or {}
    yield comment_item(fields | whose | {"author": [_WRITER(value)]}, value, is_inner)
    for answer in mappings(dig(value, "replies", "data")) if "id" in fields else ():
        yield from _comment_in(answer, {"comment": fields["id"]}, is_inner=True)


# ---- Shapes ------------------------------------------------------------------------------------


def _is_post(value: Any) -> bool:
    """Tell whether a value is a medium beyond doubt."""
    if not isinstance(value, dict) or "text" in value:
        return False
    address = as_text(value.get("permalink")) or ""
    is_typed = str(value.get("media_type")) in _KINDS and "id" in value
    return is_typed or "instagram.com/" in address


def _by_id(value: Any) -> list[Any]:
    """Return the objects of an answer to `?ids=`, which has them by their ids."""
    if not isinstance(value, dict) or not all(
        as_id(key) and isinstance(one, dict) and one.get("id") == key for key, one in value.items()
    ):
        return []
    return [*value.values()]


def _may_be_post(value: Any) -> bool:
    """Tell whether a value is a medium of which few fields were asked for."""
    signs = {"caption", "media_url", "thumbnail_url", "comments_count", "children", "permalink"}
    return isinstance(value, dict) and "text" not in value and bool(signs & value.keys())


def _is_story(value: dict[str, Any]) -> bool:
    address = as_text(value.get("permalink")) or ""
    return value.get("media_product_type") == "STORY" or "/stories/" in address


def _is_comment(value: Any) -> bool:
    return isinstance(value, dict) and {"id", "text", "timestamp"} <= value.keys()


def _is_profile(value: Any) -> bool:
    counts = {"followers_count", "follows_count", "media_count", "account_type", "ig_id"}
    return isinstance(value, dict) and "username" in value and bool(counts & value.keys())


ADAPTERS = (
    DocumentAdapter(
        name="instagram-graph",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
