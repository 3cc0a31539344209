"""TikTok's own objects, as TikTok-Api and other tools write them: one an item of its web pages.

They become the fields of tiktok-scraper, whose table reads them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_id, dig, mappings
from adapters.sources.columns import recast
from adapters.sources.model import Medium, Rules
from adapters.sources.shapes import adapter, shape
from adapters.sources.tiktok_scraper import POST, TIKTOK

PICTURES = replace(
    POST, media=(Medium(id="key", at="pictures", urls="urls", stems="key", position="number"),)
)
_FIELDS = recast(
    """
    id = id
    text = desc
    createTime = createTime
    playCount = stats.playCount|statsV2.playCount
    diggCount = stats.diggCount|statsV2.diggCount
    shareCount = stats.shareCount|statsV2.shareCount
    commentCount = stats.commentCount|statsV2.commentCount
    hashtags = challenges > tag
    hashtags = textExtra > named
    mentions[] = textExtra[].userUniqueId
    videoUrl = video.playAddr:string|video.downloadAddr:string
    videoMeta = . > video
    musicMeta = music > music
    covers = video > covers
    """,
    tag=recast("name = title"),
    named=recast("name = hashtagName"),
    video=recast("width = video.width\nheight = video.height\nduration = video.duration"),
    music=recast("""
    musicId = id
    musicName = title
    musicAuthor = authorName
    musicOriginal = original
    """),
    covers=recast("origin = originCover\ndefault = cover\ndynamic = dynamicCover"),
)
_PERSON = recast("""
    id = id
    name = uniqueId
    nickName = nickname
    verified = verified
    signature = signature
    fans = followerCount
    following = followingCount
    heart = heartCount
    video = videoCount
    """)


def _fields(item: dict[str, Any]) -> dict[str, Any]:
    fields = _FIELDS(item)
    author, stats = item.get("author"), item.get("authorStats")
    if isinstance(author, str):
        author = {"uniqueId": author}
    if isinstance(author, dict):
        counts = stats if isinstance(stats, dict) else {}
        fields["authorMeta"] = _PERSON(counts | author)
    for name in ("videoMeta", "musicMeta", "covers"):
        if name in fields:
            fields[name] = fields[name][0]
    return fields


def _fields_of_pictures(item: dict[str, Any]) -> dict[str, Any]:
    fields, post_id = _fields(item), as_id(item.get("id"))
    shown = mappings(dig(item, "imagePost", "images"))
    fields["pictures"] = [
        _picture(one, post_id, number) for number, one in enumerate(shown, 1) if post_id
    ]
    return fields


def _picture(one: dict[str, Any], post_id: str | None, number: int) -> dict[str, Any]:
    urls = dig(one, "imageURL", "urlList")
    size = {"width": one.get("imageWidth"), "height": one.get("imageHeight")}
    return {
        "id": post_id,
        "key": f"{post_id}_{number}",
        "number": number - 1,
        "urls": urls,
        "videoUrl": next(iter(urls), None) if isinstance(urls, list) else None,
        "videoMeta": size,
    }


ADAPTERS = (
    adapter(
        "tiktok-api",
        Rules(
            TIKTOK,
            "tiktok",
            {"post": POST, "pictures": PICTURES},
            {"post": _fields, "pictures": _fields_of_pictures},
        ),
        (
            shape("pictures", "id desc createTime imagePost", "author stats statsV2 music"),
            shape("post", "id desc createTime", "author stats statsV2 music video", at_least=3),
        ),
        "expected items of TikTok (id, desc, createTime, author, stats)",
        holders="itemList items itemInfo itemStruct",
    ),
)
