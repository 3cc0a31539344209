"""The Instagram Graph and Basic Display APIs: it owns media objects, comments and profiles of them.

Takes one object, pages (`data`), business discovery and profiles with their media. Fields are
absent unless they were asked for: a medium without address is still a node. `paging` is no record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_id, as_text, dig, first, mappings
from adapters.sources.instagram.post import (
    PLATFORM,
    TABLES,
    Comment,
    Medium,
    Person,
    Post,
    id_of_shortcode,
    post_node,
    read_comment,
    read_person,
    read_post,
    shortcode_in,
)
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value

EXPECTED = "expected media of the Instagram Graph API (id and media_type, or permalink), or a page"
_KINDS = {"IMAGE": "image", "VIDEO": "video", "CAROUSEL_ALBUM": "carousel", "REELS": "video"}


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds media of the API."""
    discovered = dig(value, "business_discovery")
    page = first(dig(discovered, "media", "data"), dig(value, "media", "data"), dig(value, "data"))
    members = [value, *(page[:5] if isinstance(page, list) else []), discovered]
    # Mastodon's accounts have a username and followers_count, too.
    return any(
        _is_post(member) or (_is_profile(member) and "acct" not in member) for member in members
    )


def items_in(value: Any, parent: str | None = None) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member, parent)
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


def _profile_in(value: dict[str, Any]) -> Iterator[Found]:
    person = Person(
        id=as_id(value.get("id")),
        name=as_text(value.get("username")),
        display_name=as_text(value.get("name")),
        follower_count=as_count(value.get("followers_count")),
        following_count=as_count(value.get("follows_count")),
        post_count=as_count(value.get("media_count")),
    )

    media = [m for name in ("media", "stories") for m in mappings(dig(value, name, "data"))]
    if person.name or person.display_name:
        yield Part(read_person, person, value)
    for member in media:
        # The media of a profile need not repeat whose they are.
        yield from _post_in(member, person)


def _post_in(value: dict[str, Any], owner: Person | None = None) -> Iterator[Found]:
    post = _post(value, owner or Person())
    if isinstance(post, RecordError):
        yield post
        return

    yield Part(read_post, post, value)
    for comment in mappings(dig(value, "comments", "data")):
        yield from _comment_in(comment, post_node(post.id), is_inner=True)


def _post(value: dict[str, Any], owner: Person) -> Post | RecordError:
    shortcode, post_id = _identity(value)
    if post_id is None:
        return RecordError("the medium has no usable id; expected digits in id, or a permalink")
    caption = as_text(value.get("caption"))
    kind = _KINDS.get(str(value.get("media_type")))
    return Post(
        id=post_id,
        shortcode=shortcode,
        kind="story" if _is_story(value) else kind,
        caption=caption,
        created=parse_time(value.get("timestamp")),
        author=_author(value, owner),
        media=_media(value, post_id, kind),
        view_count=as_count(value.get("view_count")),
        other_id=as_id(value.get("id")),
        columns={
            "like_count": as_count(value.get("like_count")),
            "comment_count": as_count(value.get("comments_count")),
        },
    )


def _identity(value: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return short code and id: the number outside of this API where it is known."""
    address = value.get("permalink")
    shortcode = as_text(value.get("shortcode")) or shortcode_in(address)
    story = as_id(str(address).rstrip("/").rpartition("/")[2]) if _is_story(value) else None
    own = first(as_id(value.get("ig_id")), id_of_shortcode(shortcode), story)
    return shortcode, first(own, as_id(value.get("id")))


def _author(value: dict[str, Any], owner: Person) -> Person:
    return Person(
        id=first(as_id(dig(value, "owner", "id")), owner.id),
        name=first(
            as_text(value.get("username")), as_text(dig(value, "owner", "username")), owner.name
        ),
    )


def _media(value: dict[str, Any], post_id: str, kind: str | None) -> tuple[Medium, ...]:
    children = list(mappings(dig(value, "children", "data")))
    if not children:
        return (_medium(value, post_id, is_cover=kind == "carousel"),)
    media: dict[str, Medium] = {}
    for child in children:
        child_id = _identity(child)[1]
        if child_id is not None:
            media[child_id] = _medium(child, child_id)
    return tuple(media.values())


def _medium(value: dict[str, Any], medium_id: str, is_cover: bool = False) -> Medium:
    url, preview = as_text(value.get("media_url")), as_text(value.get("thumbnail_url"))
    graph_id = as_id(value.get("id"))
    return Medium(
        id=medium_id,
        kind=_KINDS.get(str(value.get("media_type"))),
        urls=(url,) if url else (),
        thumbnail_urls=(preview,) if preview else (),
        stems=(graph_id,) if graph_id else (),
        alt_text=as_text(value.get("alt_text")),
        is_cover=is_cover,
    )


def _comment_in(
    value: dict[str, Any], parent: str | None, is_inner: bool = False
) -> Iterator[Found]:
    comment_id = as_id(value.get("id"))
    if comment_id is None:
        yield RecordError("the comment has no usable id; expected digits in id")
        return
    answered, medium = as_id(value.get("parent_id")), dig(value, "media")
    if answered:
        parent = describe(PLATFORM, "comment", answered)
    elif isinstance(medium, dict) and (post_id := _identity(medium)[1]):
        parent = post_node(post_id)
    comment = Comment(
        id=comment_id,
        text=as_text(value.get("text")),
        created=parse_time(value.get("timestamp")),
        author=Person(
            id=as_id(dig(value, "from", "id")),
            name=as_text(first(value.get("username"), dig(value, "from", "username"))),
        ),
        parent=parent,
        like_count=as_count(value.get("like_count")),
    )

    yield Part(read_comment, comment, value, is_inner)
    for answer in mappings(dig(value, "replies", "data")):
        yield from _comment_in(answer, describe(PLATFORM, "comment", comment_id), is_inner=True)


# ---- Shapes ------------------------------------------------------------------------------------


def _is_post(value: Any) -> bool:
    """Tell whether a value is a medium beyond doubt."""
    if not isinstance(value, dict) or "text" in value:
        return False
    address = as_text(value.get("permalink")) or ""
    is_typed = str(value.get("media_type")) in _KINDS and "id" in value
    return is_typed or "instagram.com/" in address


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
