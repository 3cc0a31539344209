"""Who made a video: it owns reading channel and uploader, which sites use in their own ways.

On YouTube the channel is the author. Elsewhere the uploader is, and a channel that is somebody
else is what the video is a member of; on Reddit that is the subreddit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.records.values import as_count, as_text, first
from adapters.sources.yt_dlp.site import NAMES_AS_IDS, is_channel, reference


@dataclass(frozen=True, slots=True)
class Maker:
    """The author of a video; `group` is the channel or subreddit that it appeared in."""

    node: str | None = None
    title: str | None = None
    alias: str | None = None
    channel_id: str | None = None
    follower_count: int | None = None
    group: str | None = None
    group_title: str | None = None


def maker_of(info: dict[str, Any], platform: str) -> Maker:
    """Return the author and channel of a video or playlist."""
    if platform == "youtube":
        return _of_youtube(info)
    if platform == "reddit":
        return _of_reddit(info)
    uploader_id = as_text(info.get("uploader_id"), 300)
    uploader = as_text(first(info.get("uploader"), info.get("creator"), _artist(info)), 300)
    channel_id = as_text(info.get("channel_id"), 300)
    channel = as_text(info.get("channel"), 300)
    if platform == "bluesky":
        node = reference(platform, "user", channel_id)
        alias = _name(platform, uploader_id)
        return Maker(node or alias, uploader, alias if node else None)
    names_id = platform in NAMES_AS_IDS and not (uploader_id or "").isdigit()
    identity = None if names_id else uploader_id
    if platform == "twitter" and (channel_id or "").isdigit():
        # Newer releases write the number of the account there.
        identity, channel_id = channel_id, None
    by_id = reference(platform, "user", identity)
    by_name = _name(platform, uploader_id if names_id else None) or _name(
        platform, channel if platform == "instagram" else uploader
    )
    group = reference(platform, "channel", channel_id)
    if channel_id in (None, uploader_id) or platform in ("tiktok", "instagram"):
        group = None
    followers = as_count(info.get("channel_follower_count"))
    if by_id is None and by_name is None:
        # All that is known is a channel: it made the video.
        node = reference(platform, "channel", channel_id) or _name(platform, channel)
        return Maker(node, channel, None, channel_id, followers)
    # A shown name is no name of an account; only these sites write one there.
    has_alias = platform in ("tiktok", "instagram", "twitter")
    return Maker(
        node=by_id or by_name,
        title=first(uploader, channel),
        alias=by_name if by_id and has_alias else None,
        channel_id=channel_id,
        follower_count=followers if group is None else None,
        group=group,
        group_title=channel,
    )


def _of_youtube(info: dict[str, Any]) -> Maker:
    uploader_id = as_text(info.get("uploader_id"), 300)
    channel_id = as_text(info.get("channel_id"), 300)
    if channel_id is None and is_channel(uploader_id):
        channel_id, uploader_id = uploader_id, None
    title = as_text(first(info.get("channel"), info.get("uploader")), 300)
    handle = None if is_channel(uploader_id) else _name("youtube", uploader_id)
    node = reference("youtube", "channel", channel_id)
    return Maker(
        node=node or handle or _name("youtube", title),
        title=title,
        alias=handle if node else None,
        channel_id=channel_id,
        follower_count=as_count(info.get("channel_follower_count")),
    )


def _of_reddit(info: dict[str, Any]) -> Maker:
    name = as_text(first(info.get("uploader"), info.get("uploader_id")), 100)
    subreddit = as_text(info.get("channel_id"), 100)
    return Maker(
        node=reference("reddit", "user", name.lower()) if name else None,
        title=name,
        group=reference("reddit", "subreddit", subreddit.lower()) if subreddit else None,
        group_title=subreddit,
    )


def comment_author(comment: dict[str, Any], platform: str) -> tuple[str | None, str | None]:
    """Return the node and shown name of who wrote a comment."""
    identity = as_text(comment.get("author_id"), 300)
    name = as_text(comment.get("author"), 300)
    if platform == "reddit":
        return (reference("reddit", "user", name.lower()) if name else None), name
    # Who comments on YouTube does so as a channel, as its API says as well.
    kind = "channel" if platform == "youtube" else "user"
    if platform == "youtube" and identity and identity.startswith("@"):
        return _name(platform, identity), name
    return reference(platform, kind, identity) or _name(platform, name), name


def _artist(info: dict[str, Any]) -> str | None:
    for key in ("creators", "artists"):
        value = info.get(key)
        if isinstance(value, list) and value and (name := as_text(value[0], 300)):
            return name
    return as_text(info.get("artist"), 300)


def _name(platform: str, name: str | None) -> str | None:
    return reference(platform, "username", name.lower()) if name else None
