"""What an object of the Facebook Graph API is: it owns kinds and ids, and makes no record.

No object says what it is. It is known by the fields that only its kind has, by its address, or by
the edge of the page that it came in.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from adapters.records.values import as_id, as_text, dig, first

_EDGE = re.compile(r"https?://graph\.facebook\.com/[^?]*/(\w+)(?:\?|$)")
_OBJECT_ID = re.compile(r"[0-9]{1,30}(?:_[0-9]{1,30}){0,2}")
KIND_OF_EDGE = {
    "comments": "comment", "replies": "comment", "albums": "album", "photos": "photo",
    "videos": "video", "video_reels": "video", "events": "event", "feed": "post", "posts": "post",
    "published_posts": "post", "visitor_posts": "post", "tagged": "post",
}  # fmt: skip
"""What the members of an edge are."""


def as_object_id(value: Any) -> str | None:
    """Return an id such as `1` or `1_2`."""
    text = as_id(value) or (value.strip() if isinstance(value, str) else "")
    return text if _OBJECT_ID.fullmatch(text) else None


def ids_of(value: dict[str, Any], kind: str) -> tuple[str | None, str | None, str | None]:
    """Return the id of an object, of the post that a comment is on, and of what it answers.

    A comment is `<post>_<comment>`: the last number names it. Without an id its address does.
    """
    own = as_object_id(value.get("id"))
    if kind != "comment":
        return own, None, None
    parts = split_address(as_text(value.get("permalink_url")))
    asked = parse_qs(parts.query[:2_000])
    thread, answer = (_last(asked.get(name)) for name in ("comment_id", "reply_comment_id"))
    comment_id = own.rpartition("_")[2] if own else answer or thread
    answered = as_object_id(dig(value, "parent", "id"))
    answered = answered.rpartition("_")[2] if answered else thread
    steps = parts.path.strip("/").split("/")
    post_id = (
        as_object_id(f"{steps[0]}_{steps[2]}") if steps[1:2] == ["posts"] and steps[2:] else None
    )
    return comment_id, post_id, answered if answered != comment_id else None


def _last(values: list[str] | None) -> str | None:
    found = as_object_id(values[0]) if values else None
    return found.rpartition("_")[2] if found else None


def split_address(url: str | None) -> SplitResult:
    """Return the parts of an address; empty ones for what is none."""
    try:
        return urlsplit(url or "")
    except ValueError:
        return urlsplit("")


def kind_of(value: Any, expected: str | None) -> str | None:
    """Tell what an object is, by its fields, else as expected; None when it is none of them."""
    if not isinstance(value, dict):
        return None
    address = as_text(first(value.get("permalink_url"), value.get("link"))) or ""
    if "comment_id=" in address:
        return "comment"
    if as_object_id(value.get("id")) is None and not (expected and "id" in value):
        return None
    keys = value.keys()
    if keys & {"start_time", "event_times"}:
        return "event"
    if keys & {"length", "live_status", "embed_html"} or "/videos/" in address:
        return "video" if "attachments" not in keys else "post"
    if keys & {"images", "webp_images", "page_story_id"} or "/photos/" in address:
        return "photo" if not keys & {"attachments", "status_type"} else "post"
    if keys & {"status_type", "story", "attachments", "shares", "full_picture"}:
        return "post"
    if keys & {"cover_photo", "photos"} and "fan_count" not in keys:
        return "album"
    if expected is not None:
        return expected
    if keys & {"message", "created_time"} and "name" not in keys:
        return "comment" if keys & {"comment_count", "can_remove", "parent", "from"} else "post"
    if {"created_time", "name"} <= keys:
        return "album"
    return "post" if "_" in str(value.get("id")) else None


def is_certain(value: Any) -> bool:
    """Tell whether an object is Facebook's beyond doubt: it says so in an address."""
    if kind_of(value, None) is None:
        return False
    names = ("permalink_url", "link", "icon", "picture", "full_picture")
    addresses = [as_text(value.get(name)) or "" for name in names]
    hosts = (split_address(address).hostname or "" for address in addresses)
    own = any(f".{host}".endswith((".facebook.com", ".fbcdn.net")) for host in hosts)
    is_video = addresses[0].startswith("/") and "/videos/" in addresses[0]
    return own or is_video or isinstance(value.get("event_times"), list)


def is_person(value: Any) -> bool:
    """Tell whether an object is a person or a page."""
    signs = {"fan_count", "followers_count", "category", "username", "about", "first_name", "link"}
    return isinstance(value, dict) and {"id", "name"} <= value.keys() and bool(signs & value.keys())


def objects_by_id(value: Any) -> list[Any]:
    """Return the objects of a lookup of several ids, which is an object by id."""
    if isinstance(value, dict) and value and all(as_object_id(name) for name in value):
        return list(value.values())
    return []


def edge_of(page: Any) -> str | None:
    """Return the edge that a page of results belongs to, such as `comments`."""
    for name in ("next", "previous"):
        if found := _EDGE.match(as_text(dig(page, "paging", name)) or ""):
            return found.group(1)
    return None
