"""The first API of Instagram (2011 to 2020): it owns posts, comments, people and embeds of it.

`type` is 1 or "image", times are ISO or epoch text, comments and likes are lists in the private
beta and objects with counts later. In the beta the caption is also the first comment, with its id:
it is not repeated. `meta` and `pagination` are no records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import (
    as_count,
    as_id,
    as_number,
    as_text,
    as_texts,
    dig,
    first,
    mappings,
)
from adapters.sources.instagram.post import (
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

EXPECTED = "expected posts, comments or users of the first Instagram API, or its embed"
_SIZES = ("high_resolution", "standard_resolution", "low_resolution", "low_bandwidth")
_KINDS = {"1": "image", "image": "image", "2": "video", "video": "video", "carousel": "carousel"}


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds anything of the API."""
    data = dig(value, "data")
    members = [value, data, *(data[:5] if isinstance(data, list) else [])]
    has_code = dig(value, "meta", "code") is not None
    return any(
        _is_post(member)
        or _is_embed(member)
        or (has_code and (_is_comment(member) or _is_person(member)))
        for member in members
    )


def items_in(value: Any) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member)
    elif _is_post(value) or _may_be_post(value):
        yield from _post_in(value)
    elif _is_comment(value):
        yield _comment(value, None)
    elif _is_embed(value):
        yield _embed(value)
    elif _is_person(value):
        yield _person_item(value)
    elif isinstance(dig(value, "data"), list | dict):
        yield from items_in(value["data"])
    elif error := as_text(first(dig(value, "meta", "error_message"), None), 200):
        yield RecordError(f"only an error in it: {error}")
    else:
        yield RecordError(EXPECTED)


def _post_in(value: dict[str, Any]) -> Iterator[Found]:
    post = _post(value)
    if post is None:
        yield RecordError("the post has no usable id; expected digits in id, or a link")
        return
    yield _post_item(post, value)
    comments = value.get("comments")
    listed = comments if isinstance(comments, list) else dig(comments, "data")
    caption_id = as_id(dig(value, "caption", "id"))
    for comment in mappings(listed):
        if caption_id is None or as_id(comment.get("id")) != caption_id:
            yield _comment(comment, post_node(post.id), is_inner=True)


def _post_item(post: Post, raw: Any) -> Part:
    return Part(read_post, post, raw)


def _post(value: dict[str, Any]) -> Post | None:
    shortcode = shortcode_in(value.get("link"))
    post_id = _own_id(value.get("id")) or id_of_shortcode(shortcode)
    if post_id is None:
        return None
    tags = value.get("tags")
    tagged = (dig(tagged, "user") for tagged in mappings(value.get("users_in_photo")))
    return Post(
        id=post_id,
        shortcode=shortcode,
        kind=_kind(value),
        caption=_text(value.get("caption")),
        created=parse_time(value.get("created_time")),
        author=_person(value.get("user")),
        media=_media(value, post_id),
        people=tuple(_person(user) for user in tagged),
        hashtags=tuple(as_texts(tags) or ()) if isinstance(tags, list) else None,
        columns={
            "like_count": as_count(first(dig(value, "likes", "count"), value.get("like_count"))),
            "comment_count": as_count(
                first(dig(value, "comments", "count"), value.get("comment_count"))
            ),
            "location_name": as_text(dig(value, "location", "name")),
            "latitude": as_number(dig(value, "location", "latitude")),
            "longitude": as_number(dig(value, "location", "longitude")),
            "filter_name": as_text(value.get("filter")),
        },
    )


def _own_id(value: Any) -> str | None:
    """Return the id of a post; later ones are `<post>_<user>`."""
    return as_id(value.partition("_")[0]) if isinstance(value, str) else as_id(value)


def _kind(value: dict[str, Any]) -> str | None:
    return _KINDS.get(str(value.get("type")))


def _text(value: Any) -> str | None:
    return as_text(first(dig(value, "text"), dig(value, "message"), value))


def _media(value: dict[str, Any], post_id: str) -> tuple[Medium, ...]:
    parts = list(mappings(value.get("carousel_media")))
    if not parts:
        return (_medium(value, post_id, ()),)
    # The parts of a carousel have no ids of their own in this API.
    return tuple(
        _medium(part, f"{post_id}_{number}", ()) for number, part in enumerate(parts, start=1)
    )


def _medium(value: dict[str, Any], medium_id: str, stems: tuple[str, ...]) -> Medium:
    pictures, videos = dig(value, "images"), dig(value, "videos")
    is_video = isinstance(videos, dict) or _kind(value) == "video"
    shown = _urls(pictures, _SIZES)
    best = next((b for s in _SIZES if (b := dig(videos if is_video else pictures, s))), None)
    previews = _urls(pictures, ("thumbnail",))
    return Medium(
        id=medium_id,
        kind="video" if is_video else _kind(value) or "image",
        urls=_urls(videos, _SIZES) if is_video else shown,
        thumbnail_urls=(*shown, *previews) if is_video else previews,
        stems=stems,
        width=as_count(dig(best, "width")),
        height=as_count(dig(best, "height")),
    )


def _urls(sizes: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses of sizes, which are objects or, in some dumps, plain texts."""
    found = (as_text(first(dig(sizes, name, "url"), dig(sizes, name))) for name in names)
    return tuple(url for url in found if url)


def _comment(value: dict[str, Any], parent: str | None, is_inner: bool = False) -> Found:
    comment_id = as_id(value.get("id"))
    if comment_id is None:
        return RecordError("the comment has no usable id; expected digits in id")
    comment = Comment(
        id=comment_id,
        text=_text(value),
        created=parse_time(value.get("created_time")),
        author=_person(value.get("from")),
        parent=parent,
    )

    return Part(read_comment, comment, value, is_inner)


def _person(value: Any) -> Person:
    return Person(
        id=as_id(dig(value, "id")),
        name=as_text(dig(value, "username")),
        display_name=as_text(dig(value, "full_name")),
        follower_count=as_count(dig(value, "counts", "followed_by")),
        following_count=as_count(dig(value, "counts", "follows")),
        post_count=as_count(dig(value, "counts", "media")),
    )


def _person_item(value: dict[str, Any]) -> Part:
    person = _person(value)

    return Part(read_person, person, value)


def _embed(value: dict[str, Any]) -> Found:
    post_id = _own_id(value.get("media_id"))
    if post_id is None:
        return RecordError("the embed has no usable id; expected digits in media_id")
    url, preview = as_text(value.get("url")), as_text(value.get("thumbnail_url"))
    medium = Medium(
        id=post_id,
        kind="image" if value.get("type") == "photo" else None,
        urls=(url,) if url else (),
        thumbnail_urls=(preview,) if preview else (),
        width=as_count(value.get("width")),
        height=as_count(value.get("height")),
    )
    author = Person(as_id(value.get("author_id")), as_text(value.get("author_name")))
    post = Post(
        id=post_id,
        kind=medium.kind,
        caption=as_text(value.get("title")),
        author=author,
        media=(medium,),
    )
    return _post_item(post, value)


# ---- Shapes ------------------------------------------------------------------------------------


def _is_post(value: Any) -> bool:
    images = dig(value, "images")
    sizes = {"low_resolution", "standard_resolution", "high_resolution", "thumbnail"}
    return isinstance(images, dict) and bool(sizes & images.keys()) and "user" in value


def _may_be_post(value: Any) -> bool:
    """Tell whether a value is a post of which fields are missing."""
    signs = {
        "images", "videos", "carousel_media", "link", "likes", "like_count", "caption", "filter",
        "user_has_liked", "comments", "tags", "location",
    }  # fmt: skip
    return isinstance(value, dict) and len(signs & value.keys()) >= 2


def _is_comment(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and ("text" in value or "message" in value)
        and bool({"created_time", "from"} & value.keys())
    )


def _is_person(value: Any) -> bool:
    return isinstance(value, dict) and {"username", "id"} <= value.keys()


def _is_embed(value: Any) -> bool:
    return dig(value, "provider_name") == "Instagram" and "media_id" in value


ADAPTERS = (
    DocumentAdapter(
        name="instagram-legacy",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
