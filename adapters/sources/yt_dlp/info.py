"""One info dict: it owns what a video, a playlist and a comment become.

A video is a post that contains its file; a playlist, or the tab of a channel, has videos as members
in its order. Entries of a playlist may be null (unavailable), flat (an address and a title) or
whole; all but the first kind become posts.
"""

from __future__ import annotations

from typing import Any

from adapters.records.errors import RecordError
from adapters.records.items import NodeReference
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_number, as_text, as_texts, dig, first, mappings
from adapters.sources.paths import BODY_LENGTH_MAX
from adapters.sources.reading.draft import Draft
from adapters.sources.yt_dlp.fields import (
    duration_of,
    identity_of,
    live_status_of,
    time_of,
    title_of,
)
from adapters.sources.yt_dlp.files import Beside
from adapters.sources.yt_dlp.people import Maker, comment_author, maker_of
from adapters.sources.yt_dlp.site import (
    POSTS_WITH_PARTS,
    extractor_of,
    is_channel,
    medium_of,
    page_of,
    platform_of,
    post_of,
    reference,
)

LISTS = frozenset(("playlist", "multi_video", "compat_list"))
DEPTH_MAX = 5
"""Playlists of playlists: the tabs of a channel, and what is on them."""
COMMENTS_MAX = 100_000
TAGS_MAX = 100


class Reading:
    """Reads a video or playlist, with all inside of it, into one draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    # ---- A video ---------------------------------------------------------------------------------

    def video(self, info: dict[str, Any], beside: Beside, platform: str) -> NodeReference:
        """Read a video and the files beside it; returns what the record is about."""
        post = post_of(info, platform)
        medium: NodeReference | None = next(iter(beside.media), None)
        medium = medium or medium_of(info, platform, post)
        subject = post or medium
        if subject is None:
            raise RecordError("the video has neither id nor address, and no file lies beside it")
        maker = maker_of(info, platform)
        if post is not None:
            self._post(info, platform, post, maker)
            self.draft.link(post, medium, "contains", 0)
        self.draft.link(maker.node, subject, "authored")
        self._maker(platform, maker, subject)
        if medium is not None:
            self._medium(info, platform, medium, maker)
            self._beside(medium, beside)
        self._comments(info, platform, post)
        return subject

    def _post(self, info: dict[str, Any], platform: str, post: str, maker: Maker) -> None:
        title, tags = title_of(info), as_texts(info.get("tags"))
        meta = {
            **identity_of(info, platform),
            "channel_id": maker.channel_id,
            "duration_s": duration_of(info),
            "like_count": as_count(info.get("like_count")),
            "dislike_count": as_count(info.get("dislike_count")),
            "comment_count": as_count(info.get("comment_count")),
            "repost_count": as_count(info.get("repost_count")),
            "categories": as_texts(first(info.get("categories"), info.get("genres"))),
            "tags": tags,
            "language": as_text(info.get("language"), 40),
            "license": as_text(info.get("license"), 300),
            "age_limit": as_count(info.get("age_limit")),
            "live_status": live_status_of(info),
            "webpage_url": page_of(info),
            "privacy": as_text(info.get("availability"), 40),
            **_work(info),
        }
        time, view = time_of(info), as_count(info.get("view_count"))
        self.draft.observe(post, meta, title=title, view=view, update_time=time, author=maker.node)
        for tag in (tags or ())[:TAGS_MAX]:
            self.draft.link(reference(platform, "tag", tag.lower().lstrip("#")), post, "tagged")
        self._membership(info, platform, post, maker)

    def _membership(self, info: dict[str, Any], platform: str, post: str, maker: Maker) -> None:
        playlist = list_of({"id": info.get("playlist_id")}, platform)
        if playlist is not None and playlist != maker.node:
            number = as_count(info.get("playlist_index"))
            position = number - 1 if number and number < 2**31 else None
            self.draft.link(playlist, post, "member", position)
            title = as_text(first(info.get("playlist_title"), info.get("playlist")))
            meta = {"site": platform, "video_count": as_count(info.get("n_entries"))}
            self.draft.observe(playlist, meta, title=title)
        series = reference(platform, "album", info.get("series_id"))
        self.draft.link(series, post, "member")
        self.draft.observe(series, {"site": platform}, title=as_text(info.get("series")))

    def _maker(self, platform: str, maker: Maker, work: NodeReference) -> None:
        if maker.node is not None:
            channel_id = maker.channel_id if maker.group is None else None
            about = {"channel_id": channel_id, "follower_count": maker.follower_count}
            self.draft.observe(maker.node, {"site": platform, **about}, title=maker.title)
            self.draft.link(maker.node, maker.alias, "alias")
        if maker.group is not None:
            self.draft.link(maker.group, work, "member")
            self.draft.observe(maker.group, {"site": platform}, title=maker.group_title)

    def _medium(
        self, info: dict[str, Any], platform: str, medium: NodeReference, maker: Maker
    ) -> None:
        meta = {
            **identity_of(info, platform),
            "duration_s": duration_of(info),
            "width": as_count(info.get("width")) or None,
            "height": as_count(info.get("height")) or None,
            "frame_rate": as_number(info.get("fps")),
            "webpage_url": page_of(info),
        }
        title, time = title_of(info), time_of(info)
        self.draft.observe(
            medium, meta, is_root=True, title=title, update_time=time, author=maker.node
        )

    def _beside(self, medium: NodeReference, beside: Beside) -> None:
        for file in beside.media[1:]:
            self.draft.link(medium, file, "variant")
        for file in beside.pictures:
            self.draft.link(medium, file, "thumbnail")
        for file in beside.others:
            self.draft.link(medium, file, "attachment")

    def _comments(self, info: dict[str, Any], platform: str, post: str | None) -> None:
        comments = list(mappings(info.get("comments")))[:COMMENTS_MAX]
        for comment in comments:
            node = reference(platform, "comment", comment.get("id"))
            if node is None:
                continue
            parent = comment.get("parent")
            answered = None if parent == "root" else reference(platform, "comment", parent)
            author, name = comment_author(comment, platform)
            self.draft.link(answered or post, node, "reply")
            self.draft.link(author, node, "authored")
            meta = {
                "site": platform,
                "video_id": as_text(info.get("id"), 300),
                "like_count": as_count(comment.get("like_count")),
            }
            text, time = as_text(comment.get("text")), parse_time(comment.get("timestamp"))
            self.draft.observe(node, meta, title=text, update_time=time, author=author)
            self.draft.observe(author, {"site": platform}, title=name)

    # ---- A playlist ------------------------------------------------------------------------------

    def playlist(
        self, info: dict[str, Any], beside: Beside, platform: str, depth: int = 0
    ) -> NodeReference:
        """Read a playlist or the tab of a channel, with its entries."""
        maker = maker_of(info, platform)
        node = list_of(info, platform)
        if node is None:
            raise RecordError("the playlist has neither id nor address")
        meta = {
            **identity_of(info, platform),
            "channel_id": maker.channel_id,
            "tags": as_texts(info.get("tags")),
            "text": as_text(info.get("description"), BODY_LENGTH_MAX),
            "privacy": as_text(info.get("availability"), 40),
            "webpage_url": page_of(info),
            "follower_count": as_count(info.get("channel_follower_count")),
            "video_count": as_count(info.get("playlist_count")),
        }
        title, view = title_of(info), as_count(info.get("view_count"))
        time = parse_time(first(info.get("modified_timestamp"), info.get("modified_date")))
        author = maker.node if maker.node != node else None
        time = time or time_of(info)
        self.draft.observe(node, meta, title=title, view=view, update_time=time, author=author)
        self.draft.link(author, node, "authored")
        self._maker(platform, maker, node)
        self._beside(node, Beside(beside.media, beside.pictures, beside.others))
        self._entries(info, platform, node, depth)
        return node

    def _entries(
        self, info: dict[str, Any], platform: str, node: NodeReference, depth: int
    ) -> None:
        entries = info["entries"] if isinstance(info.get("entries"), list) else []
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict):
                continue  # An unavailable video is null.
            its_platform = platform_of(entry, platform)
            try:
                if is_list(entry):
                    if depth >= DEPTH_MAX:
                        continue
                    child = self.playlist(entry, Beside(), its_platform, depth + 1)
                else:
                    child = self._entry(entry, its_platform)
            except RecordError:
                continue  # An entry without id says nothing that could be kept apart.
            self.draft.link(node, child, "member", position)

    def _entry(self, entry: dict[str, Any], platform: str) -> NodeReference:
        if entry.get("_type") not in ("url", "url_transparent"):
            return self.video(entry, Beside(), platform)
        # A flat entry may point at a playlist or channel as well.
        identity = entry.get("id")
        if platform == "youtube" and (is_channel(identity) or "Tab" in str(entry.get("ie_key"))):
            node = list_of(entry, platform)
            self.draft.observe(node, identity_of(entry, platform), title=title_of(entry))
        else:
            node = post_of(entry, platform)
            maker = maker_of(entry, platform)
            if node is not None:
                self._post(entry, platform, node, maker)
                self.draft.link(maker.node, node, "authored")
                self._maker(platform, maker, node)
        if node is None:
            raise RecordError("an entry without id and address")
        return node


def _work(info: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of what a video is: a song, an episode, something with a description."""
    artists = as_texts(first(info.get("artists"), info.get("creators")))
    released = first(info.get("release_timestamp"), info.get("release_date"))
    return {
        "text": as_text(info.get("description"), BODY_LENGTH_MAX),
        "thumbnail_url": as_text(info.get("thumbnail"), 3_000),
        "artist": ", ".join(artists) if artists else as_text(info.get("artist")),
        "album": as_text(info.get("album")),
        "track": as_text(info.get("track")),
        "series": as_text(info.get("series")),
        "season_number": as_count(info.get("season_number")),
        "episode_number": as_count(info.get("episode_number")),
        "release_time": parse_time(released),
        "location": as_text(info.get("location")),
    }


def is_list(info: dict[str, Any]) -> bool:
    """Tell a playlist from a video."""
    kind = info.get("_type")
    return (isinstance(kind, str) and kind in LISTS) or isinstance(info.get("entries"), list)


def is_info(value: Any) -> bool:
    """Tell whether a JSON value is an info dict of any generation."""
    if not isinstance(value, dict):
        return False
    kind = value.get("_type")
    typed = isinstance(kind, str) and (kind in LISTS or kind in ("video", "url", "url_transparent"))
    listed = any(isinstance(dig(value, "formats", 0, key), str) for key in ("format_id", "url"))
    return bool(extractor_of(value) or typed or listed)


def list_of(info: dict[str, Any], platform: str) -> str | None:
    """Return the node of a playlist; a tab of a channel is the channel itself."""
    identity = info.get("id")
    channel_id = info.get("channel_id")
    if platform in POSTS_WITH_PARTS and is_list(info):
        return post_of(info, platform)
    if platform == "youtube" and (is_channel(identity) or _is_tab(info, identity)):
        return reference(platform, "channel", identity if is_channel(identity) else channel_id)
    if platform == "web":
        return reference("web", "page", page_of(info)) or reference("web", "playlist", identity)
    return reference(platform, "playlist", identity) or reference("web", "page", page_of(info))


def _is_tab(info: dict[str, Any], identity: Any) -> bool:
    # The tab of a channel has its handle or name as id.
    names = (info.get("channel_id"), info.get("uploader_id"), info.get("channel"))
    return info.get("channel_id") is not None and identity in names
