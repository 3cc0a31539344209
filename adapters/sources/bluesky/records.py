"""Bluesky: it owns API views (threads, feeds, searches), AT protocol records and Jetstream lines.

The key of a post is its at:// address: `bluesky:post:<uri>`; every other record (a like, a feed
generator, a record of a lexicon of somebody's own) is `bluesky:record:<uri>`, and a profile is its
user. Users are DIDs; an address that names a handle gives `bluesky:username:<handle>`. A medium
without a file is `bluesky:media:<CID>`, the hash of its blob, so the same picture meets itself.

A quote and its quoted post are both read from the view. A repost is its original -repost-> the
record of the repost. A like is `linked` to what it likes.

Skipped silently: posts that are not found or blocked, cursors, and the reason "repost" of a feed
where the view does not give the address of the repost's record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first, mappings
from adapters.sources.bluesky.addresses import (
    PLATFORM,
    POST,
    authority_node,
    collection_of,
    is_at_uri,
    uri_node,
)
from adapters.sources.bluesky.embed import add_embeds, add_facets, quoted_views
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas.bluesky import TABLE

ABSENT = ("#notFoundPost", "#blockedPost", "#viewNotFound", "#viewBlocked", "#viewDetached")


# ---- Which value is what ---------------------------------------------------------------------


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is of Bluesky."""
    if isinstance(value, list):
        return max((recognise(member) for member in value[:3]), default=0.0)
    if not isinstance(value, dict) or {"category", "subcategory"} <= value.keys():
        return 0.0
    if is_record(value) or _is_commit(value) or _is_repost_reason(value.get("reason")):
        return 0.95
    if _is_profile(value) or (isinstance(value.get("$type"), str) and "." in value["$type"]):
        return 0.85
    held = (part for part in value.values() if isinstance(part, dict | list))
    return max((0.9 * recognise(part) for part in held), default=0.0)


def is_record(value: dict[str, Any]) -> bool:
    """Tell whether an object is a record with its address, alone or in a view."""
    inside = first(value.get("record"), value.get("value"))
    return is_at_uri(value.get("uri")) and (isinstance(inside, dict) or _is_list_view(value))


def _is_list_view(value: dict[str, Any]) -> bool:
    """Tell whether an object is the view of a feed generator or a list, which hold no record."""
    named = "displayName" in value or "name" in value
    return is_at_uri(value.get("uri")) and isinstance(value.get("creator"), dict) and named


def _is_profile(value: dict[str, Any]) -> bool:
    return str(value.get("did")).startswith("did:") and isinstance(value.get("handle"), str)


def _is_commit(value: dict[str, Any]) -> bool:
    return isinstance(dig(value, "commit", "collection"), str) and "did" in value


def _is_repost_reason(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("$type")).endswith("#reasonRepost")


def split(value: Any) -> Iterator[Part]:
    """Yield every record and profile of a document from the outside in."""
    if isinstance(value, list):
        for member in value:
            yield from split(member)
    elif not isinstance(value, dict):
        return
    elif is_record(value):
        yield Part(read_record, value)
        for quoted in quoted_views(value.get("embed")) + quoted_views(value.get("embeds")):
            yield from split(quoted)
    elif _is_commit(value):
        yield Part(read_commit, value)
    elif _is_profile(value):
        yield Part(read_profile, value)
    elif isinstance(value.get("$type"), str) and value["$type"].endswith(ABSENT):
        return
    elif isinstance(value.get("$type"), str) and ("createdAt" in value or "text" in value):
        yield Part(_without_address, value)
    else:
        if _is_repost_reason(value.get("reason")) and isinstance(value.get("post"), dict):
            if is_at_uri(dig(value, "reason", "uri")):
                yield Part(read_repost_reason, value)
            value = {key: part for key, part in value.items() if key != "reason"}
        for part in value.values():
            yield from split(part)


def _without_address(draft: Draft, value: Any) -> None:
    raise RecordError(f"a bare {as_text(value['$type'])} without its at:// address has no identity")


# ---- Reading ---------------------------------------------------------------------------------


def read_record(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a record with its address: a post, or anything else."""
    inside = first(raw.get("record"), raw.get("value"))
    record = inside if isinstance(inside, dict) else raw
    uri = raw["uri"]
    if collection_of(uri) == "app.bsky.actor.profile":
        _read_profile_record(draft, uri, record)
        return
    subject = uri_node(uri)
    if subject is None:
        raise RecordError(f"no at:// address of a record: {str(uri)[:80]!a}")
    draft.subject = subject
    person = first(raw.get("author"), raw.get("creator"))
    author = add_user(draft, person) or authority_node(uri)
    draft.link(author, subject, "authored")
    tags = add_facets(draft, record)
    draft.observe(
        subject,
        _meta(raw, record) | {"hashtags": tags or None},
        title=_title(record),
        update_time=parse_time(first(record.get("createdAt"), raw.get("indexedAt"))),
        author=author,
    )
    draft.tag(PLATFORM, tags)
    _add_relations(draft, record, uri)
    add_embeds(draft, raw, record)


def read_commit(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an event of Jetstream."""
    commit = raw["commit"]
    uri = f"at://{raw.get('did')}/{commit['collection']}/{commit.get('rkey')}"
    if not isinstance(commit.get("record"), dict):
        raise RecordError(f"the event says only that {uri[:200]!a} was deleted")
    record = {"uri": uri, "cid": commit.get("cid"), "value": commit["record"]}
    read_record(draft, record)


def read_repost_reason(draft: Draft, raw: dict[str, Any]) -> None:
    """Read why a post is in a feed: somebody reposted it, in a record with an address."""
    reason = raw["reason"]
    subject = uri_node(reason["uri"], POST)
    if subject is None:
        raise RecordError("the repost has no usable address")
    draft.subject = subject
    author = add_user(draft, reason.get("by")) or authority_node(reason["uri"])
    draft.link(author, subject, "authored")
    meta = {"uri": as_text(reason["uri"]), "cid": as_text(reason.get("cid"))}
    time = parse_time(reason.get("indexedAt"))
    draft.observe(subject, meta, update_time=time, author=author)
    draft.link(uri_node(dig(raw, "post", "uri")), subject, "repost")


def read_profile(draft: Draft, raw: dict[str, Any]) -> None:
    """Read the view of an account."""
    draft.subject = f"{PLATFORM}:user:{raw['did']}"
    user = add_user(draft, raw)
    if user is None:
        raise RecordError("the profile has no usable DID")
    draft.subject = user


def _read_profile_record(draft: Draft, uri: str, record: dict[str, Any]) -> None:
    user = authority_node(uri)
    if user is None:
        raise RecordError("the profile has no owner")
    draft.subject = user
    name = as_text(record.get("displayName"))
    meta = {"uri": as_text(uri), "display_name": name}
    title = first(name, as_text(record.get("description")))
    draft.observe(user, meta, title=title, update_time=parse_time(record.get("createdAt")))


def add_user(draft: Draft, raw: Any) -> str | None:
    """Say what an embedded profile tells; returns its node."""
    did = dig(raw, "did")
    if not isinstance(did, str):
        return None
    user = authority_node(f"at://{did}/")
    if user is None:
        return None
    handle = as_text(raw.get("handle"))
    meta = {
        "did": as_text(did),
        "handle": handle,
        "display_name": as_text(raw.get("displayName")),
        "follower_count": as_count(raw.get("followersCount")),
        "post_count": as_count(raw.get("postsCount")),
        "labels": _labels(raw.get("labels")),
    }
    draft.observe(user, meta, title=first(as_text(raw.get("displayName")), handle))
    if handle and handle != "handle.invalid":
        draft.link(user, authority_node(f"at://{handle}/"), "alias")
    return user


# ---- Parts -----------------------------------------------------------------------------------


def _title(record: dict[str, Any]) -> str | None:
    names = ("text", "displayName", "name", "title", "description")
    return first(*(as_text(record.get(name)) for name in names))


def _meta(raw: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    return {
        "uri": as_text(raw.get("uri")),
        "cid": as_text(raw.get("cid")),
        "like_count": as_count(raw.get("likeCount")),
        "repost_count": as_count(raw.get("repostCount")),
        "reply_count": as_count(raw.get("replyCount")),
        "quote_count": as_count(raw.get("quoteCount")),
        "bookmark_count": as_count(raw.get("bookmarkCount")),
        "languages": as_texts(record.get("langs")),
        "labels": _labels(raw.get("labels")) or _labels(dig(record, "labels", "values")),
    }


def _labels(value: Any) -> list[str] | None:
    names = [as_text(label.get("val")) for label in mappings(value)]
    return [name for name in names if name] or None


def _add_relations(draft: Draft, record: dict[str, Any], uri: str) -> None:
    reply = record.get("reply")
    draft.link(uri_node(dig(reply, "parent", "uri")), draft.subject, "reply")
    root = dig(reply, "root", "uri")
    if is_at_uri(root) and (original := uri_node(root)):
        conversation = f"{PLATFORM}:conversation:{original.split(':', 2)[2]}"
        draft.link(conversation, original, "conversation")
        draft.link(conversation, draft.subject, "conversation")
    subject = first(dig(record, "subject", "uri"), record.get("subject"))
    repeats = collection_of(uri) == "app.bsky.feed.repost"
    if is_at_uri(subject):
        target = uri_node(subject)
        if repeats:
            draft.link(target, draft.subject, "repost")
        else:
            draft.link(draft.subject, target, "linked")
    elif isinstance(subject, str) and subject.startswith("did:"):
        draft.link(draft.subject, authority_node(f"at://{subject}/"), "mentioned")


ADAPTERS = (
    DocumentAdapter(
        name="bluesky",
        tables=(TABLE,),
        recognise=recognise,
        split=of_value(split),
        expected="no view, record or event of Bluesky",
        markers=((b'"at://did:', b'"app.bsky.'), (b'"commit"', b'"app.bsky.', b'"rkey"')),
    ),
)
