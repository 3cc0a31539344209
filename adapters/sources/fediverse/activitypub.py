"""ActivityPub objects: it owns activities, posts of every type, actors and collections of them.

Reads single objects and collections (an outbox, a featured list): Note, Article, Page, Question,
Video, Audio, Image, Event and the like become posts, Person, Group, Service, Organization and
Application become people. Create, Update and Add mean their object; Announce is a repost with the
activity's own id; Like and Dislike become a record of their own that is `linked` to the object.

`url`, `attributedTo`, `inReplyTo`, `tag` and `attachment` may be text, object or list. Of several
people in `attributedTo` the first is the author, the others are credited; groups (a PeerTube
channel) have the post as a member. All encodings of a PeerTube video are one medium: the largest
whose file is there, the others variants. An address in a collection says nothing and is skipped,
and so are Follow, Block, Accept, Reject, Undo and Delete beside other things.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_text, dig, first, mappings
from adapters.sources.fediverse.activitypub_media import add_media
from adapters.sources.fediverse.activitypub_parts import (
    PLATFORM,
    add_alias,
    full_name,
    host_of,
    identity_node,
)
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.rich_text import text_of_post
from adapters.sources.schemas.activitypub import TABLE

ACTORS = frozenset({"Person", "Service", "Application", "Group", "Organization"})
WRAPPERS = frozenset({"Create", "Update", "Add"})
LIKES = frozenset({"Like", "Dislike", "EmojiReact"})
SILENT = frozenset(
    {"Follow", "Block", "Accept", "Reject", "Undo", "Delete", "Remove", "Flag", "Move", "Tombstone"}
)
COLLECTIONS = frozenset(
    {"Collection", "OrderedCollection", "CollectionPage", "OrderedCollectionPage"}
)
POSTS = frozenset(
    {"Note", "Article", "Page", "Question", "Video", "Audio", "Image", "Event", "Document"}
)
WARNED = frozenset({"Note", "Question"})
"""Types whose summary is a content warning; elsewhere it is an abstract."""
ANSWERS_MAX = 1_000


# ---- Which value is what ---------------------------------------------------------------------


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is ActivityPub."""
    if isinstance(value, list):
        return max((recognise(member) for member in value[:3]), default=0.0)
    if not isinstance(value, dict):
        return 0.0
    kind = type_of(value)
    known = kind in ACTORS | WRAPPERS | LIKES | SILENT | COLLECTIONS | POSTS | {"Announce"}
    if "activitystreams" in str(value.get("@context"))[:2_000]:
        return 0.95 if known else 0.8
    told = {"attributedTo", "actor", "inbox", "orderedItems"} & value.keys()
    return 0.85 if known and told and isinstance(value.get("id"), str) else 0.0


def split(value: Any) -> Iterator[Part]:
    """Yield the entries of a document, activities as what they are about."""
    if isinstance(value, list):
        for member in value:
            yield from split(member)
        return
    if isinstance(value, str):
        return
    kind = type_of(value) if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind is None:
        yield Part(_unknown, value)
    elif kind in COLLECTIONS:
        for name in ("orderedItems", "items", "first"):
            if isinstance(value.get(name), list | dict):
                yield from split(value[name])
    elif kind in WRAPPERS:
        yield from _created(value)
    elif kind == "Announce":
        yield Part(read_announce, value)
        if isinstance(value.get("object"), dict):
            yield from split(value["object"])
    elif kind in LIKES:
        yield Part(read_like, value)
    elif kind not in SILENT:
        yield Part(read_actor if kind in ACTORS else read_post, value)


def _created(activity: dict[str, Any]) -> Iterator[Part]:
    """Yield the object of a Create; it is stored with its activity."""
    target = activity.get("object")
    if not isinstance(target, dict):
        yield Part(_only_address, activity)
    elif type_of(target) in POSTS or type_of(target) not in ACTORS | COLLECTIONS | SILENT:
        yield Part(_read_created, activity)
    else:
        yield from split(target)


def type_of(value: dict[str, Any]) -> str | None:
    """Return the type; the first that is text where there are several."""
    kinds = value.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind:
            return kind
    return None


def _only_address(draft: Draft, value: Any) -> None:
    raise RecordError(f"the {type_of(value)} holds no object, only its address")


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no ActivityPub object: {str(value)[:80]!a}")


# ---- Reading ---------------------------------------------------------------------------------


def _read_created(draft: Draft, activity: dict[str, Any]) -> None:
    target = dict(activity["object"])
    if not target.get("attributedTo"):
        target["attributedTo"] = activity.get("actor")
    if not target.get("published"):
        target["published"] = activity.get("published")
    read_post(draft, target)


def read_post(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an object that somebody made."""
    subject = _subject("post", raw)
    draft.subject = subject
    author = _add_people(draft, raw)
    hashtags = _add_tags(draft, raw)
    pages = [href for kind, href, _ in links_of(raw.get("url")) if kind in (None, "text/html")]
    updated = parse_time(raw.get("updated"))
    meta = {
        "uri": as_text(raw.get("id")),
        "url": as_text(pages[0]) if pages else None,
        "server": host_of(raw.get("id")),
        "object_type": type_of(raw),
        "language": language_of(raw),
        "spoiler_text": text_of_post(raw.get("summary")) if type_of(raw) in WARNED else None,
        "is_sensitive": as_boolean(raw.get("sensitive")),
        "favourite_count": _count(raw.get("likes")),
        "dislike_count": _count(raw.get("dislikes")),
        "reblog_count": _count(raw.get("shares")),
        "reply_count": first(_count(raw.get("replies")), _count(raw.get("comments"))),
        "hashtags": hashtags,
        "poll_options": _answers(raw),
        "poll_vote_count": as_count(raw.get("votersCount")),
        "edited_time": updated,
        "start_time": parse_time(raw.get("startTime")),
        "location_name": as_text(dig(raw, "location", "name")),
    }
    draft.observe(
        subject,
        meta,
        title=title_of(raw),
        view=as_count(raw.get("views")),
        update_time=updated or parse_time(raw.get("published")),
        author=author,
    )
    if pages:
        add_alias(draft, "post", subject, pages[0])
    _add_relations(draft, raw)
    add_media(draft, raw)


def read_announce(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a repost."""
    draft.subject = _subject("post", raw)
    author = _add_people(draft, raw | {"attributedTo": raw.get("actor")})
    meta = {
        "uri": as_text(raw.get("id")),
        "server": host_of(raw.get("id")),
        "object_type": "Announce",
    }
    time = parse_time(raw.get("published"))
    draft.observe(draft.subject, meta, update_time=time, author=author)
    originals = [identity_node("post", one) for one in identities(raw.get("object"))]
    if not any(originals):
        raise RecordError("the Announce does not name what it repeats")
    for original in originals:
        draft.link(original, draft.subject, "repost")


def read_like(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a like or a reaction; it is a record of its own beside the post."""
    draft.subject = _subject("record", raw)
    author = _add_people(draft, raw | {"attributedTo": raw.get("actor")})
    meta = {
        "uri": as_text(raw.get("id")),
        "server": host_of(raw.get("id")),
        "object_type": type_of(raw),
    }
    title, time = as_text(raw.get("content")), parse_time(raw.get("published"))
    draft.observe(draft.subject, meta, title=title, update_time=time, author=author)
    for liked in identities(raw.get("object")):
        draft.link(draft.subject, identity_node("post", liked), "linked")


def read_actor(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a person, group or program."""
    subject = _subject("user", raw)
    draft.subject = subject
    add_actor(draft, raw)
    pages = [href for kind, href, _ in links_of(raw.get("url")) if kind in (None, "text/html")]
    if pages:
        add_alias(draft, "user", subject, pages[0])
    for position, name in enumerate(("icon", "image")):
        for _, address, _ in links_of(raw.get(name)):
            file = draft.media.by_address(address, draft.path) or draft.media.by_path(
                address.lstrip("/") if not address.startswith("http") else None, draft.path
            )
            draft.link(draft.subject, file, "contains", position)
            if file is not None:
                draft.observe_medium(file, {"media_url": as_text(address)}, name)


def add_actor(draft: Draft, raw: dict[str, Any]) -> None:
    """Say what an embedded actor tells about itself."""
    user = identity_node("user", raw.get("id"))
    if user is None or not {"name", "preferredUsername"} & raw.keys():
        return
    meta = {
        "uri": as_text(raw.get("id")),
        "url": next((as_text(href) for _, href, _ in links_of(raw.get("url"))), None),
        "server": host_of(raw.get("id")),
        "object_type": type_of(raw),
        "user_name": full_name(raw.get("preferredUsername"), raw.get("id")),
        "display_name": text_of_post(raw.get("name")),
        "follower_count": _count(raw.get("followers")),
        "following_count": _count(raw.get("following")),
        "post_count": _count(raw.get("outbox")),
        "joined_time": parse_time(raw.get("published")),
        "is_bot": type_of(raw) in ("Service", "Application"),
    }
    title = first(text_of_post(raw.get("name")), as_text(raw.get("preferredUsername")))
    draft.observe(user, meta, title=title, update_time=parse_time(raw.get("updated")))


# ---- Parts -----------------------------------------------------------------------------------


def _subject(kind: str, raw: dict[str, Any]) -> str:
    subject = identity_node(kind, first(raw.get("id"), raw.get("@id")))
    if subject is None:
        raise RecordError(f"the {type_of(raw)} has no id, so it cannot be known again")
    return subject


def title_of(raw: dict[str, Any]) -> str | None:
    """Return the name of an object, else its text, else its summary."""
    name = first(as_text(raw.get("name")), _of_map(raw.get("nameMap")))
    content = first(raw.get("content"), _of_map(raw.get("contentMap")))
    markdown = raw.get("mediaType") == "text/markdown"
    text = as_text(content) if markdown else text_of_post(content)
    return first(text_of_post(name), text, text_of_post(raw.get("summary")))


def language_of(raw: dict[str, Any]) -> str | None:
    """Return the language of the text, as its map or PeerTube says."""
    said = dig(raw, "language", "identifier")
    if isinstance(raw.get("contentMap"), dict):
        said = first(said, *raw["contentMap"])
    return as_text(said)


def _of_map(value: Any) -> Any:
    return next(iter(value.values()), None) if isinstance(value, dict) else None


def links_of(value: Any) -> list[tuple[str | None, str, dict[str, Any]]]:
    """Return (media type, address, link object) of a `url`: text, Link, or a list of either."""
    found: list[tuple[str | None, str, dict[str, Any]]] = []
    for one in value if isinstance(value, list) else [value]:
        link = one if isinstance(one, dict) else {"href": one}
        href = first(link.get("href"), link.get("url"))
        if isinstance(href, str) and href.strip():
            kind = first(link.get("mediaType"), link.get("mimeType"))
            found.append((kind if isinstance(kind, str) else None, href.strip(), link))
        elif isinstance(href, list | dict) and "url" in link:
            found += links_of(href)
    return found[:ANSWERS_MAX]


def identities(value: Any) -> list[str]:
    """Return the ids that a property names: text, object with an id, or a list of either."""
    found = [
        first(one.get("id"), one.get("href")) if isinstance(one, dict) else one
        for one in (value if isinstance(value, list) else [value])[:ANSWERS_MAX]
    ]
    return [one for one in found if isinstance(one, str) and one.strip()]


def _add_people(draft: Draft, raw: dict[str, Any]) -> str | None:
    """Tie everyone in attributedTo and audience; returns the author."""
    author = None
    made_by = raw.get("attributedTo")
    for one in made_by if isinstance(made_by, list) else [made_by]:
        named = identities(one)
        if not named:
            continue
        person = identity_node("user", named[0])
        if isinstance(one, dict):
            add_actor(draft, one)
        if isinstance(one, dict) and type_of(one) == "Group":
            draft.link(person, draft.subject, "member")
        elif author is None:
            author = person
            draft.link(person, draft.subject, "authored")
        else:
            draft.link(person, draft.subject, "credited")
    for group in identities(raw.get("audience")):
        if not group.endswith(("#Public", "/followers")):
            draft.link(identity_node("user", group), draft.subject, "member")
    return author


def _add_tags(draft: Draft, raw: dict[str, Any]) -> list[str] | None:
    tags = raw.get("tag")
    names: list[str] = []
    for tag in mappings([tags] if isinstance(tags, dict) else tags):
        name = as_text(tag.get("name"))
        if tag.get("type") == "Hashtag" and name and name.lstrip("#"):
            names.append(name.lstrip("#"))
        elif tag.get("type") == "Mention":
            draft.link(draft.subject, identity_node("user", tag.get("href")), "mentioned")
    draft.tag(PLATFORM, names)
    return names or None


def _add_relations(draft: Draft, raw: dict[str, Any]) -> None:
    for answered in identities(raw.get("inReplyTo")):
        draft.link(identity_node("post", answered), draft.subject, "reply")
    conversation = first(raw.get("conversation"), raw.get("context"))
    if isinstance(conversation, str):
        draft.link(reference(PLATFORM, "conversation", conversation), draft.subject, "conversation")
    for name in ("quote", "quoteUrl", "quoteUri", "_misskey_quote"):
        for quoted in identities(raw.get(name)):
            draft.link(identity_node("post", quoted), draft.subject, "quote")
    replies = raw.get("replies")
    for holder in (replies, dig(replies, "first")):
        for answer in identities(first(dig(holder, "items"), dig(holder, "orderedItems"))):
            draft.link(draft.subject, identity_node("post", answer), "reply")


def _count(value: Any) -> int | None:
    """Return a counter: a number, or a collection that says how many it holds."""
    return as_count(dig(value, "totalItems") if isinstance(value, dict) else value)


def _answers(raw: dict[str, Any]) -> list[str] | None:
    names = [
        as_text(one.get("name")) for key in ("oneOf", "anyOf") for one in mappings(raw.get(key))
    ]
    return [name for name in names if name] or None


ADAPTERS = (
    DocumentAdapter(
        name="activitypub",
        tables=(TABLE,),
        recognise=recognise,
        split=of_value(split),
        expected="no ActivityPub object or collection",
        markers=((b"activitystreams", b'"orderedItems"'), (b"activitystreams", b'"attributedTo"')),
    ),
)
