"""Channels, playlists and comments: it owns what the API says of each."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, dig, first, mappings, text_of_html
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft
from adapters.sources.youtube_data.video import observe_channel, unescaped

REPLIES_MAX = 5_000


def read_channel(draft: Draft, value: Any) -> None:
    """Read a channel, or a search result that found one."""
    channel = as_object(value, "the channel")
    identity = channel.get("id")
    snippet = channel["snippet"] if isinstance(channel.get("snippet"), dict) else {}
    if isinstance(identity, dict):
        identity, snippet = identity.get("channelId"), unescaped(snippet)
    node = describe("youtube", "channel", identity)
    numbers = channel["statistics"] if isinstance(channel.get("statistics"), dict) else {}
    # A hidden number of subscribers is written as 0.
    is_hidden = numbers.get("hiddenSubscriberCount") is True
    meta = {
        "site": "youtube",
        "channel_id": as_text(identity),
        "webpage_url": f"https://www.youtube.com/channel/{identity}",
        "follower_count": None if is_hidden else as_count(numbers.get("subscriberCount")),
        "video_count": as_count(numbers.get("videoCount")),
        "comment_count": as_count(numbers.get("commentCount")),
        "privacy": as_text(dig(channel, "status", "privacyStatus")),
    }
    draft.observe(
        node,
        title=as_text(first(snippet.get("title"), snippet.get("channelTitle"))),
        view=as_count(numbers.get("viewCount")),
        update_time=parse_time(snippet.get("publishedAt")),
        meta=meta,
    )
    draft.link(node, username("youtube", snippet.get("customUrl")), "alias")
    uploads = dig(channel, "contentDetails", "relatedPlaylists", "uploads")
    draft.link(node, reference("youtube", "playlist", uploads), "authored")
    draft.subject = node


def read_playlist(draft: Draft, value: Any) -> None:
    """Read a playlist, or a search result that found one."""
    playlist = as_object(value, "the playlist")
    identity = playlist.get("id")
    snippet = playlist["snippet"] if isinstance(playlist.get("snippet"), dict) else {}
    if isinstance(identity, dict):
        identity, snippet = identity.get("playlistId"), unescaped(snippet)
    node = describe("youtube", "playlist", identity)
    owner = observe_channel(draft, snippet.get("channelId"), snippet.get("channelTitle"))
    draft.link(owner, node, "authored")
    draft.observe(
        node,
        title=as_text(snippet.get("title")),
        update_time=parse_time(snippet.get("publishedAt")),
        author=owner,
        meta={
            "site": "youtube",
            "channel_id": as_text(snippet.get("channelId")),
            "video_count": as_count(dig(playlist, "contentDetails", "itemCount")),
            "privacy": as_text(dig(playlist, "status", "privacyStatus")),
            "webpage_url": f"https://www.youtube.com/playlist?list={identity}",
        },
    )
    draft.subject = node


def read_thread(draft: Draft, value: Any) -> None:
    """Read a comment with those of its answers that came along."""
    thread = as_object(value, "the comment thread")
    snippet = thread["snippet"] if isinstance(thread.get("snippet"), dict) else {}
    top = snippet.get("topLevelComment")
    if not isinstance(top, dict):
        raise RecordError("the comment thread has no topLevelComment")
    video = first(snippet.get("videoId"), dig(top, "snippet", "videoId"))
    node = _comment(draft, top, video, as_count(snippet.get("totalReplyCount")))
    for reply in list(mappings(dig(thread, "replies", "comments")))[:REPLIES_MAX]:
        answer = _comment(draft, reply, None, None)
        draft.link(node, answer, "reply")
    draft.subject = node


def read_comment(draft: Draft, value: Any) -> None:
    """Read a comment, or an answer to one (`parentId`)."""
    comment = as_object(value, "the comment")
    draft.subject = _comment(draft, comment, dig(comment, "snippet", "videoId"), None)


def _comment(draft: Draft, comment: dict[str, Any], video: Any, replies: int | None) -> str:
    node = describe("youtube", "comment", comment.get("id"))
    snippet = comment["snippet"] if isinstance(comment.get("snippet"), dict) else {}
    name = snippet.get("authorDisplayName")
    author = observe_channel(draft, dig(snippet, "authorChannelId", "value"), name)
    author = author or username("youtube", name)
    parent = reference("youtube", "comment", snippet.get("parentId"))
    draft.link(parent or reference("youtube", "post", video), node, "reply")
    draft.link(author, node, "authored")
    text = as_text(snippet.get("textOriginal")) or text_of_html(snippet.get("textDisplay"))
    draft.observe(
        node,
        title=text,
        update_time=parse_time(first(snippet.get("publishedAt"), snippet.get("updatedAt"))),
        author=author,
        meta={
            "site": "youtube",
            "video_id": as_text(video),
            "like_count": as_count(snippet.get("likeCount")),
            "comment_count": replies,
        },
    )
    return node
