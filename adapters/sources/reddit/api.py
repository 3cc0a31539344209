"""Reddit as its API gives it: listings, comment trees, galleries, collections, rexport, lines.

Owns reading `kind`/`data` things (t1 comment, t2 account, t3 submission, t4 message, t5 subreddit),
the same without their envelope, and collections. A submission is `reddit:post:<id>`, a comment
`reddit:comment:<id>`, both without t3_/t1_; users and subreddits are known by their names only.
What a comment answers is read from `parent_id`, its conversation from `link_id`.

Skipped silently: `more` stubs and trophies, which say nothing about a post, and the nested
`replies` in the stored record of a comment, because every reply is a record of its own. Authors
"[deleted]" and "[removed]" are no people.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import dig, mappings
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.reddit.things import READERS, REDDIT, read_collection

SILENT_KINDS = frozenset({"more", "t6", "KarmaList", "TrophyList", "UserList"})
EXPORT_LISTS = ("saved", "upvoted", "downvoted", "comments", "submissions", "inbox", "subreddits")
EXPORT_KEYS = frozenset({*EXPORT_LISTS, "multireddits", "profile"})


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is Reddit's."""
    if isinstance(value, list):
        return max((recognise(member) for member in value[:3]), default=0.0)
    if not isinstance(value, dict) or ("category" in value and "subcategory" in value):
        return 0.0
    if isinstance(value.get("data"), dict) and isinstance(value.get("kind"), str):
        known = value["kind"] in READERS or value["kind"] in ("Listing", *SILENT_KINDS)
        return 0.95 if known else 0.0
    if _is_export(value) or _is_collection(value):
        return 0.9
    return 0.85 if kind_of_bare(value) in ("t1", "t3") else 0.0


def split(value: Any) -> Iterator[Part]:
    """Yield the entries of a document, submissions before their comments."""
    if isinstance(value, list):
        for member in value:
            yield from split(member)
    elif not isinstance(value, dict):
        yield Part(_unknown, value)
    elif isinstance(value.get("kind"), str) and "data" in value:
        yield from _thing(value)
    elif _is_collection(value):
        rest = {key: part for key, part in value.items() if key != "sorted_links"}
        yield Part(read_collection, value, rest)
        yield from split(value.get("sorted_links") or [])
    elif _is_export(value):
        for name in EXPORT_LISTS:
            yield from split(value.get(name) or [])
    else:
        yield from _entries(kind_of_bare(value), value)


def _thing(value: dict[str, Any]) -> Iterator[Part]:
    kind, data = value["kind"], value["data"]
    if kind == "Listing":
        yield from split(dig(data, "children") or [])
    elif kind not in SILENT_KINDS:
        yield from _entries(kind, data)


def _entries(kind: str | None, raw: Any) -> Iterator[Part]:
    """Yield a thing, what it was crossposted from, and the comments below it."""
    if kind not in READERS or not isinstance(raw, dict):
        yield Part(_unknown, raw)
        return
    replies = raw.get("replies")
    below = ("replies", "comments") if isinstance(raw.get("comments"), list) else ("replies",)
    is_tree = any(raw.get(name) for name in below)
    shown = {key: part for key, part in raw.items() if key not in below} if is_tree else raw
    yield Part(READERS[kind], raw, shown)
    for original in mappings(raw.get("crosspost_parent_list")):
        yield from _entries("t3", original)
    for below in (replies, raw.get("comments")):
        # BDFR writes the comments of a submission into it.
        if isinstance(below, dict | list):
            yield from split(below)


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no submission, comment, message, account or subreddit: {str(value)[:80]!a}")


def _is_export(value: dict[str, Any]) -> bool:
    lists = [name for name in EXPORT_LISTS if isinstance(value.get(name), list)]
    return len(lists) >= 2 and len(EXPORT_KEYS & value.keys()) >= 3


def _is_collection(value: dict[str, Any]) -> bool:
    return "collection_id" in value and ("sorted_links" in value or "link_ids" in value)


def kind_of_bare(value: dict[str, Any]) -> str | None:
    """Tell what a thing without its envelope is, by its full name or by its fields."""
    prefix = str(value.get("name"))[:3]
    if prefix in ("t1_", "t3_", "t4_", "t5_"):
        return prefix[:2]
    if "body" in value and ("link_id" in value or "parent_id" in value):
        return "t1"
    about_post = {"permalink", "num_comments", "selftext", "is_self", "subreddit_id"} & value.keys()
    if "title" in value and "subreddit" in value and "id" in value and about_post:
        return "t3"
    if "display_name" in value and ("subscribers" in value or "display_name_prefixed" in value):
        return "t5"
    return "t4" if {"subject", "body", "was_comment"} <= value.keys() else None


ADAPTERS = (
    DocumentAdapter(
        name="reddit",
        tables=(REDDIT.table,),
        recognise=recognise,
        split=of_value(split),
        expected="no thing of Reddit: listings, things, exports and collections are read",
        markers=(
            (b'"kind"', b'"Listing"', b'"children"'),
            (b'"subreddit_id"', b'"created_utc"', b'"author_fullname"'),
        ),
    ),
)
