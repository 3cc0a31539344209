"""The Facebook Graph API: it owns telling its objects apart, which do not say what they are.

Fields are absent unless they were asked for, so an object is known by what it has, by the edge in
the address of the next page (`/comments?`, `/albums?`), or by the object around it. `images` holds
all sizes of one photo: one medium. `paging` and `summary` are no records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_count, as_id, as_text, dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.facebook.shape import (
    KIND_OF_EDGE,
    as_object_id,
    edge_of,
    ids_of,
    is_certain,
    is_person,
    kind_of,
    objects_by_id,
    split_address,
)
from adapters.sources.facebook.thing import FACEBOOK, RULES, tags_in, with_names
from adapters.sources.paths import compiled
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value
from adapters.sources.shapes import reader

EXPECTED = "expected posts, photos, videos, albums, events or comments of the Facebook Graph API"
_NAMES = {
    "video": compiled("title|description|name").first_of(as_text),
    **dict.fromkeys(("album", "event", "photo"), compiled("name").first_of(as_text)),
}
_OTHER_NAMES = compiled("message|story|title|name|description").first_of(as_text)
"""Where the title of a kind is; of all others it is the message or what comes nearest to it."""


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds objects of the API."""
    data = dig(value, "data")
    members = [value, *(data[:5] if isinstance(data, list) else objects_by_id(value)[:5])]
    return any(is_certain(member) for member in members) or (
        isinstance(data, list)
        and edge_of(value) in KIND_OF_EDGE
        and all(kind_of(member, None) for member in data[:5])
    )


def items_in(value: Any, edge: str | None = None) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member, edge)
    elif isinstance(dig(value, "data"), list) and kind_of(value, None) is None:
        yield from items_in(value["data"], edge_of(value) or edge)
    elif looked_up := objects_by_id(value):
        yield from items_in(looked_up, edge)
    elif kind := kind_of(value, KIND_OF_EDGE.get(edge or "")):
        yield from _thing_in(value, kind, None)
    elif is_person(value):
        yield Part(reader(RULES, "person"), _PERSON(value), value)
        for name in ("feed", "posts", "albums", "photos", "videos", "events"):
            yield from items_in(dig(value, name, "data") or [], name)
    else:
        yield RecordError(_error_in(value) or EXPECTED)


def _thing_in(
    value: dict[str, Any], kind: str, parent: dict[str, Any] | None, is_inner: bool = False
) -> Iterator[Found]:
    thing = _thing(value, kind, parent)
    if thing is None:
        yield RecordError(f"the {kind} has no usable id; expected digits in id")
        return

    yield Part(reader(RULES, kind), thing, value, is_inner)
    node_kind = "post" if kind in ("photo", "video") else kind
    for comment in mappings(dig(value, "comments", "data")):
        yield from _thing_in(comment, "comment", {f"on_{node_kind}": thing["id"]}, is_inner=True)
    if kind == "album":
        for photo in mappings(dig(value, "photos", "data")):
            album = {name: value.get(name) for name in ("id", "name", "created_time")}
            yield from _thing_in({"album": album, **photo}, "photo", None, is_inner=True)


def _thing(
    value: dict[str, Any], kind: str, parent: dict[str, Any] | None
) -> dict[str, Any] | None:
    thing_id, post_id, answered = ids_of(value, kind)
    if thing_id is None:
        return None
    if kind == "comment" and parent is None:
        parent = {"on_comment": answered} if answered else {"on_post": post_id}
    album, shown_in = value.get("album"), as_object_id(value.get("page_story_id"))
    shown_in = shown_in or as_object_id(value.get("post_id"))
    media, pages = _attached(value, thing_id)
    title, _ = _NAMES.get(kind, _OTHER_NAMES)(value)
    is_post = kind == "post"
    return _THING(value) | (parent or {}) | {
        "id": thing_id,
        "kind": kind,
        "title": title,
        "hashtags": tags_in(title),
        "author": [_author(value, kind, thing_id)],
        "wall_id": thing_id.partition("_")[0] if is_post and "_" in thing_id else None,
        "album": _thing(album, "album", None) if isinstance(album, dict) else None,
        "shown_in": shown_in if shown_in != thing_id else None,
        "repost_of": as_object_id(value.get("parent_id")) if is_post else None,
        "media": with_names(_own_medium(value, kind, thing_id) or media, thing_id),
        "pages": pages,
        "dates": [as_object_id(date.get("id")) for date in mappings(value.get("event_times"))],
    }  # fmt: skip


_PERSON = recast("""
    id = id:id
    name = name
    user_name = username
    follower_count = followers_count|fan_count
""")
_THING = recast("""
    created = created_time
    view_count = views
    status_type = status_type
    permalink_url = permalink_url|link
    reaction_count = reactions.summary.total_count
    like_count = like.summary.total_count|likes.summary.total_count|like_count
    love_count = love.summary.total_count
    wow_count = wow.summary.total_count
    haha_count = haha.summary.total_count
    sad_count = sad.summary.total_count
    angry_count = angry.summary.total_count
    comment_count = comments.summary.total_count|comment_count
    share_count = shares.count
    item_count = count
    description = description
    place_name = place.name
    latitude = place.location.latitude
    longitude = place.location.longitude
    start_time = start_time
    end_time = end_time
    people[] = message_tags[].id:id
""")


def _author(value: dict[str, Any], kind: str, thing_id: str) -> dict[str, Any]:
    said = first(value.get("from"), value.get("owner"))
    if isinstance(said, dict):
        return _PERSON(said)
    status = as_text(value.get("status_type"))
    # A visitor's post on a page is a wall_post; everything else there is by the page itself.
    is_own = kind == "post" and "_" in thing_id and status and status != "wall_post"
    return {"id": thing_id.partition("_")[0]} if is_own else {}


# ---- Media -------------------------------------------------------------------------------------


def _own_medium(value: dict[str, Any], kind: str, thing_id: str) -> list[dict[str, Any]]:
    if kind not in ("photo", "video"):
        return []
    sizes = sorted(
        mappings(value.get("images")), key=lambda one: -(as_count(one.get("width")) or 0)
    )
    sizes = sizes if kind == "photo" else []
    picture = as_text(value.get("picture"))
    urls = [as_text(size.get("source")) for size in sizes] + [as_text(value.get("source"))]
    urls += [picture] if kind == "photo" else []
    best = sizes[0] if sizes else value
    return [
        {
            "id": thing_id,
            "type": kind,
            "urls": [url for url in dict.fromkeys(urls) if url],
            "thumbs": [picture] if picture and kind == "video" else [],
            "alt_text": first(value.get("alt_text_custom"), value.get("alt_text")),
            "width": best.get("width"),
            "height": best.get("height"),
            "duration_s": value.get("length"),
        }
    ]


def _attached(value: dict[str, Any], thing_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the media that a post shows, and the pages that it links to."""
    attachments = [*_flat(dig(value, "attachments"))]
    if isinstance(single := value.get("attachment"), dict):
        attachments.append(single)
    media: dict[str, dict[str, Any]] = {}
    pages: dict[str, None] = {}
    for number, attachment in enumerate(attachments, start=1):
        kind = _media_kind(attachment)
        if kind is not None:
            medium = _attached_medium(attachment, kind, f"{thing_id}_{number}")
            media.setdefault(medium["id"], medium)
        elif page := _page(attachment):
            pages[page] = None
    return list(media.values()), list(pages)


def _flat(attachments: Any) -> Iterator[dict[str, Any]]:
    """Yield attachments; of an album, the parts instead of it."""
    for attachment in mappings(dig(attachments, "data")):
        parts = list(_flat(attachment.get("subattachments")))
        yield from parts or [attachment]


def _media_kind(attachment: dict[str, Any]) -> str | None:
    said = as_text(first(attachment.get("media_type"), attachment.get("type"))) or ""
    if said.startswith("video") or dig(attachment, "media", "source"):
        return "video"
    is_photo = said in ("photo", "album", "cover_photo", "profile_media")
    return "photo" if is_photo and isinstance(dig(attachment, "media"), dict) else None


def _attached_medium(attachment: dict[str, Any], kind: str, fallback: str) -> dict[str, Any]:
    shown = as_text(dig(attachment, "media", "image", "src"))
    source = as_text(dig(attachment, "media", "source"))
    pictures, videos = [shown] if shown else [], [source] if source else []
    return {
        "id": as_id(dig(attachment, "target", "id")) or fallback,
        "type": kind,
        "urls": videos if kind == "video" else pictures,
        "thumbs": pictures if kind == "video" else [],
        "width": dig(attachment, "media", "image", "width"),
        "height": dig(attachment, "media", "image", "height"),
    }


def _page(attachment: dict[str, Any]) -> str | None:
    """Return the page outside of Facebook that an attachment leads to."""
    url = as_text(attachment.get("unshimmed_url"), 2_000) or ""
    host = (split_address(url).hostname or "") if url.startswith(("http://", "https://")) else ""
    return url if host and not f".{host}".endswith(".facebook.com") else None


def _error_in(value: Any) -> str | None:
    said = as_text(dig(value, "error", "message"), 200)
    return f"only an error in it: {said}" if said else None


ADAPTERS = (
    DocumentAdapter(
        name="facebook-graph",
        tables=(FACEBOOK.table,),
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
