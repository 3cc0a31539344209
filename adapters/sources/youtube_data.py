"""YouTube Data API v3: videos, channels, playlists, comments and captions.

A resource names its `kind`; where `fields=` of the request left it out, its parts and the form of
its id tell. A search result or a playlist item is about the video, not about itself; the time of a
playlist item is when it was put there, so it is no time of the video. Page tokens and `pageInfo`
are no records.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers
from adapters.sources.reading.adapter import DocumentAdapter, Part, as_object, parts_of
from adapters.sources.reading.documents import Document
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
REPLIES_MAX = 5_000
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def duration_s(value: Any) -> float | None:
    """Return the seconds of an ISO 8601 duration such as PT4M13S; 0 means unknown."""
    text = as_text(value, 60)
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        return None
    parts = [float(part or 0) for part in found.groups()]
    units = (604_800, 86_400, 3_600, 60, 1)
    return sum(part * unit for part, unit in zip(parts, units, strict=True)) or None


add_readers(
    iso_duration=duration_s,
    youtube_category=lambda value: CATEGORIES.get(as_text(value) or "", as_text(value)),
    youtube_live=lambda value: LIVE.get(as_text(value) or "", as_text(value)),
    youtube_age=lambda value: 18 if value == "ytAgeRestricted" else None,
    youtube_title=lambda value: None if as_text(value) in PLACEHOLDERS else value,
)
VIDEO_SITE = source(
    "video_site",
    "Video and audio sites as yt-dlp and the YouTube API describe them",
    """
    video:
    site text = 'youtube' # Extractor or platform, such as youtube
    video_id text = id # Id there
    channel_id text = snippet.channelId # Id of the channel
    duration_s double precision = contentDetails.duration:iso_duration # Length
    like_count bigint = statistics.likeCount # Likes
    dislike_count bigint = statistics.dislikeCount # Dislikes, where still shown
    comment_count bigint = statistics.commentCount # Comments
    repost_count bigint # Reposts
    categories text[] = snippet.categoryId:youtube_category # Categories
    tags text[] = snippet.tags # Tags
    language text = snippet.defaultAudioLanguage|snippet.defaultLanguage # Language code
    license text = status.license # Licence
    age_limit bigint = contentDetails.contentRating.ytRating:youtube_age # Least age in years
    live_status text = snippet.liveBroadcastContent:youtube_live # Whether it is or was live
    width bigint # Width in pixels
    height bigint # Height in pixels
    frame_rate double precision # Frames per second
    webpage_url text = https://www.youtube.com/watch?v={id} # Address of its page
    privacy text = status.privacyStatus # public, unlisted ...
    text text = snippet.description:body # Description
    thumbnail_url text = snippet.thumbnails.maxres.url|snippet.thumbnails.high.url \
        |snippet.thumbnails.default.url # Address of the preview
    artist text # Who plays or sings it
    album text # Album of a piece of music
    track text # Name of a piece of music
    series text # Series that it is an episode of
    season_number bigint # Number of the season
    episode_number bigint # Number of the episode
    release_time timestamptz # When it came out, where that is not when it was published here
    location text # Place
    medium:
    site video_id channel_id duration_s webpage_url
    item:
    site video_id webpage_url privacy
    channel:
    site
    channel_id = id
    comment_count
    webpage_url = https://www.youtube.com/channel/{id}
    privacy text thumbnail_url
    follower_count bigint = subscribers # Followers, on rows of channels
    video_count bigint = statistics.videoCount # Videos, on rows of channels and playlists
    owner:
    site
    channel_id = id
    playlist:
    site channel_id privacy text thumbnail_url
    webpage_url = https://www.youtube.com/playlist?list={id}
    video_count = contentDetails.itemCount
    comment:
    site
    video_id = video
    like_count = snippet.likeCount
    comment_count = reply_count
    caption:
    site
    video_id = snippet.videoId
    language = snippet.language
    """,
    version=2,
)
OWNER = Person(kind="channel", id="id", title="title", at="owner", section="owner")
FILE = Medium(id="id", stems="id")
VIDEO = Node(
    "post",
    id="id",
    section="video",
    title="snippet.title|snippet.description",
    view="statistics.viewCount",
    time="snippet.publishedAt",
    author=OWNER,
    tags="snippet.tags",
    media=(FILE,),
)
_PLACE = Node("playlist", id="id", section="named", author=OWNER, unless_only="author")
ITEM = Node(
    "post",
    id="id",
    section="item",
    title="snippet.title:youtube_title",
    time="contentDetails.videoPublishedAt",
    author=OWNER,
    edges=(Edge("member", _PLACE, "playlist", position="position"),),
)  # fmt: skip
CHANNEL = Node(
    "channel",
    id="id",
    title="snippet.title|snippet.channelTitle",
    view="statistics.viewCount",
    time="snippet.publishedAt",
    edges=(
        Edge("alias", "username", "snippet.customUrl:lower"),
        Edge("authored", "playlist", "contentDetails.relatedPlaylists.uploads", is_parent=True),
    ),
)
PLAYLIST = Node(
    "playlist", id="id", title="snippet.title", time="snippet.publishedAt", author=OWNER
)
COMMENT = Node(
    "comment",
    id="id",
    title="snippet.textOriginal|snippet.textDisplay:html",
    time="snippet.publishedAt|snippet.updatedAt",
    author=Person(
        kind="channel",
        id="id",
        name="name",
        title="title",
        at="owner",
        section="owner",
        unless_only="site",
    ),
    edges=(Edge("reply", "comment", "snippet.parentId"), Edge("reply", "post", "on_video")),
)
_REPLIES = Edge("reply", COMMENT, "replies", is_parent=True, count_max=REPLIES_MAX)
THREAD = replace(COMMENT, edges=(*COMMENT.edges, _REPLIES))
CAPTION = Node(
    "caption",
    id="id",
    title="snippet.name",
    time="snippet.lastUpdated",
    edges=(Edge("attachment", "post", "snippet.videoId", is_parent=False),),
)


# ---- Fields ------------------------------------------------------------------------------------


def _found(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what reads a resource, also where a search result only found it."""

    def fields(value: dict[str, Any]) -> dict[str, Any]:
        snippet = _snippet(value)
        if isinstance(identity := value.get("id"), dict):
            # The texts of a search result come with HTML entities.
            snippet = {k: unescape(v) if isinstance(v, str) else v for k, v in snippet.items()}
            value = value | {"id": identity.get(name)}
        owner = {"id": snippet.get("channelId"), "title": snippet.get("channelTitle")}
        numbers = value.get("statistics")
        # A hidden number of subscribers is written as 0.
        is_hidden = dig(numbers, "hiddenSubscriberCount") is True
        count = None if is_hidden else dig(numbers, "subscriberCount")
        return value | {"snippet": snippet, "owner": [owner], "subscribers": count}

    return fields


def _snippet(value: dict[str, Any]) -> dict[str, Any]:
    return value["snippet"] if isinstance(value.get("snippet"), dict) else {}


def _item(value: dict[str, Any]) -> dict[str, Any]:
    """Return the place of a video in a playlist; its own id is never the video's."""
    snippet = _snippet(value)
    video = first(dig(value, "contentDetails", "videoId"), dig(snippet, "resourceId", "videoId"))
    if video is None:
        raise RecordError("the playlist item names no video (contentDetails.videoId)")
    collector = {"id": snippet.get("channelId"), "title": snippet.get("channelTitle")}
    author = {k: snippet.get(f"videoOwnerChannel{k.title()}") for k in ("id", "title")}
    position = snippet.get("position")
    place = {"id": snippet.get("playlistId"), "owner": [collector], "position": position}
    return value | {"id": video, "owner": [author], "playlist": [place]}


def _comment(value: dict[str, Any]) -> dict[str, Any]:
    snippet = _snippet(value)
    identity, name = dig(snippet, "authorChannelId", "value"), snippet.get("authorDisplayName")
    is_known = bool(reference("youtube", "channel", identity))
    owner = {"id": identity, "title": name} if is_known else {"name": name}
    video = snippet.get("videoId")
    on_video = None if snippet.get("parentId") else video
    return value | {"owner": [owner], "video": video, "on_video": on_video}


def _thread(value: dict[str, Any]) -> dict[str, Any]:
    """Return a comment with those of its answers that came along."""
    snippet = _snippet(value)
    top = snippet.get("topLevelComment")
    if not isinstance(top, dict):
        raise RecordError("the comment thread has no topLevelComment")
    fields = _comment(top)
    video = first(snippet.get("videoId"), fields["video"])
    fields |= {"video": video, "on_video": video if fields["on_video"] == fields["video"] else None}
    replies = [_comment(reply) for reply in mappings(dig(value, "replies", "comments"))]
    silent = [reply | {"video": None, "on_video": None} for reply in replies]
    return fields | {"reply_count": snippet.get("totalReplyCount"), "replies": silent}


RULES = Rules(
    VIDEO_SITE,
    "youtube",
    {"video": VIDEO, "channel": CHANNEL, "playlist": PLAYLIST, "playlistItem": ITEM,
     "commentThread": THREAD, "comment": COMMENT, "caption": CAPTION},
    {"video": _found("videoId"), "channel": _found("channelId"), "playlist": _found("playlistId"),
     "playlistItem": _item, "commentThread": _thread, "comment": _comment},
)  # fmt: skip


# ---- Resources ---------------------------------------------------------------------------------

_FORMS = (
    ("video", re.compile(r"[\w-]{11}")),
    ("channel", re.compile(r"UC[\w-]{22}")),
    ("playlist", re.compile(r"(?:PL|UU|LL|FL|OL|RD)[\w-]{9,}")),
)
_PARTS = {"snippet", "statistics", "contentDetails", "status"}


def split(document: Document) -> list[Part] | None:
    """Return the resources of a response."""
    value = document.value
    if isinstance(value, list):
        known = any(map(_kind, value))
        return parts_of(_resource, value) if known else None
    if not isinstance(value, dict):
        return None
    if isinstance(error := value.get("error"), dict) and "message" in error:
        code, message = as_text(error.get("code")), as_text(error["message"])
        raise RecordError(f"YouTube answered with an error {code or '?'}: {message}")
    if isinstance(items := value.get("items"), list):
        is_list = str(value.get("kind")).startswith("youtube#") or any(map(_kind, items))
        return parts_of(_resource, items) if is_list else None
    return [Part(_resource, value)] if _kind(value) else None


def _kind(value: Any) -> str | None:
    """Return the kind of a resource without `youtube#`; of a search result that which it found."""
    if not isinstance(value, dict):
        return None
    named = [as_text(value.get("kind")), as_text(dig(value, "id", "kind"))]
    kinds = [kind.removeprefix("youtube#") for kind in named if kind]
    if kinds and kinds[0] != "searchResult" and str(value.get("kind")).startswith("youtube#"):
        return kinds[0]
    if len(kinds) == 2 or (kinds and isinstance(value.get("id"), dict)):
        return kinds[-1]
    return _kind_by_form(value) if _PARTS & value.keys() else None


def _kind_by_form(value: dict[str, Any]) -> str | None:
    snippet = value["snippet"] if isinstance(value.get("snippet"), dict) else {}
    for field, kind in (
        ("topLevelComment", "commentThread"),
        ("resourceId", "playlistItem"),
        ("textDisplay", "comment"),
        ("trackKind", "caption"),
    ):
        if field in snippet:
            return kind
    identity = value.get("id")
    if not isinstance(identity, str):
        return None
    return next((kind for kind, form in _FORMS if form.fullmatch(identity)), None)


def _resource(draft: Draft, value: Any) -> None:
    kind = _kind(value)
    if kind is None or kind not in RULES.nodes:
        raise RecordError(
            f"no known kind of resource: {str(kind)[:80]}; read are {', '.join(RULES.nodes)}"
        )
    RULES.read(draft, kind, as_object(value, f"the {kind}"))


ADAPTERS = (
    DocumentAdapter(
        name="youtube-data",
        tables=(VIDEO_SITE.table,),
        split=split,
        expected="no known response of the YouTube Data API: lists of "
        + ", ".join(RULES.nodes)
        + " and search results are read",
    ),
)
