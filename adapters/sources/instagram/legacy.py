"""The first API of Instagram (2011 to 2020): it owns posts, comments, people and embeds of it.

`type` is 1 or "image", times are ISO or epoch text, comments and likes are lists in the private
beta and objects with counts later. In the beta the caption is also the first comment, with its id:
it is not repeated. `meta` and `pagination` are no records.
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
        yield comment_item(_COMMENT(value), value)
    elif _is_embed(value):
        yield _embed(value)
    elif _is_person(value):
        yield user_item(_PERSON(value), value)
    elif isinstance(dig(value, "data"), list | dict):
        yield from items_in(value["data"])
    elif error := as_text(first(dig(value, "meta", "error_message"), None), 200):
        yield RecordError(f"only an error in it: {error}")
    else:
        yield RecordError(EXPECTED)


_PERSON = recast("""
    id = id:id
    name = username:text
    display_name = full_name
    follower_count = counts.followed_by
    following_count = counts.follows
    post_count = counts.media
""")
_COMMENT = recast(
    """
    id = id:id
    text = text.text|text.message|text|message.text|message
    created = created_time
    author = from > person
    """,
    person=_PERSON,
)
_POST = recast(
    """
    kind = type
    caption = caption.text|caption.message|caption:string
    created = created_time
    author = user > person
    people = users_in_photo[].user > person
    like_count = likes.count|like_count
    comment_count = comments.count|comment_count
    location_name = location.name
    latitude = location.latitude
    longitude = location.longitude
    filter_name = filter
    """,
    person=_PERSON,
)
NO_ID = "the post has no usable id; expected digits in id, or a link"


def _post_in(value: dict[str, Any]) -> Iterator[Found]:
    shortcode = shortcode_in(value.get("link"))
    post_id = _own_id(value.get("id")) or id_of_shortcode(shortcode)
    fields = _POST(value) | {"id": post_id, "shortcode": shortcode, "kind": _kind(value)}
    if isinstance(tags := value.get("tags"), list):
        fields["hashtags"] = [tag for tag in tags if as_text(tag)]
    yield post_item(fields | {"media": _media(value, post_id)}, value, NO_ID)
    comments = value.get("comments")
    listed = comments if isinstance(comments, list) else dig(comments, "data")
    caption_id = as_id(dig(value, "caption", "id"))
    for comment in mappings(listed) if post_id else ():
        if caption_id is None or as_id(comment.get("id")) != caption_id:
            yield comment_item(_COMMENT(comment) | {"post": post_id}, comment, is_inner=True)


def _own_id(value: Any) -> str | None:
    """Return the id of a post; later ones are `<post>_<user>`."""
    return as_id(value.partition("_")[0]) if isinstance(value, str) else as_id(value)


def _kind(value: dict[str, Any]) -> str | None:
    return _KINDS.get(str(value.get("type")))


def _media(value: dict[str, Any], post_id: str | None) -> list[dict[str, Any]]:
    parts = list(mappings(value.get("carousel_media")))
    # The parts of a carousel have no ids of their own in this API.
    numbered = [_medium(part, f"{post_id}_{n}") for n, part in enumerate(parts, start=1)]
    return numbered or [_medium(value, post_id)]


def _medium(value: dict[str, Any], medium_id: str | None) -> dict[str, Any]:
    pictures, videos = dig(value, "images"), dig(value, "videos")
    is_video = isinstance(videos, dict) or _kind(value) == "video"
    shown = _urls(pictures, _SIZES)
    best = next((b for s in _SIZES if (b := dig(videos if is_video else pictures, s))), None)
    previews = _urls(pictures, ("thumbnail",))
    return {
        "id": medium_id,
        "kind": "video" if is_video else _kind(value) or "image",
        "urls": _urls(videos, _SIZES) if is_video else shown,
        "thumbs": [*shown, *previews] if is_video else previews,
        "width": dig(best, "width"),
        "height": dig(best, "height"),
    }


def _urls(sizes: Any, names: tuple[str, ...]) -> list[str]:
    """Return the addresses of sizes, which are objects or, in some dumps, plain texts."""
    found = (as_text(first(dig(sizes, name, "url"), dig(sizes, name))) for name in names)
    return [url for url in found if url]


def _of_embed(fields: dict[str, Any]) -> dict[str, Any]:
    post_id = _own_id(fields.get("media_id"))
    kind = "image" if fields.get("type") == "photo" else None
    medium = {name: fields[name] for name in ("width", "height") if name in fields}
    medium |= {"urls": [fields["url"]] if "url" in fields else [], "id": post_id, "kind": kind}
    medium["thumbs"] = [fields["preview"]] if "preview" in fields else []
    return fields | {"id": post_id, "kind": kind, "media": [medium]}


_AUTHOR = recast("id = author_id:id\nname = author_name:text")
_EMBED = recast(
    """
    media_id = media_id
    type = type
    caption = title
    url = url:text
    preview = thumbnail_url:text
    width = width
    height = height
    """,
    _of_embed,
)


def _embed(value: dict[str, Any]) -> Found:
    fields = _EMBED(value) | {"author": [_AUTHOR(value)]}
    return post_item(fields, value, "the embed has no usable id; expected digits in media_id")


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
