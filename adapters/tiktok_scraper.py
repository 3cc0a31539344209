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

from adapters.describe import describe
from adapters.errors import LimitError, RecordError
from adapters.folder import JSON_DEPTH_MAX, ScrapeFolder
from adapters.items import Link, Observation, Record, Sniff
from adapters.json_documents import Document, documents, sniff_documents
from adapters.json_records import Found, Item, Output, read_documents
from adapters.media_files import media_node
from adapters.schemas.tiktok import TABLE
from adapters.times import parse_time
from adapters.values import as_boolean, as_count, as_number, as_text, dig, first, mappings

PLATFORM = "tiktok"
SUFFIXES = (".json", ".json5", ".jsonl", ".ndjson")
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


class TiktokScraper:
    """Posts that tiktok-scraper collected."""

    name = "tiktok-scraper"
    tables = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for posts in JSON, or for the words of the format in JSON5."""
        if any(_is_printed(folder, path) for path in folder.with_suffix(".json5")[:5]):
            return Sniff(0.9, "a .json5 file with authorMeta and videoUrl")
        return sniff_documents(folder, recognises, "posts of tiktok-scraper", SUFFIXES)

    def read(self, folder: ScrapeFolder) -> Iterator[Output]:
        """Yield every post."""
        return read_documents(folder, SUFFIXES, items_in, EXPECTED, _parse)


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
        yield _post(value)
    else:
        yield RecordError(EXPECTED)


def _post(value: dict[str, Any]) -> Item:
    def make(folder: ScrapeFolder, path: str, number: int, complete: Any) -> Record:
        return _record(value, folder, path, number, complete)

    return Item(make, value)


def _record(
    value: dict[str, Any], folder: ScrapeFolder, path: str, number: int, complete: Any
) -> Record:
    post_id = value.get("id")
    node = describe(PLATFORM, "post", post_id)
    person = value.get("authorMeta")
    author = _author_node(person)
    tags = _tags(value)
    title, created = as_text(value.get("text")), parse_time(value.get("createTime"))
    views = as_count(value.get("playCount"))
    said = Observation(
        node, PLATFORM, False, title, views, created, author, _post_columns(value, tags)
    )
    medium, links = _video(value, folder, path)
    shown = Observation(
        medium, PLATFORM, True, title, views, created, author, _media_columns(value)
    )
    own = [Link(author, node, "authored"), *_alias(author, person)] if author else []
    links = [*own, Link(node, medium, "contains", 0), *links]
    links += [Link(describe(PLATFORM, "tag", tag.lower()), node, "tagged") for tag in tags]
    links += [Link(node, other, "mentioned") for other in _mentions(value)]
    about = (said, *_author(person, author), shown)
    return Record(path, number, node, about, tuple(links), complete)


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


def _video(value: dict[str, Any], folder: ScrapeFolder, path: str) -> tuple[Any, tuple[Link, ...]]:
    """Return the node of the video and the edges to its other files."""
    post_id, created = as_text(value.get("id")) or "", as_text(value.get("createTime"))
    addresses = (value.get("videoUrlNoWaterMark"), value.get("videoUrl"))
    covers = (dig(value, "covers", name) for name in ("origin", "default", "dynamic"))
    # The scraper itself writes TIME_ID.mp4, or ID.mp4 when it is told to.
    stems = [post_id, *([f"{created}_{post_id}"] if created else [])]
    found = media_node(
        folder,
        path,
        describe(PLATFORM, "media", post_id),
        [url for address in addresses if (url := as_text(address))],
        [url for cover in covers if (url := as_text(cover))],
        [stem for stem in stems if "/" not in stem],
        is_video=True,
    )
    return found.node, found.links


def _author_node(person: Any) -> str | None:
    user_id, name = as_text(dig(person, "id")), as_text(dig(person, "name"))
    if user_id:
        return describe(PLATFORM, "user", user_id)
    return describe(PLATFORM, "username", name.lower()) if name else None


def _author(person: Any, node: str | None) -> Iterator[Observation]:
    if node is None:
        return
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
    yield Observation(node, PLATFORM, False, title, author=node, meta=meta)


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


def _is_printed(folder: ScrapeFolder, path: str) -> bool:
    with folder.open(path) as file:
        head = file.read(64 << 10)
    return b"authorMeta" in head and b"videoUrl" in head


def _parse(folder: ScrapeFolder, path: str) -> Iterator[Document]:
    if not path.lower().endswith(".json5"):
        yield from documents(folder, path)
        return
    try:
        yield Document(None, _parse_printed(folder.read_text(path, JSON5_BYTES_MAX)))
    except RecordError as error:
        yield Document(None, error)


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


ADAPTERS = (TiktokScraper(),)
