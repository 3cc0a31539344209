"""Videos, and the places that only name them: it owns what the API says of each.

A search result or a playlist item is about the video, not about itself. The time of a playlist item
is when it was put there, so it is no time of the video.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.items import NodeReference
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft

CATEGORIES = {
    "1": "Film & Animation", "2": "Autos & Vehicles", "10": "Music", "15": "Pets & Animals",
    "17": "Sports", "19": "Travel & Events", "20": "Gaming", "22": "People & Blogs",
    "23": "Comedy", "24": "Entertainment", "25": "News & Politics", "26": "Howto & Style",
    "27": "Education", "28": "Science & Technology", "29": "Nonprofits & Activism",
}  # fmt: skip
LIVE = {"none": "not_live", "live": "is_live", "upcoming": "is_upcoming"}
# What stands in lists for a video that is gone is not its title.
PLACEHOLDERS = frozenset(("Private video", "Deleted video"))
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def read_video(draft: Draft, value: Any) -> None:
    """Read a video, or a search result that found one."""
    video = as_object(value, "the video")
    identity = video.get("id")
    identity = dig(identity, "videoId") if isinstance(identity, dict) else identity
    snippet = video["snippet"] if isinstance(video.get("snippet"), dict) else {}
    if isinstance(video.get("id"), dict):
        snippet = unescaped(snippet)
    channel = observe_channel(draft, snippet.get("channelId"), snippet.get("channelTitle"))
    title = as_text(snippet.get("title")) or as_text(snippet.get("description"))
    time = parse_time(snippet.get("publishedAt"))
    view = as_count(dig(video, "statistics", "viewCount"))
    post = describe("youtube", "post", identity)
    meta = _meta(video, snippet, str(identity))
    draft.observe(post, title=title, view=view, update_time=time, author=channel, meta=meta)
    draft.link(channel, post, "authored")
    draft.tag("youtube", meta["tags"], post)
    medium = contain_video(draft, post, str(identity))
    if medium is not None:
        names = ("site", "video_id", "channel_id", "duration_s", "webpage_url")
        about = {name: meta[name] for name in names}
        draft.observe(
            medium, is_root=True, title=title, update_time=time, author=channel, meta=about
        )
    draft.subject = post


def unescaped(snippet: dict[str, Any]) -> dict[str, Any]:
    """Return a snippet of a search result, whose texts come with HTML entities, as it was meant."""
    return {k: unescape(v) if isinstance(v, str) else v for k, v in snippet.items()}


def _meta(video: dict[str, Any], snippet: dict[str, Any], identity: str) -> dict[str, Any]:
    numbers = video.get("statistics")
    category = as_text(snippet.get("categoryId"))
    live = as_text(snippet.get("liveBroadcastContent"))
    language = first(snippet.get("defaultAudioLanguage"), snippet.get("defaultLanguage"))
    is_for_adults = dig(video, "contentDetails", "contentRating", "ytRating") == "ytAgeRestricted"
    return {
        "site": "youtube",
        "video_id": identity,
        "channel_id": as_text(snippet.get("channelId")),
        "duration_s": duration_s(dig(video, "contentDetails", "duration")),
        "like_count": as_count(dig(numbers, "likeCount")),
        "dislike_count": as_count(dig(numbers, "dislikeCount")),
        "comment_count": as_count(dig(numbers, "commentCount")),
        "categories": [CATEGORIES.get(category, category)] if category else None,
        "tags": as_texts(snippet.get("tags")),
        "language": as_text(language),
        "license": as_text(dig(video, "status", "license")),
        "age_limit": 18 if is_for_adults else None,
        "live_status": LIVE.get(live, live) if live else None,
        "webpage_url": f"https://www.youtube.com/watch?v={identity}",
        "privacy": as_text(dig(video, "status", "privacyStatus")),
    }


def contain_video(draft: Draft, post: str, identity: str) -> NodeReference | None:
    """Tie a video's page to its file (`<id>.<ext>` or `... [<id>].<ext>`) or virtual medium."""
    file = draft.media.by_stem(identity, draft.path)
    return draft.contain(post, file, reference("youtube", "media", identity))


def observe_channel(draft: Draft, identity: Any, title: Any) -> str | None:
    """Add the channel that something is of; None without an id."""
    node = reference("youtube", "channel", identity)
    if node:
        meta = {"site": "youtube", "channel_id": as_text(identity)}
        draft.observe(node, title=as_text(title), meta=meta)
    return node


def duration_s(value: Any) -> float | None:
    """Return the seconds of an ISO 8601 duration such as PT4M13S; 0 means unknown."""
    text = as_text(value, 60)
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        return None
    parts = [float(part or 0) for part in found.groups()]
    units = (604_800, 86_400, 3_600, 60, 1)
    return sum(part * unit for part, unit in zip(parts, units, strict=True)) or None


def read_playlist_item(draft: Draft, value: Any) -> None:
    """Read the place of a video in a playlist; its own id is never the video's."""
    item = as_object(value, "the playlist item")
    snippet = item["snippet"] if isinstance(item.get("snippet"), dict) else {}
    video = first(dig(item, "contentDetails", "videoId"), dig(snippet, "resourceId", "videoId"))
    if video is None:
        raise RecordError("the playlist item names no video (contentDetails.videoId)")
    post = describe("youtube", "post", video)
    playlist = reference("youtube", "playlist", snippet.get("playlistId"))
    owner = observe_channel(draft, snippet.get("channelId"), snippet.get("channelTitle"))
    author = observe_channel(
        draft, snippet.get("videoOwnerChannelId"), snippet.get("videoOwnerChannelTitle")
    )
    position = as_count(snippet.get("position"))
    draft.link(playlist, post, "member", position if (position or 0) < 2**31 else None)
    draft.link(owner, playlist, "authored")
    draft.link(author, post, "authored")
    title = as_text(snippet.get("title"))
    draft.observe(
        post,
        title=None if title in PLACEHOLDERS else title,
        update_time=parse_time(dig(item, "contentDetails", "videoPublishedAt")),
        author=author,
        meta={"site": "youtube", "video_id": as_text(video),
              "webpage_url": f"https://www.youtube.com/watch?v={video}",
              "privacy": as_text(dig(item, "status", "privacyStatus"))},
    )  # fmt: skip
    draft.subject = post


def read_caption(draft: Draft, value: Any) -> None:
    """Read a caption track: a file beside the video."""
    caption = as_object(value, "the caption track")
    snippet = caption["snippet"] if isinstance(caption.get("snippet"), dict) else {}
    node = describe("youtube", "caption", caption.get("id"))
    video = as_text(snippet.get("videoId"))
    language = as_text(snippet.get("language"))
    draft.observe(
        node,
        title=as_text(snippet.get("name")),
        update_time=parse_time(snippet.get("lastUpdated")),
        meta={"site": "youtube", "video_id": video, "language": language},
    )
    draft.link(reference("youtube", "post", video), node, "attachment")
    draft.subject = node
