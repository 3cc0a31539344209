"""The archive that Twitter gives its users to download: it owns the parts of it that are data.

Every part is a script `window.YTD.<name>.part<n> = [...]`. Tweets, deleted and liked tweets, the
account, followers and followed people are records. Parts about anything else (advertising,
messages, settings) are kept whole as files that belong to the account. Scripts outside of `data`
are the program of the archive's own viewer and skipped, as are empty parts of tweets and people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.describe import reference, username
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, parse_json
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_id, dig
from adapters.sources.columns import recast
from adapters.sources.paths import compiled
from adapters.sources.reading.adapter import Rule
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.twitter.tweet import RULES, TABLES, fields_of_tweet, read_tweet
from adapters.sources.twitter.v1_fields import V1_TWEET

_WRAPPER = re.compile(r"\s*window\.(?:YTD\.(\w+)\.part\d+|__THAR_CONFIG)\s*=\s*")
_TWEETS = {"tweets", "tweet", "deleted_tweets", "community_tweet"}
_PEOPLE = {"follower": True, "following": False}
_HEAD_BYTES = 200
User = dict[str, Any]
"""The fields of an account; empty where nothing names it."""


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
            draft = Draft("twitter", path, media)
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


def _tweet(value: Any, account: User) -> dict[str, Any]:
    inner = dig(value, "tweet")
    raw = inner if isinstance(inner, dict) else value
    if not isinstance(raw, dict):
        raise RecordError("expected an object with a tweet")
    fields = V1_TWEET(raw) | {"versions": _VERSIONS(raw)[0]}
    if fields.get("id") is None:
        raise RecordError("the tweet has no usable id; expected digits in id_str or id")
    author = fields["author"][0]
    fields["author"] = [author if author.get("id") or author.get("name") else account]
    # The archive tells the original of a retweet only where it has media.
    shown = [one["source_post_id"] for one in fields["media"] if "source_post_id" in one]
    if str(fields.get("text")).startswith("RT @") and shown and shown[0] != fields["id"]:
        fields |= {"repost_of": shown[0], "quote_of": None}
    return fields_of_tweet(fields)


_VERSIONS = compiled(
    "edit_info.initial.editTweetIds[]:id|edit_info.edit.editControlInitial.editTweetIds[]:id"
).every_of()
_LIKE = recast("id = like.tweetId:id\ntext = like.fullText:unescaped")
_ACCOUNT = recast("""
    id = account.accountId:id
    name = account.username:text
    display_name = account.accountDisplayName
    created = account.createdAt
    joined = account.createdAt
""")


def _like(value: Any) -> dict[str, Any]:
    fields = _LIKE(value) if isinstance(value, dict) else {}
    if "id" not in fields:
        raise RecordError("the liked tweet has no usable id; expected digits in like.tweetId")
    return fields


def _account(folder: ScrapeFolder) -> User:
    """Return whose archive this is, as far as it tells."""
    for path in folder.with_suffix("account.js"):
        try:
            name, value = _part(folder, path)
        except RecordError:
            continue
        first = dig(value, 0)
        if name == "account" and isinstance(first, dict):
            user = {key: one for key, one in _ACCOUNT(first).items() if key != "created"}
            if user.get("id") or user.get("name"):
                return user
    return {}


def _node_of(user: User) -> str | None:
    identity, name = user.get("id"), user.get("name")
    return reference("twitter", "user", identity) or username("twitter", name)


def _read_account(draft: Draft, value: Any) -> None:
    RULES.read(draft, "user", _ACCOUNT(value) if isinstance(value, dict) else value)


def _read_person(draft: Draft, value: Any, name: str, account: User) -> None:
    user = {"id": as_id(dig(value, name, "accountId"))}
    RULES.read(draft, "user", user)
    follower, followed = (user, account) if _PEOPLE[name] else (account, user)
    draft.link(_node_of(follower), _node_of(followed), "follows")


def _whole(path: str, account: User) -> Record | Problem:
    node = _node_of(account)
    if node is None:
        return Problem(path, -1, "no account.js tells whose archive this is; put it beside this")
    return Record(path, -1, node, ())


def _part(folder: ScrapeFolder, path: str) -> tuple[str, Any]:
    """Return the name of a part and its value, without the script around it."""
    text = folder.read_text(path)
    wrapper = _WRAPPER.match(text)
    if wrapper is None:
        raise RecordError("expected a script that begins with window.YTD.<name>.part<n> =")
    return wrapper.group(1) or "manifest", parse_json(text[wrapper.end() :].rstrip().rstrip(";"))


def _is_of_viewer(path: str) -> bool:
    return "assets" in path.split("/")[:-1]
