"""Twitter API v2: it owns pages with `includes`, and tweets flattened out of them.

A page is one document or one line. Its tweets, the included tweets and the included users whom no
tweet of the page has as author are records. An object that `includes` lacks (see `errors`) is still
a node, by its id. Partial `errors` and `meta` are no records and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_id, as_text, dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value
from adapters.sources.twitter.tweet import (
    TABLES,
    best_first,
    is_picture,
    medium_item,
    tweet_item,
    user_item,
)

EXPECTED = "expected a v2 page (data, includes), or flattened v2 tweets"
_TWEET_SIGNS = (
    "author_id", "public_metrics", "edit_history_tweet_ids", "conversation_id", "reply_settings",
    "referenced_tweets", "created_at",
)  # fmt: skip


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds anything of v2."""
    members = value[:5] if isinstance(value, list) else [value]
    return any(
        _is_tweet(member) or _is_counts(member) or any(map(_is_known, _data(member)[:5]))
        for member in members
    )


def items_in(value: Any) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member)
    elif _is_counts(value):
        yield RecordError("a page of tweet counts; it holds no tweets")
    elif _is_tweet(value):
        yield from _tweets_in(value, Page(), is_inner=False)
    elif _is_user(value):
        yield user_item(_USER(value), value)
    elif isinstance(value, dict) and ("data" in value or "includes" in value):
        yield from _page_in(value)
    elif dig(value, "meta", "result_count") != 0:
        yield _unknown(value)


def _page_in(value: dict[str, Any]) -> Iterator[Found]:
    page = page_of(value)
    tweets = [member for member in _data(value) if _is_some_tweet(member)]
    for member in _data(value):
        if _is_some_tweet(member):
            yield from _tweets_in(member, page, is_inner=False)
        elif _is_user(member):
            yield user_item(_USER(member), member)
        else:
            yield _unknown(member)
    here = {as_id(tweet.get("id")) for tweet in tweets}
    others = [tweet for tweet_id, tweet in page.tweets.items() if tweet_id not in here]
    for tweet in others:
        yield from _tweets_in(tweet, page, is_inner=True)
    authors = {as_id(tweet.get("author_id")) for tweet in [*tweets, *others]}
    for user_id, user in page.users.items():
        if user_id not in authors:
            yield user_item(_USER(user), user, is_inner=True)
    used = {key for tweet in [*tweets, *others] for key in _media_keys(tweet)}
    for key, medium in page.media.items():
        fields = _MEDIUM(medium)
        if key not in used and fields.get("id"):
            yield medium_item(fields, medium, is_inner=True)


def _tweets_in(value: dict[str, Any], page: Page, is_inner: bool) -> Iterator[Found]:
    """Yield a tweet, and the tweets that flattening put inside of it."""
    yield tweet_item(_tweet(value, page), _complete(value, page), is_inner)
    for inner in mappings(value.get("referenced_tweets")):
        if "text" in inner:
            yield from _tweets_in(inner, page, is_inner=True)


def _tweet(value: dict[str, Any], page: Page) -> dict[str, Any]:
    fields = _TWEET(value)
    referred = {
        as_text(reference.get("type")): as_id(reference.get("id"))
        for reference in mappings(value.get("referenced_tweets"))
    }
    repost_of = referred.get("retweeted")
    return fields | {
        "author": [_author(value, page)],
        "reply_to": referred.get("replied_to"),
        "repost_of": repost_of,
        "quote_of": None if repost_of else referred.get("quoted"),
        "media": _media(value, page, repost_of),
        "mentions": [_mention(one, page) for one in fields.get("mentions", ())],
        "pages": [one["page"] for one in fields.get("urls", ()) if "page" in one],
    }


_USER = recast("""
    id = id:id
    name = username:text
    display_name = name
    follower_count = public_metrics.followers_count
    following_count = public_metrics.following_count
    post_count = public_metrics.tweet_count
    bio = description
    is_verified = verified
    joined = created_at
    home = location
""")
_KIND_OF_KEY = {"3": "photo", "7": "video", "13": "video", "16": "animated_gif"}


def _of_medium(fields: dict[str, Any]) -> dict[str, Any]:
    kind = fields.get("type") or _KIND_OF_KEY.get(str(fields.get("key")).partition("_")[0])
    urls = best_first(fields.get("variants"), "bit_rate")
    url, preview = as_text(fields.get("url")), as_text(fields.get("preview"))
    previews = [preview] if preview else []
    if url:
        # Some old responses gave a video the address of its preview.
        (previews if kind != "photo" and is_picture(url) else urls).append(url)
    return fields | {"type": kind, "urls": urls, "thumbs": previews}


_MEDIUM = recast(
    """
    id = media_key:tail
    key = media_key:text
    type = type:text
    variants = variants
    url = url
    preview = preview_image_url
    alt_text = alt_text
    width = width
    height = height
    duration_ms = duration_ms
    view_count = public_metrics.view_count
    """,
    _of_medium,
)
# A long tweet has the entities of its whole text in the note.
_TWEET = recast(
    """
    id = id:id
    text = note_tweet.text:unescaped|text:unescaped
    created = created_at
    conversation_id = conversation_id:id
    hashtags[] = note_tweet.entities.hashtags[].tag|entities.hashtags[].tag
    mentions = note_tweet.entities.mentions|entities.mentions > mention
    urls = note_tweet.entities.urls|entities.urls > url
    versions[] = edit_history_tweet_ids[]:id
    view_count = public_metrics.impression_count
    language = lang
    favorite_count = public_metrics.like_count
    retweet_count = public_metrics.retweet_count
    reply_count = public_metrics.reply_count
    quote_count = public_metrics.quote_count
    bookmark_count = public_metrics.bookmark_count
    is_sensitive = possibly_sensitive
    client = source:html
    """,
    mention=recast("id = id:id\nname = username:text"),
    url=recast("page = expanded_url|url"),
)


def _author(value: dict[str, Any], page: Page) -> dict[str, Any]:
    flattened = value.get("author")
    if isinstance(flattened, dict):
        return _USER(flattened)
    author_id = as_id(value.get("author_id"))
    return _USER(page.users.get(author_id or "", {"id": author_id}))


def _mention(person: dict[str, Any], page: Page) -> dict[str, Any]:
    # Older responses name the person only; the page often knows the id.
    return {"id": page.names.get(str(person.get("name")).lower())} | person


def _media(value: dict[str, Any], page: Page, repost_of: str | None) -> list[dict[str, Any]]:
    if repost_of is not None and (repost_of in page.tweets or _has_inner(value)):
        return []
    flattened = {
        as_text(medium.get("media_key")): medium
        for medium in mappings(dig(value, "attachments", "media"))
    }
    keys = _media_keys(value) or [key for key in flattened if key]
    known = (flattened.get(key) or page.media.get(key) or {} for key in keys)
    return [_MEDIUM({"media_key": key, **one}) for key, one in zip(keys, known, strict=True)]


def _has_inner(value: dict[str, Any]) -> bool:
    return any("text" in inner for inner in mappings(value.get("referenced_tweets")))


def _media_keys(value: dict[str, Any]) -> list[str]:
    keys = dig(value, "attachments", "media_keys")
    return [text for key in keys if (text := as_text(key))] if isinstance(keys, list) else []


# ---- Pages -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """The included objects of a page by their ids, as they were delivered."""

    users: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ids of the included users by their lower-case names."""
    media: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    tweets: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def page_of(value: dict[str, Any]) -> Page:
    """Return the included objects of a response."""
    included = value.get("includes")
    users = _by(dig(included, "users"), "id")
    names = {
        name.lower(): user_id
        for user_id, user in users.items()
        if (name := as_text(user.get("username")))
    }
    return Page(
        users, names, _by(dig(included, "media"), "media_key"), _by(dig(included, "tweets"), "id")
    )


def _by(objects: Any, name: str) -> dict[str, dict[str, Any]]:
    return {key: item for item in mappings(objects) if (key := as_text(item.get(name)))}


def _complete(value: dict[str, Any], page: Page) -> dict[str, Any]:
    """Return a tweet with the included objects that it refers to, in the form of a page."""
    author = page.users.get(as_text(value.get("author_id")) or "")
    media = [page.media[key] for key in _media_keys(value) if key in page.media]
    parts = {"users": [author] if author else [], "media": media}
    included = {name: objects for name, objects in parts.items() if objects}
    return {"data": value, "includes": included} if included else value


def _data(value: Any) -> list[Any]:
    data = dig(value, "data")
    return data if isinstance(data, list) else [data] if isinstance(data, dict) else []


def _is_known(value: Any) -> bool:
    return _is_tweet(value) or (_is_user(value) and "public_metrics" in value)


def _is_tweet(value: Any) -> bool:
    # v1.1 has id_str beside a number; here ids are texts.
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and not {"id_str", "username"} & value.keys()
        and ("text" in value or "author_id" in value)
        and any(sign in value for sign in _TWEET_SIGNS)
    )


def _is_some_tweet(value: Any) -> bool:
    """Tell whether a member of a page is a tweet, however few fields were asked for."""
    signs = {"text", *_TWEET_SIGNS}
    return isinstance(value, dict) and not _is_user(value) and bool(signs & value.keys())


def _is_user(value: Any) -> bool:
    return isinstance(value, dict) and {"id", "username"} <= value.keys()


def _is_counts(value: Any) -> bool:
    return bool(_data(value)) and isinstance(dig(_data(value), 0, "tweet_count"), int)


def _unknown(value: Any) -> RecordError:
    details = [
        text
        for error in mappings(dig(value, "errors"))
        if (text := as_text(first(error.get("detail"), error.get("title")), 200))
    ]
    return RecordError(f"only errors in it: {'; '.join(details[:3])}" if details else EXPECTED)


ADAPTERS = (
    DocumentAdapter(
        name="twitter-v2",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
