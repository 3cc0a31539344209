"""The Facebook Graph API: it owns telling its objects apart, which do not say what they are.

Fields are absent unless they were asked for, so an object is known by what it has, by the edge in
the address of the next page (`/comments?`, `/albums?`), or by the object around it. `images` holds
all sizes of one photo: one medium. `paging` and `summary` are no records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_id, as_number, as_text, dig, first, mappings
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
from adapters.sources.facebook.thing import (
    PLATFORM,
    TABLES,
    Medium,
    Person,
    Thing,
    read_person,
    read_thing,
)
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value

EXPECTED = "expected posts, photos, videos, albums, events or comments of the Facebook Graph API"
_REACTIONS = ("like", "love", "wow", "haha", "sad", "angry")


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
        yield _person_item(value)
        for name in ("feed", "posts", "albums", "photos", "videos", "events"):
            yield from items_in(dig(value, name, "data") or [], name)
    else:
        yield RecordError(_error_in(value) or EXPECTED)


def _thing_in(
    value: dict[str, Any], kind: str, parent: str | None, is_inner: bool = False
) -> Iterator[Found]:
    thing = _thing(value, kind, parent)
    if thing is None:
        yield RecordError(f"the {kind} has no usable id; expected digits in id")
        return

    yield Part(read_thing, thing, value, is_inner)
    for comment in mappings(dig(value, "comments", "data")):
        yield from _thing_in(comment, "comment", thing.node, is_inner=True)
    if kind == "album":
        for photo in mappings(dig(value, "photos", "data")):
            album = {name: value.get(name) for name in ("id", "name", "created_time")}
            yield from _thing_in({"album": album, **photo}, "photo", None, is_inner=True)


def _thing(value: dict[str, Any], kind: str, parent: str | None) -> Thing | None:
    thing_id, post_id, answered = ids_of(value, kind)
    if thing_id is None:
        return None
    if kind == "comment" and parent is None:
        parent = _comment(answered) if answered else _post(post_id) if post_id else None
    album, shown_in = dig(value, "album"), as_object_id(value.get("page_story_id"))
    media, pages = _attached(value, thing_id)
    return Thing(
        kind=kind,
        id=thing_id,
        title=_title(value, kind),
        created=parse_time(value.get("created_time")),
        author=_author(value, kind, thing_id),
        wall_id=thing_id.partition("_")[0] if kind == "post" and "_" in thing_id else None,
        album=_thing(album, "album", None) if isinstance(album, dict) else None,
        shown_in=shown_in or as_object_id(value.get("post_id")),
        parent=parent if kind == "comment" else None,
        repost_of=as_object_id(value.get("parent_id")) if kind == "post" else None,
        media=_own_medium(value, kind, thing_id) or media,
        people=tuple(map(_person, mappings(value.get("message_tags")))),
        pages=pages,
        members=_dates(value),
        view_count=as_count(value.get("views")),
        columns=_columns(value),
    )


def _title(value: dict[str, Any], kind: str) -> str | None:
    names = ("message", "story", "title", "name", "description")
    if kind == "video":
        names = ("title", "description", "name")
    elif kind in ("album", "event", "photo"):
        names = ("name",)
    return as_text(first(*(value.get(name) for name in names)))


def _author(value: dict[str, Any], kind: str, thing_id: str) -> Person:
    said = first(value.get("from"), value.get("owner"))
    if isinstance(said, dict):
        return _person(said)
    status = as_text(value.get("status_type"))
    if kind == "post" and "_" in thing_id and status and status != "wall_post":
        # A visitor's post on a page is a wall_post; everything else there is by the page itself.
        return Person(thing_id.partition("_")[0])
    return Person()


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    place = value.get("place")
    reactions = {f"{name}_count": _total(value.get(name)) for name in _REACTIONS}
    likes = first(reactions["like_count"], _total(value.get("likes")), value.get("like_count"))
    comments = first(_total(value.get("comments")), value.get("comment_count"))
    return {
        **reactions,
        "like_count": as_count(likes),
        "reaction_count": _total(value.get("reactions")),
        "comment_count": as_count(comments),
        "share_count": as_count(dig(value, "shares", "count")),
        "item_count": as_count(value.get("count")),
        "status_type": as_text(value.get("status_type")),
        "permalink_url": as_text(first(value.get("permalink_url"), value.get("link"))),
        "description": as_text(value.get("description")),
        "place_name": as_text(dig(place, "name")),
        "latitude": as_number(dig(place, "location", "latitude")),
        "longitude": as_number(dig(place, "location", "longitude")),
        "start_time": parse_time(value.get("start_time")),
        "end_time": parse_time(value.get("end_time")),
    }


def _total(edge: Any) -> int | None:
    return as_count(dig(edge, "summary", "total_count"))


def _person(value: Any) -> Person:
    followers = first(dig(value, "followers_count"), dig(value, "fan_count"))
    return Person(
        id=as_id(dig(value, "id")),
        name=as_text(dig(value, "name")),
        user_name=as_text(dig(value, "username")),
        follower_count=as_count(followers),
    )


def _person_item(value: dict[str, Any]) -> Part:
    person = _person(value)

    return Part(read_person, person, value)


def _dates(value: dict[str, Any]) -> tuple[str, ...]:
    """Return the single dates of an event that happens several times."""
    ids = (as_object_id(date.get("id")) for date in mappings(value.get("event_times")))
    return tuple(describe(PLATFORM, "event", date_id) for date_id in ids if date_id)


def _post(post_id: str) -> str:
    return describe(PLATFORM, "post", post_id)


def _comment(comment_id: str) -> str:
    return describe(PLATFORM, "comment", comment_id)


# ---- Media -------------------------------------------------------------------------------------


def _own_medium(value: dict[str, Any], kind: str, thing_id: str) -> tuple[Medium, ...]:
    if kind == "photo":
        sizes = sorted(
            mappings(value.get("images")), key=lambda size: -(as_count(size.get("width")) or 0)
        )
        urls = [as_text(size.get("source")) for size in sizes]
        urls += [as_text(value.get("source")), as_text(value.get("picture"))]
    elif kind == "video":
        sizes, urls = [], [as_text(value.get("source"))]
    else:
        return ()
    picture = as_text(value.get("picture"))
    best = sizes[0] if sizes else value
    return (
        Medium(
            id=thing_id,
            type=kind,
            urls=tuple(dict.fromkeys(url for url in urls if url)),
            thumbnail_urls=(picture,) if picture and kind == "video" else (),
            alt_text=as_text(first(value.get("alt_text_custom"), value.get("alt_text"))),
            width=as_count(best.get("width")),
            height=as_count(best.get("height")),
            duration_s=as_number(value.get("length")),
        ),
    )


def _attached(value: dict[str, Any], thing_id: str) -> tuple[tuple[Medium, ...], tuple[str, ...]]:
    """Return the media that a post shows, and the pages that it links to."""
    attachments = [*_flat(dig(value, "attachments"))]
    if isinstance(single := value.get("attachment"), dict):
        attachments.append(single)
    media: dict[str, Medium] = {}
    pages: dict[str, None] = {}
    for number, attachment in enumerate(attachments, start=1):
        kind = _media_kind(attachment)
        if kind is not None:
            medium = _attached_medium(attachment, kind, f"{thing_id}_{number}")
            media.setdefault(medium.id, medium)
        elif page := _page(attachment):
            pages[page] = None
    return tuple(media.values()), tuple(pages)


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


def _attached_medium(attachment: dict[str, Any], kind: str, fallback_id: str) -> Medium:
    shown, source = (
        as_text(dig(attachment, "media", "image", "src")),
        as_text(dig(attachment, "media", "source")),
    )
    pictures, videos = (shown,) if shown else (), (source,) if source else ()
    return Medium(
        id=as_id(dig(attachment, "target", "id")) or fallback_id,
        type=kind,
        urls=videos if kind == "video" else pictures,
        thumbnail_urls=pictures if kind == "video" else (),
        width=as_count(dig(attachment, "media", "image", "width")),
        height=as_count(dig(attachment, "media", "image", "height")),
    )


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
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
