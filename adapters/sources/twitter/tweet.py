"""Twitter as a table: what a tweet, an account and a medium are in every format of it.

The formats (v1.py, activity.py, v2.py, graphql.py, archive.py, sidecar.py) only give these fields,
so that the same tweet gives the same nodes, edges and columns, whoever delivered it. A retweet has
no media, tags or quote of its own: they belong to the original, to which it is tied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import extension_of
from adapters.records.values import as_count, as_id, as_text, first, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers
from adapters.sources.reading.adapter import Found, Part, Rule
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import IMAGE_EXTENSIONS
from adapters.sources.shapes import reader

_STATUS_ADDRESS = re.compile(
    r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/[^?#]*/?status(?:es)?/(\d+)", re.IGNORECASE
)
PAGE_LENGTH_MAX = 2_000


def _tail(value: Any) -> Any:
    # The id behind a number for the kind of medium, or behind the name of an activity.
    text = as_text(value) or ""
    return as_id(text.rpartition("_")[2].rpartition(":")[2])


add_readers(tail=_tail)
TWITTER = source(
    "twitter",
    "Twitter / X",
    """
    post:
    post_id text = id # Id of the tweet
    conversation_id text = conversation_id # Id of the first tweet of its conversation
    language text = language # Language code
    favorite_count bigint = favorite_count # Likes
    retweet_count bigint = retweet_count # Retweets
    reply_count bigint = reply_count # Replies
    quote_count bigint = quote_count # Quotes
    bookmark_count bigint = bookmark_count # Bookmarks
    hashtags text[] = hashtags # Hashtags without #
    is_sensitive boolean = is_sensitive # Marked as possibly sensitive
    client text = client # Program that posted it
    url text = https://x.com/{author[0].name}/status/{id}|https://x.com/i/status/{id} \
        # Address of the tweet
    place_name text = place_name # Place it is tagged with
    latitude double precision = latitude # Latitude of the place in degrees
    longitude double precision = longitude # Longitude of the place in degrees
    medium:
    post_id = post_id|^.repost_of|^.id
    media_id text = id # Id of the medium, on rows of media
    media_type text = type # photo, video or animated_gif, on rows of media
    media_url text = urls[0] # Address of the medium
    alt_text text = alt_text # Description of the medium by its author
    width bigint = width # Width of the medium in pixels
    height bigint = height # Height of the medium in pixels
    duration_ms bigint = duration_ms # Length of the video
    user:
    user_id text = id # Id, on rows of users
    user_name text = name # Screen name without @, on rows of users
    display_name text = display_name # Shown name, on rows of users
    follower_count bigint = follower_count # Followers, on rows of users
    following_count bigint = following_count # Followed accounts, on rows of users
    post_count bigint = post_count # Tweets, on rows of users
    bio text = bio # What an account says about itself, on rows of users
    is_verified boolean = is_verified # Verified, on rows of users
    joined_time timestamptz = joined # When the account was made, on rows of users
    home text = home # Where an account says to be, on rows of users
    """,
    version=2,
)
USER = Person(
    id="id",
    name="name",
    title="display_name|name",
    time="created",
    is_own_author=True,
    unless_only="user_id",
)
MEDIUM = Medium(
    id="id",
    at="media",
    title="title",
    view="view_count",
    time="created",
    author=replace(USER, at="author"),
    urls="urls,names",
    thumbs="thumbs",
    stems="key,id,stem",
    container="repost_of",
    is_network=True,
    is_video="is_moving",
)
TWEET = Node(
    "post",
    id="id",
    title="text",
    view="view_count",
    time="created",
    author=replace(USER, at="author"),
    tags="hashtags",
    media=(MEDIUM,),
    edges=(
        Edge("reply", "post", "reply_to"),
        Edge("repost", "post", "repost_of"),
        Edge("quote", "post", "quote_of"),
        Edge("conversation", "conversation", "conversation_id"),
        Edge("mentioned", Person(id="id", name="name", section="mention"), "mentions"),
        Edge("linked", "web:page", "pages"),
        Edge("", Node("post", id="older", section="version",
                      edges=(Edge("revision", "post", "newer", True),)), "revisions"),
    ),
)  # fmt: skip
LONE = Node("post", id="", media=(replace(MEDIUM, container="post_id", position="place"),))
RULES = Rules(TWITTER, "twitter", {"tweet": TWEET, "user": USER, "medium": LONE})
TABLES = (TWITTER.table,)


def fields_of_tweet(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a tweet with what follows from its fields: names of files, pages and revisions."""
    owner = first(fields.get("repost_of"), fields.get("id"))
    media = {one["id"]: one for one in mappings(fields.get("media")) if one.get("id")}
    versions = list(dict.fromkeys(fields.get("versions", ())))
    return fields | {
        "media": [_with_names(one, owner, n) for n, one in enumerate(media.values(), 1)],
        "pages": [page for page in fields.get("pages", ()) if is_page(page)],
        "revisions": [{"older": older, "newer": newer} for older, newer in pairwise(versions)],
    }


def _with_names(medium: dict[str, Any], owner: Any, number: int | None) -> dict[str, Any]:
    # The downloadable archive puts the id of the tweet before the name.
    bases = [url.partition("?")[0].rpartition("/")[2] for url in medium.get("urls", ())]
    return medium | {
        "names": [f"{owner}-{base}" for base in bases if base and owner],
        "stem": f"{owner}_{number}" if number and owner else None,
        "is_moving": True if medium.get("type") != "photo" else None,
    }


def is_page(url: Any) -> bool:
    """Tell whether an address leads to a page that is neither a tweet nor its media."""
    text = as_text(url)
    is_web = bool(text) and text.lower().startswith(("http://", "https://"))
    return is_web and status_in(text) is None and len(text or "") < PAGE_LENGTH_MAX


def status_in(url: Any) -> str | None:
    """Return the id of the tweet that an address leads to."""
    found = _STATUS_ADDRESS.match(url) if isinstance(url, str) else None
    return found.group(1) if found else None


# ---- Records -----------------------------------------------------------------------------------


def tweet_item(fields: dict[str, Any], raw: Any, is_inner: bool = False) -> Found:
    """Return the part of a tweet, or the RecordError of one without an id."""
    if not fields.get("id"):
        return RecordError("the tweet has no usable id; expected digits in id_str or id")
    return Part(reader(RULES, "tweet"), fields_of_tweet(fields), raw, is_inner)


def user_item(fields: dict[str, Any], raw: Any, is_inner: bool = False) -> Part:
    """Return the part of an account."""
    return Part(reader(RULES, "user"), fields, raw, is_inner)


def medium_item(fields: dict[str, Any], raw: Any, is_inner: bool = False) -> Found:
    """Return the part of a medium outside of a tweet, whose id is its `post_id` if it is known."""
    if not fields.get("id"):
        return RecordError("the medium has no usable id; expected digits in id_str or id")
    owner = fields.get("post_id")
    fields = {"post_id": owner, "media": [_with_names(fields, owner, None)]}
    return Part(_read_lone_medium, fields, raw, is_inner)


def _read_lone_medium(draft: Draft, fields: Any) -> None:
    RULES.read_any(draft, "medium", fields)


read_tweet: Rule = reader(RULES, "tweet")


# ---- Parts that several formats have in common -------------------------------------------------


def best_first(variants: Any, rate: str) -> list[str]:
    """Return the addresses of the encodings of a video, the best first, playlists left out."""
    rated = list(_rated(mappings(variants), rate))
    return list(dict.fromkeys(url for _, url in sorted(rated, key=lambda pair: -pair[0])))


def _rated(variants: Iterator[Mapping[str, Any]], rate: str) -> Iterator[tuple[int, str]]:
    for variant in variants:
        url = as_text(variant.get("url"))
        if url and str(variant.get("content_type", "video/mp4")).startswith("video/"):
            yield as_count(variant.get(rate)) or 0, url


def is_picture(url: str) -> bool:
    """Tell whether an address leads to a picture."""
    return extension_of(url.partition("?")[0]) in IMAGE_EXTENSIONS or "format=" in url
