"""RSS and Atom: it owns turning what feedparser reads into a Feed, and never fetches anything.

feedparser gets bytes only (a name or an address would be opened), repairs what it can, and drops
every entity that refers to another one, so there are no entity bombs. Its HTML cleaning is off:
text is data here, and is turned into plain text.
"""

from __future__ import annotations

import io
import time
from calendar import timegm
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import feedparser

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import (
    as_boolean,
    as_count,
    as_integer,
    as_number,
    as_text,
    dig,
    first,
    mappings,
    text_of_html,
)
from adapters.sources.feeds.model import Author, Entry, Feed, Medium

# Players that are embedded in a page; there is no medium behind such an address.
_PLAYERS = ("application/x-shockwave-flash", "text/html")


def read_xml(data: bytes) -> Feed:
    """Read RSS or Atom; RecordError when it is neither."""
    try:
        parsed = feedparser.parse(
            io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:
        # A lenient parser over hostile bytes ends in all kinds of errors; the file is the culprit.
        raise RecordError(
            f"no readable feed: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    if not parsed.get("version") and not parsed.get("entries"):
        raise RecordError(_why_not(data))
    parsed = _raw(parsed)
    channel: dict[str, Any] = parsed.get("feed") or {}
    damage = str(parsed.get("bozo_exception"))[:200] if parsed.get("bozo") else None
    youtube_channel = as_text(channel.get("yt_channelid"))
    return Feed(
        format=as_text(parsed.get("version")) or "xml",
        url=_feed_url(channel),
        home_url=_alternate(channel),
        title=_plain(channel, "title"),
        text=text_of_html(first(channel.get("subtitle"), channel.get("summary"))),
        changed=first(_moment(channel, "updated"), _moment(channel, "published")),
        author=next(iter(_authors(channel)), None),
        tags=tuple(_tags(channel)),
        image_url=as_text(first(dig(channel, "image", "href"), dig(channel, "image", "url"))),
        entries=tuple(_entry(entry) for entry in list(mappings(parsed.get("entries")))),
        meta={
            "language": as_text(channel.get("language")),
            "rights": text_of_html(channel.get("rights")),
            "generator": as_text(channel.get("generator")),
            "published_time": _moment(channel, "published"),
            "explicit": as_boolean(channel.get("itunes_explicit")),
        },
        youtube_channel=youtube_channel,
        damage=damage,
    )


def _raw(value: Any) -> Any:
    """Return feedparser's own dictionaries as plain ones: theirs answer for missing keys."""
    if isinstance(value, dict):
        return {str(key): _raw(inner) for key, inner in value.items()}
    return [_raw(inner) for inner in value] if isinstance(value, list) else value


def _why_not(data: bytes) -> str:
    head = data[:2_000].lower()
    if b"<html" in head or b"<!doctype html" in head:
        return "an HTML page instead of a feed; fetch the address of the feed itself"
    return "neither RSS nor Atom"


def _entry(entry: dict[str, Any]) -> Entry:
    statistics = entry.get("media_statistics")
    rating = entry.get("media_starrating")
    content = next((part.get("value") for part in mappings(entry.get("content"))), None)
    summary = text_of_html(first(entry.get("summary"), content))
    link = as_text(entry.get("link"))
    return Entry(
        id=as_text(entry.get("id")),
        url=link,
        title=_plain(entry, "title"),
        text=text_of_html(content) or summary,
        published=_moment(entry, "published"),
        changed=_moment(entry, "updated"),
        authors=tuple(_authors(entry)),
        tags=tuple(_tags(entry)),
        media=tuple(_media(entry)),
        thumbnails=tuple(_thumbnails(entry)),
        view=as_count(dig(statistics, "views")),
        meta={
            "summary": summary,
            "subtitle": text_of_html(entry.get("subtitle")),
            "rights": text_of_html(entry.get("rights")),
            "language": as_text(entry.get("language")),
            "comments_url": as_text(entry.get("comments")),
            "comment_count": as_count(entry.get("slash_comments")),
            "favorite_count": as_count(dig(statistics, "favorites")),
            "rating_average": as_number(dig(rating, "average")),
            "rating_count": as_count(dig(rating, "count")),
            "episode": as_integer(entry.get("itunes_episode")),
            "season": as_integer(entry.get("itunes_season")),
            "episode_type": as_text(entry.get("itunes_episodetype")),
            "explicit": as_boolean(entry.get("itunes_explicit")),
            "duration_s": _duration_s(entry.get("itunes_duration")),
            "image_url": next(iter(_thumbnails(entry)), None),
        },
        complete=_plain_value(entry),
        youtube_id=as_text(entry.get("yt_videoid")),
        youtube_channel=as_text(entry.get("yt_channelid")),
    )


def _plain(value: dict[str, Any], name: str) -> str | None:
    """Return a text construct: markup only where its type says so."""
    kind = dig(value.get(f"{name}_detail"), "type")
    text = value.get(name)
    return as_text(text) if kind == "text/plain" else text_of_html(text)


def _moment(value: dict[str, Any], name: str) -> datetime | None:
    # feedparser knows the odd forms of old feeds, but takes bare epoch seconds for a year and day.
    parsed, text = value.get(f"{name}_parsed"), value.get(name)
    if isinstance(parsed, time.struct_time) and not str(text).strip().isdigit():
        try:
            return parse_time(datetime.fromtimestamp(timegm(parsed), UTC))
        except (ValueError, OverflowError, OSError):
            return None
    return parse_time(text)


def _authors(value: dict[str, Any]) -> Iterable[Author]:
    details = [*mappings(value.get("authors")), *mappings([value.get("author_detail")])]
    seen: set[str] = set()
    for detail in details:
        name = as_text(first(detail.get("name"), detail.get("email")))
        uri = as_text(detail.get("href"))
        if (name or uri) and (key := uri or name or "") not in seen:
            seen.add(key)
            yield Author(name, uri)


def _tags(value: dict[str, Any]) -> Iterable[str]:
    for tag in mappings(value.get("tags")):
        if text := as_text(first(tag.get("label"), tag.get("term"))):
            yield text


def _media(entry: dict[str, Any]) -> Iterable[Medium]:
    enclosures = [
        {**link, "url": link.get("href"), "fileSize": link.get("length")}
        for link in mappings(entry.get("links"))
        if link.get("rel") == "enclosure"
    ]
    found: dict[str, Medium] = {}
    for item in [*enclosures, *mappings(entry.get("media_content"))]:
        url, kind = as_text(item.get("url")), as_text(item.get("type"))
        if not url or (kind or "").partition(";")[0].strip().lower() in _PLAYERS:
            continue
        medium = Medium(
            url=url,
            type=kind,
            # 0 is how feeds write that nobody measured it.
            size_bytes=as_count(first(item.get("filesize"), item.get("fileSize"))) or None,
            duration_s=_duration_s(item.get("duration")),
            width=as_count(item.get("width")) or None,
            height=as_count(item.get("height")) or None,
        )
        found.setdefault(url, medium)
    return found.values()


def _thumbnails(entry: dict[str, Any]) -> Iterable[str]:
    urls = [item.get("url") for item in mappings(entry.get("media_thumbnail"))]
    urls.append(dig(entry, "image", "href"))
    yield from dict.fromkeys(url for url in map(as_text, urls) if url)


def _feed_url(channel: dict[str, Any]) -> str | None:
    """Return the address that a subscriber has: of a paged feed that of its first page."""
    links = list(mappings(channel.get("links")))
    for relation in ("first", "self"):
        for link in links:
            if link.get("rel") == relation and (url := as_text(link.get("href"))):
                return url
    return None


def _alternate(channel: dict[str, Any]) -> str | None:
    for link in mappings(channel.get("links")):
        if link.get("rel") == "alternate" and (url := as_text(link.get("href"))):
            return url
    return None


def _duration_s(value: Any) -> float | None:
    """Return seconds from '74', '7:04' or '1:02:03'."""
    if not isinstance(value, str):
        number = as_number(value)
    else:
        number = 0.0
        for part in value.strip()[:20].split(":"):
            digits = as_number(part)
            if digits is None or digits < 0:
                return None
            number = number * 60 + digits
    return number if number and number > 0 else None


def _plain_value(value: Any, depth: int = 0) -> Any:
    """Return feedparser's reading as JSON: without its parsed times, which repeat the texts."""
    if depth > 20:
        return None
    if isinstance(value, dict):
        return {
            str(key): _plain_value(inner, depth + 1)
            for key, inner in value.items()
            if not str(key).endswith("_parsed")
        }
    if isinstance(value, list | tuple):
        return [_plain_value(inner, depth + 1) for inner in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
