"""Output of tiktok-scraper: it owns its posts, as JSON and as what its console prints.

The console prints JavaScript object notation (JSON5) and leaves things out: `[Array]` and `...` are
read as nothing. The slow parser of JSON5 only sees small files. `headers` hold the cookie of the
person who collected and never become part of a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import json5

from adapters.records.describe import describe
from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import JSON_DEPTH_MAX, ScrapeFolder
from adapters.records.items import Link, NodeReference
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_number, as_text, dig, first, mappings
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value
from adapters.sources.reading.documents import Document, documents
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.medium import media_node
from adapters.sources.schemas.tiktok import TABLE

PLATFORM = "tiktok"
EXPECTED = "expected posts of tiktok-scraper (id, authorMeta, createTime), or its `collector`"
ASSOCIATIONS_MAX = 100
"""The most tags and people of one post that become nodes."""
JSON5_BYTES_MAX = 256 << 10
"""About 10 s of parsing."""
JSON5_DEPTH_MAX = 40
_OMITTED = re.compile(
    r"""(?P<keep>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|//[^\n]*)"""
    r"""|\[(?:Array|Object|Circular[^\]\n]{0,20})\]|\.\.\.(?:\s*\d+\s+more\s+items?)?""",
    re.DOTALL,
)


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds posts."""
    members = first(dig(value, "collector"), value)
    return any(map(_is_post, members[:5] if isinstance(members, list) else [members]))


def items_in(value: Any) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member)
    elif isinstance(dig(value, "collector"), list):
        yield from items_in(value["collector"])
    elif _is_post(value):
        yield Part(_read_post, value)
    else:
        yield RecordError(EXPECTED)


def _read_post(draft: Draft, value: dict[str, Any]) -> None:
    node = describe(PLATFORM, "post", value.get("id"))
    draft.subject = node
    person = value.get("authorMeta")
    author = _author_node(person)
    tags = _tags(value)
    title, views = as_text(value.get("text")), as_count(value.get("playCount"))
    created = parse_time(value.get("createTime"))
    meta = _post_columns(value, tags)
    draft.observe(node, meta, title=title, view=views, update_time=created, author=author)
    _observe_author(draft, person, author)
    draft.link(author, node, "authored")
    if author:
        draft.link_all(_alias(author, person))
    medium = _add_video(draft, value)
    meta = _media_columns(value)
    draft.observe(
        medium, meta, is_root=True, title=title, view=views, update_time=created, author=author
    )
    draft.tag(PLATFORM, tags)
    for other in _mentions(value):
        draft.link(node, other, "mentioned")


def _post_columns(value: dict[str, Any], tags: list[str]) -> dict[str, Any]:
    music = value.get("musicMeta")
    return {
        "post_id": as_text(value.get("id")),
        "like_count": as_count(value.get("diggCount")),
        "share_count": as_count(value.get("shareCount")),
        "comment_count": as_count(value.get("commentCount")),
        "hashtags": tags or None,
        "music_id": as_text(dig(music, "musicId")),
        "music_title": as_text(dig(music, "musicName")),
        "music_author": as_text(dig(music, "musicAuthor")),
        "is_music_original": as_boolean(dig(music, "musicOriginal")),
    }


def _media_columns(value: dict[str, Any]) -> dict[str, Any]:
    size = value.get("videoMeta")
    return {
        "post_id": as_text(value.get("id")),
        "media_url": as_text(value.get("videoUrl")),
        "width": as_count(dig(size, "width")),
        "height": as_count(dig(size, "height")),
        "duration_s": as_number(dig(size, "duration")),
    }


def _add_video(draft: Draft, value: dict[str, Any]) -> NodeReference:
    """Tie the video with its other files; return its node."""
    post_id, created = as_text(value.get("id")) or "", as_text(value.get("createTime"))
    addresses = (value.get("videoUrlNoWaterMark"), value.get("videoUrl"))
    covers = (dig(value, "covers", name) for name in ("origin", "default", "dynamic"))
    # The scraper itself writes TIME_ID.mp4, or ID.mp4 when it is told to.
    stems = [post_id, *([f"{created}_{post_id}"] if created else [])]
    found = media_node(
        draft,
        describe(PLATFORM, "media", post_id),
        [url for address in addresses if (url := as_text(address))],
        [url for cover in covers if (url := as_text(cover))],
        [stem for stem in stems if "/" not in stem],
        is_video=True,
    )
    draft.link(draft.subject, found.node, "contains", 0)
    draft.link_all(found.links)
    return found.node


def _author_node(person: Any) -> str | None:
    user_id, name = as_text(dig(person, "id")), as_text(dig(person, "name"))
    if user_id:
        return describe(PLATFORM, "user", user_id)
    return describe(PLATFORM, "username", name.lower()) if name else None


def _observe_author(draft: Draft, person: Any, node: str | None) -> None:
    name = as_text(dig(person, "name"))
    meta = {
        "user_id": as_text(dig(person, "id")),
        "user_name": name,
        "display_name": as_text(dig(person, "nickName")),
        "follower_count": as_count(dig(person, "fans")),
        "following_count": as_count(dig(person, "following")),
        "heart_count": as_count(dig(person, "heart")),
        "post_count": as_count(dig(person, "video")),
        "is_verified": as_boolean(dig(person, "verified")),
    }
    title = first(meta["display_name"], name)
    draft.observe(node, meta, title=title, author=node)


def _alias(node: str, person: Any) -> list[Link]:
    name = as_text(dig(person, "name"))
    other = describe(PLATFORM, "username", name.lower()) if name else node
    return [Link(node, other, "alias")] if other != node else []


def _tags(value: dict[str, Any]) -> list[str]:
    names = (as_text(tag.get("name")) for tag in mappings(value.get("hashtags")))
    return list(dict.fromkeys(name for name in names if name))[:ASSOCIATIONS_MAX]


def _mentions(value: dict[str, Any]) -> list[str]:
    mentions = value.get("mentions")
    listed = mentions if isinstance(mentions, list) else []
    texts = (as_text(mention) for mention in listed if isinstance(mention, str))
    names = (text.lstrip("@").lower() for text in texts if text)
    found = dict.fromkeys(describe(PLATFORM, "username", name) for name in names if name)
    return list(found)[:ASSOCIATIONS_MAX]


# ---- Shapes ------------------------------------------------------------------------------------


def _is_post(value: Any) -> bool:
    signs = {"authorMeta", "musicMeta", "diggCount", "videoUrl", "playCount"}
    return isinstance(value, dict) and "id" in value and len(signs & value.keys()) >= 2


def _parse(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    if not path.lower().endswith(".json5"):
        yield from documents(folder, path)
        return
    try:
        value = _parse_printed(folder.read_text(path, JSON5_BYTES_MAX))
    except RecordError as error:
        value = error
    yield Document(folder, path, value)


def _parse_printed(text: str) -> Any:
    """Return the value of JSON5 as the console prints it."""
    text = _OMITTED.sub(_kept, text)
    if text.count("[") + text.count("{") > JSON_DEPTH_MAX * 500 or _depth(text) > JSON5_DEPTH_MAX:
        raise LimitError(f"nested deeper than {JSON5_DEPTH_MAX}, or too many parts")
    try:
        return json5.loads(text, parse_constant=_refuse, parse_float=_parse_float)
    except RecursionError as error:
        raise LimitError(f"nested deeper than {JSON5_DEPTH_MAX}") from error
    except ValueError as error:
        raise RecordError(f"no valid JSON5: {str(error)[:200]}") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no value of a record")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if number - number != 0:
        raise ValueError("a number out of range")
    return number


def _kept(match: re.Match[str]) -> str:
    omitted = "" if match[0].startswith("...") else "[]" if "Array" in match[0] else "null"
    return match["keep"] if match["keep"] is not None else omitted


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


ADAPTERS = (
    DocumentAdapter(
        name="tiktok-scraper",
        tables=(TABLE,),
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
        markers=((b"authorMeta", b"videoUrl"),),
        parse=_parse,
    ),
)
