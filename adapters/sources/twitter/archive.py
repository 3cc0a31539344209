"""The archive that Twitter gives its users to download: it owns the parts of it that are data.

Every part is a script `window.YTD.<name>.part<n> = [...]`. Tweets, deleted and liked tweets, the
account, followers and followed people are records. Parts about anything else (advertising,
messages, settings) are kept whole as files that belong to the account. Scripts outside of `data`
are the program of the archive's own viewer and skipped, as are empty parts of tweets and people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, parse_json
from adapters.records.items import Problem, Record, Sniff
from adapters.records.times import parse_time
from adapters.records.values import as_id, as_text, dig, first
from adapters.sources.reading.adapter import Rule
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.twitter.tweet import (
    TABLES,
    Tweet,
    User,
    distinct,
    plain,
    read_tweet,
    read_user,
)
from adapters.sources.twitter.v1 import parse_tweet

_WRAPPER = re.compile(r"\s*window\.(?:YTD\.(\w+)\.part\d+|__THAR_CONFIG)\s*=\s*")
_TWEETS = {"tweets", "tweet", "deleted_tweets", "community_tweet"}
_PEOPLE = {"follower": True, "following": False}
_HEAD_BYTES = 200


class TwitterArchive:
    """The downloadable archive of an account, unpacked."""

    name = "twitter-archive"
    tables = TABLES

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look for the wrapper around a part."""
        for path in folder.with_suffix(".js")[:20]:
            with folder.open(path) as file:
                head = file.read(_HEAD_BYTES).decode(errors="replace").lstrip("\ufeff")
            if _WRAPPER.match(head):
                return Sniff(0.98, f"{path!a} is a part of an archive of Twitter")
        return Sniff(0.0, "no .js file begins with window.YTD")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield tweets and people, and the other parts as files of the account."""
        account, media = _account(folder), MediaFinder(folder)
        for path in folder.with_suffix(".js"):
            if not _is_of_viewer(path):
                yield from _read_part(media, path, account)


def _read_part(media: MediaFinder, path: str, account: User) -> Iterator[Record | Problem]:
    try:
        name, value = _part(media.folder, path)
    except RecordError as error:
        yield Problem(path, -1, str(error))
        return
    rule = _rule_of(name, account)
    if rule is None or not isinstance(value, list):
        yield _whole(path, account)
        return
    if not value:
        yield _whole(path, account)
    for number, member in enumerate(value):
        try:
            draft = Draft(TABLES[0].name, path, media)
            rule(draft, member)
            yield draft.record(number, member)
        except RecordError as error:
            yield Problem(path, number, str(error))


def _rule_of(name: str, account: User) -> Rule | None:
    """Return what reads the members of a part, or None for a part that stays a file."""
    if name in _TWEETS:
        return lambda draft, value: read_tweet(draft, _tweet(value, account))
    if name == "like":
        return lambda draft, value: read_tweet(draft, _like(value))
    if name == "account":
        return _read_account
    if name in _PEOPLE:
        return lambda draft, value: _read_person(draft, value, name, account)
    return None


def _tweet(value: Any, account: User) -> Tweet:
    inner = dig(value, "tweet")
    fields = inner if isinstance(inner, dict) else value
    if not isinstance(fields, dict):
        raise RecordError("expected an object with a tweet")
    tweet = parse_tweet(fields)
    edits = first(
        dig(fields, "edit_info", "initial", "editTweetIds"),
        dig(fields, "edit_info", "edit", "editControlInitial", "editTweetIds"),
    )
    versions = distinct(as_id(v) for v in edits) if isinstance(edits, list) else ()
    tweet = replace(tweet, author=tweet.author if tweet.author.node else account, versions=versions)
    # The archive tells the original of a retweet only where it has media.
    sources = [m.source_post_id for m in tweet.media if m.source_post_id]
    if (tweet.text or "").startswith("RT @") and sources and sources[0] != tweet.id:
        return replace(tweet, repost_of=sources[0], quote_of=None)
    return tweet


def _like(value: Any) -> Tweet:
    tweet_id = as_id(dig(value, "like", "tweetId"))
    if tweet_id is None:
        raise RecordError("the liked tweet has no usable id; expected digits in like.tweetId")
    return Tweet(tweet_id, plain(dig(value, "like", "fullText")))


def _account(folder: ScrapeFolder) -> User:
    """Return whose archive this is, as far as it tells."""
    for path in folder.with_suffix("account.js"):
        try:
            name, value = _part(folder, path)
        except RecordError:
            continue
        user = _account_user(dig(value, 0))
        if name == "account" and user.node:
            return user
    return User()


def _account_user(value: Any) -> User:
    said = dig(value, "account")
    return User(
        id=as_id(dig(said, "accountId")),
        name=as_text(dig(said, "username")),
        display_name=as_text(dig(said, "accountDisplayName")),
    )


def _read_account(draft: Draft, value: Any) -> None:
    created = parse_time(dig(value, "account", "createdAt"))
    read_user(draft, replace(_account_user(value), created=created))


def _read_person(draft: Draft, value: Any, name: str, account: User) -> None:
    user = User(id=as_id(dig(value, name, "accountId")))
    read_user(draft, user)
    follower, followed = (user, account) if _PEOPLE[name] else (account, user)
    draft.link(follower.node, followed.node, "follows")


def _whole(path: str, account: User) -> Record | Problem:
    if account.node is None:
        return Problem(path, -1, "no account.js tells whose archive this is; put it beside this")
    return Record(path, -1, account.node, ())


def _part(folder: ScrapeFolder, path: str) -> tuple[str, Any]:
    """Return the name of a part and its value, without the script around it."""
    text = folder.read_text(path)
    wrapper = _WRAPPER.match(text)
    if wrapper is None:
        raise RecordError("expected a script that begins with window.YTD.<name>.part<n> =")
    return wrapper.group(1) or "manifest", parse_json(text[wrapper.end() :].rstrip().rstrip(";"))


def _is_of_viewer(path: str) -> bool:
    return "assets" in path.split("/")[:-1]
