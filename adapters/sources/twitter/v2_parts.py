"""Parts of a v2 response: it owns users, media and the lookup of what a page includes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.records.values import as_count, as_id, as_text, dig, mappings
from adapters.sources.twitter.tweet import Medium, User, best_first, is_picture

_KIND_OF_KEY = {"3": "photo", "7": "video", "13": "video", "16": "animated_gif"}


@dataclass(frozen=True, slots=True)
class Page:
    """The included objects of a page by their ids, as they were delivered."""

    users: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ids of the included users by their lower-case names."""
    media: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    tweets: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def page_of(value: dict[str, Any]) -> Page:
    """Return the included objects of a response."""
    included = value.get("includes")
    users = _by(dig(included, "users"), "id")
    names = {
        name.lower(): user_id
        for user_id, user in users.items()
        if (name := as_text(user.get("username")))
    }
    return Page(
        users, names, _by(dig(included, "media"), "media_key"), _by(dig(included, "tweets"), "id")
    )


def _by(objects: Any, name: str) -> dict[str, dict[str, Any]]:
    return {key: item for item in mappings(objects) if (key := as_text(item.get(name)))}


def parse_medium(value: dict[str, Any]) -> Medium | None:
    """Understand one medium; None without a usable key."""
    key = as_text(value.get("media_key"))
    # The key is the id of v1.1 behind a number for its kind.
    medium_id = as_id(key.rpartition("_")[2]) if key else None
    if key is None or medium_id is None:
        return None
    kind = as_text(value.get("type")) or _KIND_OF_KEY.get(key.partition("_")[0])
    variants = best_first(mappings(value.get("variants")), "bit_rate")
    url, preview = as_text(value.get("url")), as_text(value.get("preview_image_url"))
    urls, previews = [*variants], [preview] if preview else []
    if url:
        # Some old responses gave a video the address of its preview.
        (previews if kind != "photo" and is_picture(url) else urls).append(url)
    return Medium(
        id=medium_id,
        key=key,
        type=kind,
        urls=tuple(urls),
        thumbnail_urls=tuple(previews),
        alt_text=as_text(value.get("alt_text")),
        width=as_count(value.get("width")),
        height=as_count(value.get("height")),
        duration_ms=as_count(value.get("duration_ms")),
        view_count=as_count(dig(value, "public_metrics", "view_count")),
    )


def parse_user(value: dict[str, Any]) -> User:
    """Understand a v2 user; fields that were not asked for stay None."""
    return User(
        id=as_id(value.get("id")),
        name=as_text(value.get("username")),
        display_name=as_text(value.get("name")),
        follower_count=as_count(dig(value, "public_metrics", "followers_count")),
        following_count=as_count(dig(value, "public_metrics", "following_count")),
        post_count=as_count(dig(value, "public_metrics", "tweet_count")),
    )
