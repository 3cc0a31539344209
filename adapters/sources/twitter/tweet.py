"""A tweet as every format of Twitter tells it: it owns its shape and the record made of it.

The formats (v1.py, activity.py, v2.py, graphql.py, archive.py) only fill in a Tweet, so that the
same tweet gives the same nodes, edges and columns, whoever delivered it. A retweet has no media,
tags or quote of its own: they belong to the original, to which it is tied.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import extension_of
from adapters.records.items import Link, NodeReference
from adapters.records.values import as_count, as_text, text_of_html
from adapters.sources.reading.adapter import Part
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import IMAGE_EXTENSIONS
from adapters.sources.reading.medium import MediaNode, media_node
from adapters.sources.schemas.twitter import TABLE

PLATFORM = "twitter"
TABLES = (TABLE,)
ASSOCIATIONS_MAX = 100
"""The most tags, people and pages of one tweet that become nodes."""
_STATUS_ADDRESS = re.compile(
    r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/[^?#]*/?status(?:es)?/(\d+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class User:
    """What a record says about an account; known by id, by name or by both."""

    id: str | None = None
    name: str | None = None
    display_name: str | None = None
    follower_count: int | None = None
    following_count: int | None = None
    post_count: int | None = None
    created: datetime | None = None
    """When the account was made, where that is the time of what is said about it."""

    @property
    def node(self) -> str | None:
        """The description of its node, or None when nothing names it."""
        if self.id:
            return describe(PLATFORM, "user", self.id)
        return describe(PLATFORM, "username", self.name.lower()) if self.name else None


@dataclass(frozen=True, slots=True)
class Medium:
    """One photo, video or animation; `urls` are its encodings, the best first."""

    id: str
    type: str | None
    urls: tuple[str, ...] = ()
    thumbnail_urls: tuple[str, ...] = ()
    key: str | None = None
    alt_text: str | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    view_count: int | None = None
    source_post_id: str | None = None
    """The tweet that first showed it, where another one shows it again."""


@dataclass(frozen=True, slots=True)
class Tweet:
    """One tweet; everything but its id may be unknown. `text` is plain, not escaped."""

    id: str
    text: str | None = None
    created: datetime | None = None
    author: User = field(default_factory=User)
    conversation_id: str | None = None
    reply_to: str | None = None
    repost_of: str | None = None
    quote_of: str | None = None
    media: tuple[Medium, ...] = ()
    hashtags: tuple[str, ...] = ()
    mentions: tuple[User, ...] = ()
    pages: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    """Ids of all versions of an edited tweet, the oldest first."""
    view_count: int | None = None
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Counts, language, client and sensitivity, by the names of the declared table."""


@dataclass(frozen=True, slots=True)
class LoneMedium:
    """A medium that is described outside of a tweet, with the id of its tweet if that is known."""

    medium: Medium
    post_id: str | None = None


def post(tweet_id: str) -> str:
    """Return the description of a tweet's node."""
    return describe(PLATFORM, "post", tweet_id)


def plain(text: Any) -> str | None:
    """Return the text of a tweet, which every API escapes a little (`&amp;`, `&lt;`)."""
    return as_text(html.unescape(text)) if isinstance(text, str) else None


def client_of(source: Any) -> str | None:
    """Return the name of the program that posted, from the link around it or as it is."""
    return text_of_html(source)


def distinct(texts: Iterator[str | None]) -> tuple[str, ...]:
    """Return the texts that there are, once each, in order."""
    return tuple(dict.fromkeys(text for text in texts if text))


def status_in(url: Any) -> str | None:
    """Return the id of the tweet that an address leads to."""
    found = _STATUS_ADDRESS.match(url) if isinstance(url, str) else None
    return found.group(1) if found else None


def pages_in(urls: Iterator[Any]) -> tuple[str, ...]:
    """Return the pages that a tweet links to, without tweets and their media."""
    texts = (as_text(url) for url in urls)
    web = (u for u in texts if u and u.lower().startswith(("http://", "https://")))
    return distinct(url for url in web if status_in(url) is None)


# ---- Records -----------------------------------------------------------------------------------


def item(thing: Tweet | User | LoneMedium, raw: Any, is_inner: bool = False) -> Part:
    """Return the part of a thing, with the JSON value that it was read from."""
    if isinstance(thing, Tweet):
        return Part(read_tweet, thing, raw, is_inner)
    return Part(read_medium if isinstance(thing, LoneMedium) else read_user, thing, raw, is_inner)


def read_tweet(draft: Draft, tweet: Tweet) -> None:
    """Read a tweet, with the files of its media out of the folder."""
    draft.subject = node = post(tweet.id)
    author = tweet.author.node
    columns = {
        "post_id": tweet.id,
        "conversation_id": tweet.conversation_id,
        "hashtags": list(tweet.hashtags),
        **tweet.columns,
    }
    draft.observe(
        node,
        columns,
        title=tweet.text,
        view=tweet.view_count,
        update_time=tweet.created,
        author=author,
    )
    _observe_user(draft, tweet.author)
    links = [Link(author, node, "authored")] if author else []
    links += _alias(tweet.author)
    # A retweet only shows the media of its original, which may not be in the scrape itself.
    owner = Tweet(tweet.repost_of) if tweet.repost_of else tweet
    for position, medium in enumerate(tweet.media):
        found = _medium(draft, medium, owner, position)
        links += [Link(post(owner.id), found.node, "contains", position), *found.links]
    links += _associations(tweet, node)
    draft.link_all(_distinct_links(links))


def read_user(draft: Draft, user: User) -> None:
    """Read an account; RecordError when nothing names it."""
    if user.node is None:
        raise RecordError("the user has neither an id nor a name")
    draft.subject = user.node
    _observe_user(draft, user)
    draft.link_all(_alias(user))


def read_medium(draft: Draft, lone: LoneMedium) -> None:
    """Read a medium that comes alone."""
    found = _medium(draft, lone.medium, Tweet(lone.post_id) if lone.post_id else None, None)
    draft.subject = found.node
    if lone.post_id:
        draft.link(post(lone.post_id), found.node, "contains")
    draft.link_all(found.links)


def _observe_user(draft: Draft, user: User) -> None:
    """Say what is said about an account, if anything but its id is."""
    said = {
        "user_name": user.name,
        "display_name": user.display_name,
        "follower_count": user.follower_count,
        "following_count": user.following_count,
        "post_count": user.post_count,
    }
    if any(value is not None for value in said.values()):
        meta = {"user_id": user.id, **said}
        title = user.display_name or user.name
        draft.observe(user.node, meta, title=title, update_time=user.created, author=user.node)


def _medium(draft: Draft, medium: Medium, owner: Tweet | None, position: int | None) -> MediaNode:
    is_video = medium.type != "photo"
    stems = [stem for stem in (medium.key, medium.id) if stem]
    names = list(medium.urls)
    if owner is not None:
        if position is not None:
            stems.append(f"{owner.id}_{position + 1}")
        # The downloadable archive puts the id of the tweet before the name.
        bases = [url.partition("?")[0].rpartition("/")[2] for url in medium.urls]
        names += [f"{owner.id}-{base}" for base in bases if base]
    description = describe(PLATFORM, "media", medium.id)
    found = media_node(draft, description, names, medium.thumbnail_urls, stems, is_video)
    meta = {
        "post_id": owner.id if owner else None,
        "media_id": medium.id,
        "media_type": medium.type,
        "media_url": medium.urls[0] if medium.urls else None,
        "alt_text": medium.alt_text,
        "width": medium.width,
        "height": medium.height,
        "duration_ms": medium.duration_ms,
    }
    draft.observe(
        found.node,
        meta,
        is_root=True,
        title=owner.text if owner else None,
        view=medium.view_count,
        update_time=owner.created if owner else None,
        author=owner.author.node if owner else None,
    )
    return found


def _associations(tweet: Tweet, node: str) -> Iterator[Link]:
    for other, relationship in (
        (tweet.reply_to, "reply"),
        (tweet.repost_of, "repost"),
        (tweet.quote_of, "quote"),
    ):
        if other and other != tweet.id:
            yield Link(post(other), node, relationship)
    if tweet.conversation_id:
        conversation = describe(PLATFORM, "conversation", tweet.conversation_id)
        yield Link(conversation, node, "conversation")
    for tag in tweet.hashtags[:ASSOCIATIONS_MAX]:
        yield Link(describe(PLATFORM, "tag", tag.lower()), node, "tagged")
    for user in tweet.mentions[:ASSOCIATIONS_MAX]:
        if user.node:
            yield Link(node, user.node, "mentioned")
            yield from _alias(user)
    for page in tweet.pages[:ASSOCIATIONS_MAX]:
        if len(page) < 2_000:
            yield Link(node, describe("web", "page", page), "linked")
    for older, newer in zip(tweet.versions, tweet.versions[1:], strict=False):
        if older != newer:
            yield Link(post(older), post(newer), "revision")


def _alias(user: User) -> list[Link]:
    name = User(name=user.name).node
    return [Link(user.node, name, "alias")] if user.id and user.node and name else []


def _distinct_links(links: list[Link]) -> tuple[Link, ...]:
    seen: dict[tuple[NodeReference, NodeReference, str], Link] = {}
    for link in links:
        seen.setdefault((link.parent, link.child, link.relationship), link)
    return tuple(seen.values())


# ---- Parts that several formats have in common -------------------------------------------------


def best_first(variants: Iterator[Mapping[str, Any]], rate: str) -> tuple[str, ...]:
    """Return the addresses of the encodings of a video, the best first, playlists left out."""
    rated = [
        (as_count(variant.get(rate)) or 0, url)
        for variant in variants
        if (url := as_text(variant.get("url")))
        and str(variant.get("content_type", "video/mp4")).startswith("video/")
    ]
    return distinct(url for _, url in sorted(rated, key=lambda pair: -pair[0]))


def is_picture(url: str) -> bool:
    """Tell whether an address leads to a picture."""
    return extension_of(url.partition("?")[0]) in IMAGE_EXTENSIONS or "format=" in url
