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
from adapters.records.values import as_text, dig, first
from adapters.sources.bluesky.addresses import collection_of, is_at_uri, uri_node
from adapters.sources.bluesky.embed import fields_of_embeds, quoted_views, tags_of_facets
from adapters.sources.bluesky.post import BLUESKY, RULES, person_of
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.shapes import reader

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
        yield Part(_record, value)
        for quoted in quoted_views(value.get("embed")) + quoted_views(value.get("embeds")):
            yield from split(quoted)
    elif _is_commit(value):
        yield Part(_commit, value)
    elif _is_profile(value):
        yield Part(_PROFILE, value)
    elif isinstance(value.get("$type"), str) and value["$type"].endswith(ABSENT):
        return
    elif isinstance(value.get("$type"), str) and ("createdAt" in value or "text" in value):
        yield Part(_without_address, value)
    else:
        if _is_repost_reason(value.get("reason")) and isinstance(value.get("post"), dict):
            if is_at_uri(dig(value, "reason", "uri")):
                yield Part(_repost, value)
            value = {key: part for key, part in value.items() if key != "reason"}
        for part in value.values():
            yield from split(part)


def _without_address(draft: Draft, value: Any) -> None:
    raise RecordError(f"a bare {as_text(value['$type'])} without its at:// address has no identity")


# ---- Reading ---------------------------------------------------------------------------------

_PROFILE = reader(RULES, "user")


def _record(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a record with its address: a post, a profile, or anything else."""
    inside = first(raw.get("record"), raw.get("value"))
    record = inside if isinstance(inside, dict) else raw
    uri = raw["uri"]
    if collection_of(uri) == "app.bsky.actor.profile":
        owner = person_of(None, uri)
        RULES.read(draft, "profile", record | owner | {"uri": uri})
        return
    subject = uri_node(uri)
    if subject is None:
        raise RecordError(f"no at:// address of a record: {str(uri)[:80]!a}")
    person = first(raw.get("author"), raw.get("creator"))
    fields = raw | {
        "record": record,
        "author": [person_of(person, uri)],
        "hashtags": tags_of_facets(record),
        **_relations(record, uri),
        **fields_of_embeds(raw, record),
    }
    kind = subject.split(":", 2)[1]
    RULES.read(draft, kind if kind in RULES.nodes else "record", fields)
    preview = draft.media.by_address(fields["thumbnail"], draft.path)
    draft.link(draft.subject, preview, "thumbnail")


def _commit(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an event of Jetstream."""
    commit = raw["commit"]
    uri = f"at://{raw.get('did')}/{commit['collection']}/{commit.get('rkey')}"
    if not isinstance(commit.get("record"), dict):
        raise RecordError(f"the event says only that {uri[:200]!a} was deleted")
    _record(draft, {"uri": uri, "cid": commit.get("cid"), "value": commit["record"]})


def _repost(draft: Draft, raw: dict[str, Any]) -> None:
    """Read why a post is in a feed: somebody reposted it, in a record with an address."""
    reason = raw["reason"]
    author = person_of(reason.get("by"), reason["uri"])
    original = uri_node(dig(raw, "post", "uri"))
    fields = {name: reason.get(name) for name in ("uri", "cid", "indexedAt")}
    RULES.read(draft, "post", fields | {"author": [author], "reposted": original})


def _relations(record: dict[str, Any], uri: str) -> dict[str, Any]:
    """Return what a record answers, where that began, and what it is about."""
    reply, found = record.get("reply"), dict[str, Any]()
    found["answered"] = uri_node(dig(reply, "parent", "uri"))
    root = dig(reply, "root", "uri")
    if is_at_uri(root) and (original := uri_node(root)):
        found["root"] = [{"node": original, "id": original.split(":", 2)[2]}]
    subject = first(dig(record, "subject", "uri"), record.get("subject"))
    if is_at_uri(subject):
        is_repost = collection_of(uri) == "app.bsky.feed.repost"
        found["reposted" if is_repost else "about"] = uri_node(subject)
    elif isinstance(subject, str) and subject.startswith("did:"):
        found["person"] = subject
    return found


ADAPTERS = (
    DocumentAdapter(
        name="bluesky",
        tables=(BLUESKY.table,),
        recognise=recognise,
        split=of_value(split),
        expected="no view, record or event of Bluesky",
        markers=((b'"at://did:', b'"app.bsky.'), (b'"commit"', b'"app.bsky.', b'"rkey"')),
    ),
)
