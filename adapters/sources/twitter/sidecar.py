"""Tweets as gallery-dl writes them, as a format of Twitter.

`author` wrote the text, `user` is whose timeline was read. They differ on retweets, where
`tweet_id` and `date` are those of the retweet, made by `user`, while text and media are those of
`retweet_id`. Ids of 0 stand for "none", a `view_count` of 0 for "not known", and so do the other
counts of a retweet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_number
from adapters.sources.columns import recast
from adapters.sources.model import Edge, Node, Rules
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of
from adapters.sources.twitter.tweet import TWEET, TWITTER, USER

_PERSON = recast("""
    id = id:nonzero
    name = name:text
    display_name = nick
    follower_count = followers_count
    following_count = friends_count
    post_count = statuses_count
    bio = description
    is_verified = verified
    joined = date:posted
    home = location
""")


def _tweet(fields: dict[str, Any]) -> dict[str, Any]:
    writer, collector = fields.get("writer"), fields.get("collector")
    is_repost = bool(fields.get("repost_of") and fields.get("id"))
    found = fields | {"author": collector if is_repost else writer or collector}
    if is_repost:
        original = {"id": fields["repost_of"], "author": writer}
        found["original"] = [original | {"quote_of": fields.get("quote_of"), "repost_of": None}]
        # A retweet has none of its own, and says 0; it repeats what its original quotes.
        counts = ("favorite_count", "reply_count", "quote_count", "bookmark_count")
        found |= {name: fields.get(name) or None for name in counts}
        found["quote_of"] = None
    return found


_TWEET = recast(
    """
    id = tweet_id:nonzero
    text = content
    created = date:posted
    writer = author > person
    collector = user > person
    conversation_id = conversation_id:nonzero
    reply_to = reply_id:nonzero
    repost_of = retweet_id:nonzero
    quote_of = quoted_id:nonzero
    quoted_by = quote_id:nonzero
    mentions = mentions > person
    view_count = view_count:nonzero
    language = lang
    favorite_count = favorite_count
    retweet_count = retweet_count
    reply_count = reply_count
    quote_count = quote_count
    bookmark_count = bookmark_count
    is_sensitive = sensitive
    client = source
    """,
    _tweet,
    person=_PERSON,
)


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    return _TWEET(data) | {"hashtags": tags_of(data.get("hashtags"))}


def _medium(fields: dict[str, Any]) -> dict[str, Any]:
    duration_s = as_number(fields.get("duration"))
    is_known = duration_s is not None and 0 < duration_s < 1e9
    url = fields.get("url")
    return fields | {
        "urls": [url] if url else [],
        "duration_ms": round((duration_s or 0) * 1000) if is_known else None,
        "title": fields.get("text") if "is_repost" in fields else None,
        "created": fields.get("created") if "is_repost" in fields else None,
        "author": fields.get("author") if "is_repost" in fields else None,
    }


_MEDIUM = recast(
    """
    post_id = retweet_id:nonzero|tweet_id:nonzero
    is_repost = retweet_id:nonzero
    id = filename|{retweet_id:nonzero}_{num:positive}|{tweet_id:nonzero}_{num:positive} \
        |{tweet_id:nonzero}_1
    type = type
    url = url
    alt_text = description
    width = width:nonzero
    height = height:nonzero
    duration = duration
    text = content
    created = date_original:posted|date:posted
    author = author > person
    """,
    _medium,
    person=_PERSON,
)
_ORIGINAL = Node(
    "post",
    id="id",
    section="original",
    unless_only="author",
    author=replace(USER, at="author"),
    edges=(Edge("quote", "post", "quote_of"),),
)
_NODE = replace(
    of_sidecar(TWEET),
    edges=(
        *TWEET.edges,
        Edge("", _ORIGINAL, "original"),
        # `quote_id` is the tweet that brought this one along by quoting it.
        Edge("quote", "post", "quoted_by", is_parent=True),
    ),
)
GALLERY_DL = SidecarFormat(Rules(TWITTER, "twitter", {"post": _NODE}), _of_sidecar, _MEDIUM)
