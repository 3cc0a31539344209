"""Output of tiktok-scraper and of Apify's: posts as JSON and as what the console prints.

The console prints JavaScript object notation (JSON5) and leaves things out: `[Array]` and `...` are
read as nothing. The slow parser of JSON5 only sees small files. `headers` hold the cookie of the
person who collected and never become part of a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import json5

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import JSON_DEPTH_MAX, ScrapeFolder
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.documents import Document, documents
from adapters.sources.shapes import adapter, shape

TIKTOK = source(
    "tiktok",
    "TikTok",
    """
    post:
    post_id text = id # Id of the video
    like_count bigint = diggCount # Likes
    share_count bigint = shareCount # Shares
    comment_count bigint = commentCount # Comments
    url text = webVideoUrl|https://www.tiktok.com/@{authorMeta.name}/video/{id} # Address
    hashtags text[] = hashtags[].name # Hashtags without #
    music_id text = musicMeta.musicId # Id of the sound
    music_title text = musicMeta.musicName # Title of the sound
    music_author text = musicMeta.musicAuthor # Author of the sound
    is_music_original boolean = musicMeta.musicOriginal # The sound was made for the video
    medium:
    post_id
    media_url text = videoUrl|mediaUrls[0]|videoMeta.downloadAddr # Address of the video, expires
    width bigint = videoMeta.width # Width of the video in pixels
    height bigint = videoMeta.height # Height of the video in pixels
    duration_s double precision = videoMeta.duration # Length of the video
    user:
    user_id text = id # Id, on rows of users
    user_name text = name # Name in the address, on rows of users
    display_name text = nickName # Shown name, on rows of users
    follower_count bigint = fans # Followers, on rows of users
    following_count bigint = following # Followed accounts, on rows of users
    heart_count bigint = heart # Likes that all videos got, on rows of users
    post_count bigint = video # Videos, on rows of users
    is_verified boolean = verified # Verified, on rows of users
    bio text = signature # What an account says about itself, on rows of users
    """,
    version=2,
)
VIDEO = Medium(
    id="id",
    view="playCount",
    urls="videoUrlNoWaterMark,videoUrl,mediaUrls[],videoMeta.downloadAddr",
    thumbs="covers.origin,covers.default,covers.dynamic,videoMeta.coverUrl",
    # The scraper itself writes TIME_ID.mp4, or ID.mp4 when it is told to.
    stems="id,{createTime}_{id}",
    is_network=True,
    is_video="id",
)
POST = Node(
    "post",
    id="id",
    title="text",
    view="playCount",
    time="createTime",
    author=Person(
        id="id:text", name="name", title="nickName|name", at="authorMeta", is_own_author=True
    ),
    tags="hashtags[].name",
    media=(VIDEO,),
    edges=(Edge("mentioned", "username", "mentions[]:at:lower"),),
)
JSON5_BYTES_MAX = 256 << 10
"""About 10 s of parsing."""
JSON5_DEPTH_MAX = 40
_OMITTED = re.compile(
    r"""(?P<keep>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|//[^\n]*)"""
    r"""|\[(?:Array|Object|Circular[^\]\n]{0,20})\]|\.\.\.(?:\s*\d+\s+more\s+items?)?""",
    re.DOTALL,
)


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
    adapter(
        "tiktok-scraper",
        Rules(TIKTOK, "tiktok", {"post": POST}),
        (shape("post", "id", "authorMeta musicMeta diggCount videoUrl playCount", at_least=2),),
        "expected posts of tiktok-scraper (id, authorMeta, createTime), or its `collector`",
        holders="collector",
        markers=((b"authorMeta", b"videoUrl"),),
        parse=_parse,
    ),
)
