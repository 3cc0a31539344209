"""One file page of Commons: it owns what its fields mean.

The uploader made the page; the artist is credited: as a user where the HTML links to one, else as
the text in `artist`. A page without `imageinfo` is a post without a medium.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import (
    as_count,
    as_number,
    as_text,
    as_texts,
    dig,
    first,
    mappings,
    text_of_html,
)
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.web_address import node_of_address
from adapters.sources.wikimedia_commons.statements import statement_links

PLATFORM = "wikimedia_commons"
USAGES_MAX = 100
_CURID = re.compile(r"[?&]curid=(\d+)")
_USER_LINK = re.compile(r"commons\.wikimedia\.org/wiki/User:([^\"'?#/<>]+)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def page_id_of(page: Any) -> str | None:
    """Return the number of a page; a bare imageinfo has it in its short address."""
    identity = as_text(dig(page, "pageid"))
    if identity:
        return identity
    found = _CURID.search(as_text(dig(page, "descriptionshorturl")) or "")
    return found[1] if found else None


def read_page(draft: Draft, value: Any) -> None:
    """Read a page of the file namespace."""
    page = as_object(value, "the page")
    if "missing" in page or "invalid" in page:
        raise RecordError(f"Commons has no such page: {str(page.get('title'))[:200]!a}")
    identity = page_id_of(page)
    if identity is None:
        raise RecordError("the record has no page id (pageid, or curid in its short address)")
    info = next(mappings(page.get("imageinfo")), {})
    _read(draft, identity, page, info)


def read_imageinfo(draft: Draft, value: Any) -> None:
    """Read an imageinfo that was saved without its page."""
    info = as_object(value, "the imageinfo")
    identity = page_id_of(info)
    if identity is None:
        raise RecordError("the imageinfo has no page id (curid in its short address)")
    _read(draft, identity, {}, info)


def _read(draft: Draft, identity: str, page: dict[str, Any], info: dict[str, Any]) -> None:
    post = describe(PLATFORM, "post", identity)
    extra = info["extmetadata"] if isinstance(info.get("extmetadata"), dict) else {}
    uploader = _user(draft, info.get("user"))
    meta = _meta(identity, page, info, extra)
    name = meta["file_name"]
    title = _extra(extra, "ObjectName") or (name.rpartition(".")[0] or name if name else None)
    time = parse_time(first(info.get("timestamp"), dig(extra, "DateTime", "value")))
    draft.observe(post, title=title, update_time=time, author=uploader, meta=meta)
    draft.link(uploader, post, "authored")
    _artists(draft, post, uploader, dig(extra, "Artist", "value"))
    draft.tag(PLATFORM, meta["categories"], post)
    for usage in list(mappings(page.get("globalusage")))[:USAGES_MAX]:
        draft.link(node_of_address(usage.get("url")), post, "linked")
    statement_links(draft, post, first(page.get("statements"), page.get("claims")))
    if info.get("url") or info.get("sha1"):
        _medium(draft, post, identity, info, meta, title, uploader)
    draft.subject = post


def _meta(
    identity: str, page: dict[str, Any], info: dict[str, Any], extra: dict[str, Any]
) -> dict[str, Any]:
    taken = _extra(extra, "DateTimeOriginal")
    usage = page.get("globalusage")
    return {
        "page_id": identity,
        "file_name": _file_name(page, info),
        "description": _extra(extra, "ImageDescription"),
        "artist": _extra(extra, "Artist"),
        "license": _extra(extra, "LicenseShortName") or _extra(extra, "License"),
        "license_url": _extra(extra, "LicenseUrl"),
        "sha1": as_text(info.get("sha1")),
        "media_type": as_text(first(info.get("mime"), info.get("mediatype"))),
        "size_bytes": as_count(info.get("size")) or None,
        # Sound has width and height 0.
        "width": as_count(info.get("width")) or None,
        "height": as_count(info.get("height")) or None,
        "duration_s": as_number(info.get("duration")),
        "taken": taken,
        "taken_time": parse_time(taken) if taken and _DATE.match(taken) else None,
        "categories": _categories(page, extra),
        "usage_count": len(usage) if isinstance(usage, list) else None,
        "latitude": as_number(first(_place(page, "lat"), dig(extra, "GPSLatitude", "value"))),
        "longitude": as_number(first(_place(page, "lon"), dig(extra, "GPSLongitude", "value"))),
        "media_url": as_text(info.get("url")),
        "page_url": as_text(info.get("descriptionurl")),
    }


def _extra(extra: dict[str, Any], name: str) -> str | None:
    value = dig(extra, name, "value")
    # What is hidden on the page, such as a date for programs, is no part of the text.
    if isinstance(value, str):
        value = re.sub(r"<div[^<>]*display: ?none[^<>]*>.*?</div>", "", value[:20_000], flags=re.S)
    return text_of_html(value) if isinstance(value, str) else as_text(value)


def _place(page: dict[str, Any], name: str) -> Any:
    return dig(page, "coordinates", 0, name)


def _file_name(page: dict[str, Any], info: dict[str, Any]) -> str | None:
    title = as_text(first(page.get("title"), info.get("canonicaltitle")))
    if title is None and (url := as_text(info.get("descriptionurl"))):
        title = unquote(url.rpartition("/wiki/")[2]).replace("_", " ") if "/wiki/" in url else None
    return title.removeprefix("File:") if title else None


def _categories(page: dict[str, Any], extra: dict[str, Any]) -> list[str] | None:
    listed = [as_text(member.get("title")) for member in mappings(page.get("categories"))]
    names = [name.partition(":")[2] or name for name in listed if name]
    text = as_text(dig(extra, "Categories", "value"), 100_000)
    return as_texts(list(dict.fromkeys([*names, *(text.split("|") if text else [])])))


def _user(draft: Draft, name: Any) -> str | None:
    text = as_text(name)
    # Names of users begin with a capital letter and are told apart by case after it.
    node = reference(PLATFORM, "username", text[:1].upper() + text[1:]) if text else None
    if node:
        draft.observe(node, title=text, meta={"user_name": text})
    return node


def _artists(draft: Draft, post: str, uploader: str | None, html: Any) -> None:
    for name in _USER_LINK.findall(html[:100_000]) if isinstance(html, str) else ():
        artist = reference(PLATFORM, "username", unquote(name).replace("_", " "))
        if artist != uploader:
            draft.link(artist, post, "credited")


def _medium(
    draft: Draft,
    post: str,
    identity: str,
    info: dict[str, Any],
    meta: dict[str, Any],
    title: str | None,
    uploader: str | None,
) -> None:
    """Tie the page to its file; names of files are unique on Commons."""
    name = meta["file_name"]
    file = draft.media.by_address(info.get("url"), draft.path, is_name_unique=True)
    for stem in (name.rpartition(".")[0] if name else None, identity):
        file = file or draft.media.by_stem(stem, draft.path)
        file = file or (draft.media.by_stem(stem.replace(" ", "_"), draft.path) if stem else None)
    medium = draft.contain(post, file, reference(PLATFORM, "media", identity))
    if medium is None:
        return
    names = ("page_id", "file_name", "sha1", "media_type", "size_bytes", "width", "height",
             "duration_s", "media_url", "license", "license_url", "artist")  # fmt: skip
    about = {key: meta[key] for key in names}
    time = parse_time(info.get("timestamp"))
    draft.observe(medium, is_root=True, title=title, update_time=time, author=uploader, meta=about)
    thumbnail = draft.media.by_address(info.get("thumburl"), draft.path)
    draft.link(medium, thumbnail, "thumbnail")
