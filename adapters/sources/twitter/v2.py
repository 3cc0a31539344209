"""Twitter API v2: it owns pages with `includes`, and tweets flattened out of them.

A page is one document or one line. Its tweets, the included tweets and the included users whom no
tweet of the page has as author are records. An object that `includes` lacks (see `errors`) is still
a node, by its id. Partial `errors` and `meta` are no records and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_id, as_text, dig, first, mappings
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value
from adapters.sources.twitter.tweet import (
    TABLES,
    LoneMedium,
    Medium,
    Tweet,
    User,
    client_of,
    distinct,
    item,
    pages_in,
    plain,
)
from adapters.sources.twitter.v2_parts import Page, page_of, parse_medium, parse_user

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
        yield item(parse_user(value), value)
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
            yield item(parse_user(member), member)
        else:
            yield _unknown(member)
    here = {as_id(tweet.get("id")) for tweet in tweets}
    others = [tweet for tweet_id, tweet in page.tweets.items() if tweet_id not in here]
    for tweet in others:
        yield from _tweets_in(tweet, page, is_inner=True)
    authors = {as_id(tweet.get("author_id")) for tweet in [*tweets, *others]}
    for user_id, user in page.users.items():
        if user_id not in authors:
            yield item(parse_user(user), user, is_inner=True)
    used = {key for tweet in [*tweets, *others] for key in _media_keys(tweet)}
    for key, medium in page.media.items():
        if key not in used and (parsed := parse_medium(medium)) is not None:
            yield item(LoneMedium(parsed), medium, is_inner=True)


def _tweets_in(value: dict[str, Any], page: Page, is_inner: bool) -> Iterator[Found]:
    """Yield a tweet, and the tweets that flattening put inside of it."""
    try:
        yield item(_tweet(value, page), _complete(value, page), is_inner)
    except RecordError as error:
        yield error
    for inner in mappings(value.get("referenced_tweets")):
        if "text" in inner:
            yield from _tweets_in(inner, page, is_inner=True)


def _tweet(value: dict[str, Any], page: Page) -> Tweet:
    tweet_id = as_id(value.get("id"))
    if tweet_id is None:
        raise RecordError("the tweet has no usable id; expected digits in id")
    referred = {
        as_text(reference.get("type")): as_id(reference.get("id"))
        for reference in mappings(value.get("referenced_tweets"))
    }
    repost_of = referred.get("retweeted")
    return Tweet(
        id=tweet_id,
        text=plain(first(dig(value, "note_tweet", "text"), value.get("text"))),
        created=parse_time(value.get("created_at")),
        author=_author(value, page),
        conversation_id=as_id(value.get("conversation_id")),
        reply_to=referred.get("replied_to"),
        repost_of=repost_of,
        quote_of=None if repost_of else referred.get("quoted"),
        media=_media(value, page, repost_of),
        hashtags=distinct(as_text(tag.get("tag")) for tag in _entities(value, "hashtags")),
        mentions=_mentions(value, page),
        pages=pages_in(
            first(url.get("expanded_url"), url.get("url")) for url in _entities(value, "urls")
        ),
        versions=distinct(as_id(v) for v in _list(value.get("edit_history_tweet_ids"))),
        view_count=as_count(_metric(value, "impression_count")),
        columns=_columns(value),
    )


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "language": as_text(value.get("lang")),
        "favorite_count": as_count(_metric(value, "like_count")),
        "retweet_count": as_count(_metric(value, "retweet_count")),
        "reply_count": as_count(_metric(value, "reply_count")),
        "quote_count": as_count(_metric(value, "quote_count")),
        "bookmark_count": as_count(_metric(value, "bookmark_count")),
        "is_sensitive": as_boolean(value.get("possibly_sensitive")),
        "client": client_of(value.get("source")),
    }


def _metric(value: dict[str, Any], name: str) -> Any:
    return dig(value, "public_metrics", name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _entities(value: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    # A long tweet has the entities of its whole text in the note.
    whole = dig(value, "note_tweet", "entities", name)
    return mappings(first(whole, dig(value, "entities", name)))


def _author(value: dict[str, Any], page: Page) -> User:
    flattened = value.get("author")
    if isinstance(flattened, dict):
        return parse_user(flattened)
    author_id = as_id(value.get("author_id"))
    return parse_user(page.users.get(author_id or "", {"id": author_id}))


def _mentions(value: dict[str, Any], page: Page) -> tuple[User, ...]:
    people: dict[str | None, User] = {}
    for mention in _entities(value, "mentions"):
        name = as_text(mention.get("username"))
        # Older responses name the person only; the page often knows the id.
        user_id = as_id(mention.get("id")) or page.names.get((name or "").lower())
        person = User(user_id, name)
        people.setdefault(person.node, person)
    people.pop(None, None)
    return tuple(people.values())


def _media(value: dict[str, Any], page: Page, repost_of: str | None) -> tuple[Medium, ...]:
    if repost_of is not None and (repost_of in page.tweets or _has_inner(value)):
        return ()
    flattened = {
        as_text(medium.get("media_key")): medium
        for medium in mappings(dig(value, "attachments", "media"))
    }
    media: dict[str, Medium] = {}
    for key in _media_keys(value) or [key for key in flattened if key]:
        medium = parse_medium(
            {"media_key": key, **(flattened.get(key) or page.media.get(key) or {})}
        )
        if medium is not None:
            media[medium.id] = medium
    return tuple(media.values())


def _has_inner(value: dict[str, Any]) -> bool:
    return any("text" in inner for inner in mappings(value.get("referenced_tweets")))


def _media_keys(value: dict[str, Any]) -> list[str]:
    keys = _list(dig(value, "attachments", "media_keys"))
    return [text for key in keys if (text := as_text(key))]


# ---- Pages -------------------------------------------------------------------------------------


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
