"""The archive that Twitter gives its users to download: it owns the parts of it that are data.

Every part is a script `window.YTD.<name>.part<n> = [...]`. Tweets, deleted and liked tweets, the
account, followers and followed people are records. Parts about anything else (advertising,
messages, settings) are kept whole as files that belong to the account. Scripts outside of `data`
are the program of the archive's own viewer and skipped, as are empty parts of tweets and people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from adapters.errors import RecordError
from adapters.folder import ScrapeFolder, parse_json
from adapters.items import Link, Observation, Problem, Record, Sniff
from adapters.json_records import Output
from adapters.times import parse_time
from adapters.twitter.tweet import (
    TABLES,
    Tweet,
    User,
    distinct,
    plain,
    tweet_record,
    user_record,
)
from adapters.twitter.v1 import parse_tweet
from adapters.values import as_id, as_text, dig, first

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

    def read(self, folder: ScrapeFolder) -> Iterator[Output]:
        """Yield tweets and people, and the other parts as files of the account."""
        account = _account(folder)
        for path in folder.with_suffix(".js"):
            if not _is_of_viewer(path):
                yield from _read_part(folder, path, account)


def _read_part(folder: ScrapeFolder, path: str, account: User) -> Iterator[Output]:
    try:
        name, value = _part(folder, path)
    except RecordError as error:
        yield Problem(path, -1, str(error))
        return
    make = _maker(name, account)
    if make is None or not isinstance(value, list):
        yield _whole(path, account)
        return
    if not value:
        yield _whole(path, account)
    for number, member in enumerate(value):
        try:
            yield make(member, folder, path, number)
        except RecordError as error:
            yield Problem(path, number, str(error))


_Make = Callable[[Any, ScrapeFolder, str, int], Record]


def _maker(name: str, account: User) -> _Make | None:
    """Return what makes the records of a part, or None for a part that stays a file."""
    if name in _TWEETS:
        return lambda value, folder, path, number: tweet_record(
            _tweet(value, account), folder, path, number, value
        )
    if name == "like":
        return lambda value, folder, path, number: tweet_record(
            _like(value), folder, path, number, value
        )
    if name == "account":
        return lambda value, _folder, path, number: _account_record(value, path, number)
    if name in _PEOPLE:
        return lambda value, _folder, path, number: _person(value, name, account, path, number)
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


def _account_record(value: Any, path: str, number: int) -> Record:
    record = user_record(_account_user(value), path, number, value)
    created = parse_time(dig(value, "account", "createdAt"))
    about = tuple(_at(observation, created) for observation in record.observations)
    return Record(path, number, record.subject, about, record.links, value)


def _at(observation: Observation, created: Any) -> Observation:
    return replace(observation, update_time=created)


def _person(value: Any, name: str, account: User, path: str, number: int) -> Record:
    user = User(id=as_id(dig(value, name, "accountId")))
    record = user_record(user, path, number, value)
    if user.node is None or account.node is None:
        return record
    follower, followed = (user.node, account.node) if _PEOPLE[name] else (account.node, user.node)
    return replace(record, links=(Link(follower, followed, "follows"),))


def _whole(path: str, account: User) -> Output:
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
