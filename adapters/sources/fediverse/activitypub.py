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

from adapters.records.values import dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.fediverse.activitypub_media import encodings, links_of, listed, media_of
from adapters.sources.fediverse.model import ACTIVITYPUB, RULES, full_name, is_address
from adapters.sources.paths import add_readers
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value, refused
from adapters.sources.reading.web_address import host_of
from adapters.sources.shapes import reader

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
IDENTITIES_MAX = 1_000


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


def split(value: Any) -> Iterator[Found]:
    """Yield the entries of a document, activities as what they are about."""
    if isinstance(value, list):
        for member in value:
            yield from split(member)
        return
    if isinstance(value, str):
        return
    kind = type_of(value) if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind is None:
        yield refused(f"no ActivityPub object: {str(value)[:80]!a}", value)
    elif kind in COLLECTIONS:
        for name in ("orderedItems", "items", "first"):
            if isinstance(value.get(name), list | dict):
                yield from split(value[name])
    elif kind in WRAPPERS:
        yield from _created(value)
    elif kind == "Announce":
        yield _repeated(value)
        if isinstance(value.get("object"), dict):
            yield from split(value["object"])
    elif kind in LIKES:
        yield _part("like", _ACTIVITY(value), value)
    elif kind in ACTORS:
        yield _part("user", actor_of(value, is_whole=True), value)
    elif kind not in SILENT:
        yield _part("post", _OBJECT(_with_lists(value)), value)


def _part(kind: str, fields: dict[str, Any], value: dict[str, Any]) -> Found:
    if not fields.get("id"):
        return refused(f"the {type_of(value)} has no id, so it cannot be known again", value)
    return Part(reader(RULES, kind), fields, value)


def _created(activity: dict[str, Any]) -> Iterator[Found]:
    """Yield the object of a Create; it is stored with its activity."""
    target = activity.get("object")
    if not isinstance(target, dict):
        yield refused(f"the {type_of(activity)} holds no object, only its address", activity)
    elif type_of(target) in POSTS or type_of(target) not in ACTORS | COLLECTIONS | SILENT:
        told = target | {
            "attributedTo": target.get("attributedTo") or activity.get("actor"),
            "published": target.get("published") or activity.get("published"),
        }
        yield _part("post", _OBJECT(_with_lists(told)), activity)
    else:
        yield from split(target)


def _repeated(value: dict[str, Any]) -> Found:
    fields = _ACTIVITY(value)
    if fields.get("id") and not fields.get("objects"):
        return refused("the Announce does not name what it repeats", value)
    about = {"text": None, "liked": None, "repeats": fields.get("objects")}
    return _part("post", fields | about, value)


def type_of(value: dict[str, Any]) -> str | None:
    """Return the type; the first that is text where there are several."""
    kinds = value.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind:
            return kind
    return None


# ---- Fields ----------------------------------------------------------------------------------


def identities(value: Any) -> list[str]:
    """Return the ids that a property names: text, object with an id, or a list of either."""
    found = [
        first(one.get("id"), one.get("href")) if isinstance(one, dict) else one
        for one in listed(value)[:IDENTITIES_MAX]
    ]
    return [one for one in found if isinstance(one, str) and one.strip()]


def _groups(value: Any) -> list[str]:
    return [one for one in identities(value) if not one.endswith(("#Public", "/followers"))]


def _of_pages(value: Any) -> list[str]:
    return [href for kind, href, _ in links_of(value) if kind in (None, "text/html")]


add_readers(
    ids=identities,
    groups=_groups,
    page_of=_of_pages,
    link=lambda value: [href for _, href, _ in links_of(value)],
)


def _actor(fields: dict[str, Any]) -> dict[str, Any]:
    kind = type_of(fields)
    return fields | {
        "object_type": kind,
        "is_bot": kind in ("Service", "Application"),
        "user_name": full_name(fields.get("account"), fields.get("id")),
    }


_ACTOR = recast(
    """
    id = id:text|"@id":text
    uri = id
    url = url:link
    server = id:host
    type = type
    account = preferredUsername:text
    display_name = name:post_html
    follower_count = followers:total
    following_count = following:total
    post_count = outbox:total
    joined = published
    updated = updated
    """,
    _actor,
)


def actor_of(raw: Any, is_whole: bool = False) -> dict[str, Any]:
    """Return what somebody tells of themself; of one who is only named, the name."""
    if not is_whole:
        is_told = isinstance(raw, dict) and {"name", "preferredUsername"} & raw.keys()
        named = next(iter(identities(raw)), None)
        return _ACTOR(raw) | {"id": named} if is_told else {"id": named}
    pages = _of_pages(raw.get("url"))
    pictures = [
        {"title": name, "media_url": href, "position": position}
        for position, name in enumerate(("icon", "image"))
        for _, href, _ in links_of(raw.get(name))
    ]
    told = _ACTOR(raw) if {"name", "preferredUsername"} & raw.keys() else {"id": raw.get("id")}
    return told | {"page": pages[0] if pages and is_address(pages[0]) else None,
                   "pictures": pictures}  # fmt: skip


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    raw, pages = fields["raw"], fields.get("urls", [])
    groups = [one for one in raw["attributedTo"] if dig(one, "type") == "Group"]
    people = [one for one in raw["attributedTo"] if one not in groups and identities(one)]
    media = media_of(raw)
    previews = fields.get("previews", [])
    if len(media) == 1:
        media[0]["thumbs"] = previews
    return fields | _attached(raw) | {
        "object_type": type_of(raw),
        "spoiler_text": fields.get("summary") if type_of(raw) in WARNED else None,
        "url": pages[0] if pages else None,
        "page": pages[0] if pages and is_address(pages[0]) else None,
        "author": [actor_of(one) for one in people[:1]],
        "credited": [actor_of(one) for one in people[1:]],
        "groups": [actor_of(one) for one in groups],
        "mentioned": [f"activitypub:user:{one}" for one in fields.get("mentions", ())],
        "media": media,
        "previews": previews if len(media) != 1 else None,
        "stem": str(raw.get("id")).rstrip("/").rpartition("/")[2],
    }  # fmt: skip


def _attached(raw: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the pages and posts that are attached."""
    others = [one for one in mappings(raw["attachment"]) if not encodings(one)]
    links = [one for one in others if one.get("type") in ("Link", "Page", "Article")]
    found = [
        href for one in links for _, href, _ in links_of(first(one.get("href"), one.get("url")))
    ]
    return {
        "pages": [href for href in found if is_address(href) and host_of(href)],
        "posts": [one.get("id") for one in others if one.get("type") == "Note"],
    }


def _with_lists(raw: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose parts are lists also where there is one or none."""
    lists = {name: listed(raw.get(name)) for name in ("attributedTo", "tag", "attachment")}
    return {"raw": raw | lists} | raw | lists


_OBJECT = recast(
    """
    raw = raw
    id = id:text|"@id":text
    uri = id
    urls[] = url:page_of
    server = id:host
    language = language.identifier|contentMap:keys
    headline = name:post_html|nameMap:any_language:post_html
    text = .:written
    summary = summary:post_html
    is_sensitive = sensitive
    favourite_count = likes:total
    dislike_count = dislikes:total
    reblog_count = shares:total
    reply_count = replies:total|comments:total
    hashtags[] = tag[type=Hashtag].name:hash
    mentions[] = tag[type=Mention].href
    poll_options[] = oneOf[].name,anyOf[].name
    poll_vote_count = votersCount
    published = published
    edited = updated
    start = startTime
    location_name = location.name
    view = views
    answers[] = inReplyTo:ids
    answered_by[] = replies.items:ids,replies.orderedItems:ids,replies.first.items:ids \
        ,replies.first.orderedItems:ids
    quotes[] = quote:ids,quoteUrl:ids,quoteUri:ids,_misskey_quote:ids
    conversation = conversation:string|context:string
    audience[] = audience:groups
    previews[] = icon:link,image:link,preview:link
    """,
    _object,
)
_ACTIVITY = recast(
    """
    raw = .
    id = id:text|"@id":text
    uri = id
    server = id:host
    text = content
    time = published
    objects[] = object:ids
    """,
    lambda fields: fields | {
        "object_type": type_of(fields["raw"]),
        "liked": fields.get("objects"),
        "author": [actor_of(one) for one in listed(fields["raw"].get("actor"))[:1]],
    },
)  # fmt: skip


ADAPTERS = (
    DocumentAdapter(
        name="activitypub",
        tables=(ACTIVITYPUB.table,),
        recognise=recognise,
        split=of_value(split),
        expected="no ActivityPub object or collection",
        markers=((b"activitystreams", b'"orderedItems"'), (b"activitystreams", b'"attributedTo"')),
    ),
)
