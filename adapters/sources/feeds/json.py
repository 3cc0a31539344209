"""JSON feeds: it owns reading JSON Feed 1.x, and what the rss-parser library makes of a feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import (
    as_boolean,
    as_count,
    as_integer,
    as_number,
    as_text,
    as_texts,
    dig,
    first,
    mappings,
    text_of_html,
)
from adapters.sources.feeds.model import Author, Entry, Feed, Medium

JSON_FEED_VERSIONS = ("https://jsonfeed.org/version/", "http://jsonfeed.org/version/")


def is_json_feed(value: Any) -> bool:
    """Tell whether a JSON value is a JSON Feed."""
    version = dig(value, "version")
    return isinstance(version, str) and version.startswith(JSON_FEED_VERSIONS)


def is_parsed_feed(value: Any) -> bool:
    """Tell whether a JSON value is a feed as rss-parser writes it."""
    feed = _parsed_root(value)
    items = feed.get("items")
    known = ("feedUrl", "paginationLinks", "lastBuildDate", "link", "itunes")
    return isinstance(items, list) and any(name in feed for name in known)


def read_json_feed(value: Any) -> Feed:
    """Read a JSON Feed or a parsed feed; RecordError when it is neither."""
    if is_json_feed(value):
        return _json_feed(value)
    if is_parsed_feed(value):
        return _parsed_feed(_parsed_root(value))
    raise RecordError("JSON, but no JSON Feed: there is no version of jsonfeed.org in it")


def _json_feed(feed: dict[str, Any]) -> Feed:
    authors = _json_authors(feed)
    return Feed(
        format="jsonfeed",
        url=as_text(feed.get("feed_url")),
        home_url=as_text(feed.get("home_page_url")),
        title=as_text(feed.get("title")),
        text=as_text(feed.get("description")),
        changed=None,
        author=authors[0] if authors else None,
        tags=(),
        image_url=as_text(first(feed.get("icon"), feed.get("favicon"))),
        entries=tuple(map(_json_item, mappings(feed.get("items")))),
        meta={"language": as_text(feed.get("language"))},
    )


def _json_item(item: dict[str, Any]) -> Entry:
    text = text_of_html(item.get("content_html")) or as_text(item.get("content_text"))
    image = as_text(first(item.get("image"), item.get("banner_image")))
    return Entry(
        id=as_text(item.get("id")),
        url=as_text(first(item.get("url"), item.get("external_url"))),
        title=as_text(item.get("title")),
        text=text,
        published=parse_time(item.get("date_published")),
        changed=parse_time(item.get("date_modified")),
        authors=_json_authors(item),
        tags=tuple(as_texts(item.get("tags")) or ()),
        media=tuple(_json_attachments(item)),
        thumbnails=(image,) if image else (),
        view=None,
        meta={
            "summary": as_text(item.get("summary")) or text,
            "language": as_text(item.get("language")),
            "image_url": image,
        },
        complete=item,
    )


def _json_authors(value: dict[str, Any]) -> tuple[Author, ...]:
    found = [*mappings(value.get("authors")), *mappings([value.get("author")])]
    pairs = dict.fromkeys((as_text(a.get("name")), as_text(a.get("url"))) for a in found)
    return tuple(Author(name, url) for name, url in pairs if name or url)


def _json_attachments(item: dict[str, Any]) -> Iterable[Medium]:
    for attachment in mappings(item.get("attachments")):
        if url := as_text(attachment.get("url")):
            yield Medium(
                url=url,
                type=as_text(attachment.get("mime_type")),
                size_bytes=as_count(attachment.get("size_in_bytes")) or None,
                duration_s=as_number(attachment.get("duration_in_seconds")),
                title=as_text(attachment.get("title")),
            )


# ---- What rss-parser writes ----------------------------------------------------------------------


def _parsed_root(value: Any) -> dict[str, Any]:
    inner = dig(value, "feed")
    root = inner if isinstance(inner, dict) else value
    return root if isinstance(root, dict) else {}


def _parsed_feed(feed: dict[str, Any]) -> Feed:
    name = as_text(first(dig(feed, "itunes", "author"), feed.get("managingEditor")))
    return Feed(
        format="rss-parser",
        url=as_text(first(dig(feed, "paginationLinks", "first"), feed.get("feedUrl"))),
        home_url=as_text(feed.get("link")),
        title=as_text(feed.get("title")),
        text=text_of_html(feed.get("description")),
        changed=parse_time(first(feed.get("lastBuildDate"), feed.get("pubDate"))),
        author=Author(name) if name else None,
        tags=(),
        image_url=as_text(first(dig(feed, "image", "url"), dig(feed, "itunes", "image"))),
        entries=tuple(map(_parsed_item, mappings(feed.get("items")))),
        meta={
            "language": as_text(feed.get("language")),
            "rights": as_text(feed.get("copyright")),
            "generator": as_text(feed.get("generator")),
        },
    )


def _parsed_item(item: dict[str, Any]) -> Entry:
    itunes = item.get("itunes")
    name = as_text(first(item.get("creator"), item.get("author"), dig(itunes, "author")))
    text = text_of_html(first(item.get("content"), item.get("summary")))
    enclosure = item.get("enclosure")
    url = as_text(dig(enclosure, "url"))
    medium = Medium(
        url or "", as_text(dig(enclosure, "type")), as_count(dig(enclosure, "length")) or None
    )
    image = as_text(dig(itunes, "image"))
    return Entry(
        id=as_text(first(item.get("guid"), item.get("id"))),
        url=as_text(item.get("link")),
        title=as_text(item.get("title")),
        text=text,
        published=parse_time(first(item.get("isoDate"), item.get("pubDate"))),
        changed=None,
        authors=(Author(name),) if name else (),
        tags=tuple(as_texts(item.get("categories")) or ()),
        media=(medium,) if url else (),
        thumbnails=(image,) if image else (),
        view=None,
        meta={
            "summary": text,
            "comments_url": as_text(item.get("comments")),
            "episode": as_integer(dig(itunes, "episode")),
            "season": as_integer(dig(itunes, "season")),
            "explicit": as_boolean(dig(itunes, "explicit")),
            "image_url": image,
        },
        complete=item,
    )
