"""Parts of a v1.1 tweet: it owns media, people and tags, which GraphQL and the archive share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.values import as_count, as_id, as_text, dig, first, mappings
from adapters.sources.twitter.tweet import Medium, User, best_first, distinct


def entities(value: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield entities, from the complete list of an extended tweet first.

    Some libraries write the lists beside the text instead of below `entities`.
    """
    extended = dig(value, "extended_tweet", "entities", name)
    plain_list = dig(value, "entities", name)
    yield from mappings(first(extended, plain_list, value.get(name)))


def media_of(value: dict[str, Any]) -> tuple[Medium, ...]:
    """Return the media of a tweet: `extended_entities` has all, `entities` only the first."""
    lists = (
        dig(value, "extended_tweet", "extended_entities", "media"),
        dig(value, "extended_entities", "media"),
        dig(value, "extended_tweet", "entities", "media"),
        dig(value, "entities", "media"),
        value.get("media"),
    )
    chosen = next((found for found in lists if isinstance(found, list) and found), None)
    media = (parse_medium(medium) for medium in mappings(chosen))
    return tuple({medium.id: medium for medium in media if medium is not None}.values())


def parse_medium(value: dict[str, Any]) -> Medium | None:
    """Understand one medium; None without an id."""
    key = as_text(value.get("media_key"))
    medium_id = as_id(first(value.get("id_str"), value.get("id")))
    medium_id = medium_id or (as_id(key.rpartition("_")[2]) if key else None)
    if medium_id is None:
        return None
    kind = as_text(value.get("type"))
    shown = as_text(first(value.get("media_url_https"), value.get("media_url")))
    variants = best_first(mappings(dig(value, "video_info", "variants")), "bitrate")
    is_photo = kind == "photo" and not variants
    shown_urls = (shown,) if shown else ()
    return Medium(
        id=medium_id,
        key=key,
        type=kind,
        urls=shown_urls if is_photo else variants,
        thumbnail_urls=() if is_photo else shown_urls,
        alt_text=as_text(value.get("ext_alt_text")),
        width=as_count(
            first(dig(value, "original_info", "width"), dig(value, "sizes", "large", "w"))
        ),
        height=as_count(
            first(dig(value, "original_info", "height"), dig(value, "sizes", "large", "h"))
        ),
        duration_ms=as_count(dig(value, "video_info", "duration_millis")),
        view_count=as_count(dig(value, "mediaStats", "viewCount")),
        source_post_id=as_id(value.get("source_status_id_str")),
    )


def hashtags_of(value: dict[str, Any]) -> tuple[str, ...]:
    """Return the hashtags without #."""
    return distinct(as_text(tag.get("text")) for tag in entities(value, "hashtags"))


def mentions_of(value: dict[str, Any]) -> tuple[User, ...]:
    """Return the people whom a tweet names."""
    people = (
        User(as_id(first(m.get("id_str"), m.get("id"))), as_text(m.get("screen_name")))
        for m in entities(value, "user_mentions")
    )
    return tuple({person.node: person for person in people if person.node}.values())


def parse_user(value: Any) -> User:
    """Understand a v1.1 user; unknown fields of a trimmed one stay None."""
    if not isinstance(value, dict):
        return User()
    return User(
        id=as_id(first(value.get("id_str"), value.get("id"))),
        name=as_text(value.get("screen_name")),
        display_name=as_text(value.get("name")),
        follower_count=as_count(value.get("followers_count")),
        following_count=as_count(value.get("friends_count")),
        post_count=as_count(value.get("statuses_count")),
    )
