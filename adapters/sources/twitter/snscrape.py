"""Tweets and accounts as snscrape writes them, as a format of Twitter.

One object a line, `_type` says which class it was; releases before 0.4 leave that out. Fields are
in camel case, times are in UTC, and media have no ids: a photo is known by the name of its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_number, as_text
from adapters.sources.columns import recast
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value
from adapters.sources.reading.media_finder import base_name
from adapters.sources.twitter.tweet import TABLES, best_first, status_in, tweet_item, user_item

EXPECTED = "expected tweets or accounts of snscrape (`url`, `date`, `rawContent` or `content`)"
_COUNTS = frozenset({"replyCount", "retweetCount", "likeCount", "quoteCount"})
_ID_IN_ADDRESS = re.compile(r"/(?:ext_tw_video|amplify_video|ext_tw_video_thumb)/(\d+)/")

_USER = recast("""
    id = id:id
    name = username:text
    display_name = displayname
    follower_count = followersCount
    following_count = friendsCount
    post_count = statusesCount
    bio = rawDescription|description
    is_verified = verified
    joined = created
    home = location
""")


def _of_medium(fields: dict[str, Any]) -> dict[str, Any]:
    named = str(fields.get("kind", "photo")).rpartition(".")[2].lower()
    kind = {"gif": "animated_gif"}.get(named, named)
    urls = best_first(fields.get("variants"), "bitrate") if kind != "photo" else []
    urls += [fields["full"]] if "full" in fields else []
    thumbs = [fields["preview"]] if "preview" in fields and kind != "photo" else []
    numbers = [_ID_IN_ADDRESS.search(url) for url in [*urls, *thumbs]]
    number = next((found[1] for found in numbers if found), None)
    stem = base_name((urls or thumbs or [""])[0]).partition(".")[0]
    seconds = as_number(fields.get("duration"))
    is_known = seconds is not None and 0 < seconds < 1e9
    return fields | {
        "type": kind,
        "id": number or stem or None,
        "urls": urls,
        "thumbs": thumbs,
        "duration_ms": round((seconds or 0) * 1_000) if is_known else None,
    }


_VARIANT = recast("url = url\ncontent_type = contentType\nbitrate = bitrate")
_MEDIUM = recast(
    """
    kind = _type|type
    full = fullUrl:text
    preview = previewUrl:text|thumbnailUrl:text
    variants = variants > variant
    alt_text = altText
    duration = duration
    view_count = views
    """,
    _of_medium,
    variant=_VARIANT,
)


def _of_tweet(fields: dict[str, Any]) -> dict[str, Any]:
    is_repost = "repost_of" in fields
    own = {"id": fields.get("id") or status_in(fields.get("url"))}
    none = {"media": [], "hashtags": [], "quote_of": None} if is_repost else {}
    return fields | own | none


_TWEET = recast(
    """
    id = id:id
    url = url
    text = rawContent:unescaped|content:unescaped|renderedContent:unescaped
    created = date
    author = user > user
    conversation_id = conversationId:id
    reply_to = inReplyToTweetId:id
    repost_of = retweetedTweet.id:id
    quote_of = quotedTweet.id:id
    media = media > medium
    hashtags[] = hashtags[]
    mentions = mentionedUsers > user
    pages[] = links[].url|outlinks[]
    view_count = viewCount
    language = lang
    favorite_count = likeCount
    retweet_count = retweetCount
    reply_count = replyCount
    quote_count = quoteCount
    bookmark_count = bookmarkCount
    client = sourceLabel|source:html
    place_name = place.fullName
    latitude = coordinates.latitude
    longitude = coordinates.longitude
    """,
    _of_tweet,
    user=_USER,
    medium=_MEDIUM,
)


def recognises(value: Any) -> bool:
    """Tell whether a JSON value is a tweet or an account of snscrape, or a list of them."""
    members = value[:5] if isinstance(value, list) else [value]
    return any(is_tweet(member) or _is_user(member) for member in members)


def is_tweet(value: Any) -> bool:
    """Tell whether a value is a tweet of snscrape."""
    return (
        isinstance(value, dict)
        and {"url", "date", "user"} <= value.keys()
        and bool({"rawContent", "content"} & value.keys())
        and len(_COUNTS & value.keys()) >= 2
    )


def _is_user(value: Any) -> bool:
    return isinstance(value, dict) and {"username", "followersCount", "displayname"} <= value.keys()


def items_in(value: Any) -> Iterator[Found]:
    """Yield the tweets and accounts of a document, and those inside of tweets."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member)
    elif is_tweet(value):
        yield from _tweets_in(value, is_inner=False)
    elif _is_user(value):
        yield user_item(_USER(value), value)
    else:
        kind = as_text(value.get("_type")) if isinstance(value, dict) else None
        yield RecordError(f"{kind[:60]} is not read; {EXPECTED}" if kind else EXPECTED)


def _tweets_in(value: dict[str, Any], is_inner: bool) -> Iterator[Found]:
    yield tweet_item(_TWEET(value), value, is_inner)
    for name in ("retweetedTweet", "quotedTweet"):
        inner = value.get(name)
        if isinstance(inner, dict) and is_tweet(inner):
            yield from _tweets_in(inner, is_inner=True)


ADAPTERS = (
    DocumentAdapter(
        name="snscrape",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
        markers=((b'"likeCount"', b'"retweetCount"', b'"date"', b'"user"'),),
    ),
)
