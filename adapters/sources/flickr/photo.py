"""One photo of Flickr: it owns what the fields of a photo mean in every notation."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_number, as_text, as_texts, dig, first
from adapters.sources.flickr.media import contain_photo, largest, sizes_of
from adapters.sources.flickr.notation import license_name, members, taken, text_of, typed
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft

NOTES_MAX = 1_000
SAFETY_LEVELS = {0: "safe", 1: "moderate", 2: "restricted"}


def read_photo(draft: Draft, value: Any, collection: str | None = None) -> None:
    """Read a photo; `collection` is the album, gallery or group whose list it stands in."""
    photo = as_object(value, "the photo")
    identity = as_text(photo.get("id"))
    post = describe("flickr", "post", photo.get("id"))
    author = _owner(draft, photo)
    meta = _meta(photo)
    title = text_of(photo.get("title")) or text_of(photo.get("description"))
    posted = first(dig(photo, "dates", "posted"), typed(photo.get("date_posted")),
                   photo.get("dateuploaded"), photo.get("dateupload"))  # fmt: skip
    time = parse_time(posted)
    view = as_count(photo.get("views"))
    draft.observe(post, title=title, view=view, update_time=time, author=author, meta=meta)
    draft.link(author, post, "authored")
    draft.link(collection, post, "member")
    draft.tag("flickr", meta["tags"], post)
    sizes = sizes_of(photo)
    urls = [url for size in sizes if (url := as_text(size.get("source")))]
    medium = contain_photo(draft, post, identity or "", urls)
    if medium is not None:
        about = {name: meta[name] for name in ("photo_id", "media_url", "width", "height")}
        about |= {name: meta[name] for name in ("license", "media_type")}
        draft.observe(
            medium, is_root=True, title=title, update_time=time, author=author, meta=about
        )
    _notes(draft, post, photo)
    draft.subject = post


def _meta(photo: dict[str, Any]) -> dict[str, Any]:
    size = largest(sizes_of(photo))
    original = {
        "width": as_count(first(photo.get("o_width"), dig(photo, "video", "width"))),
        "height": as_count(first(photo.get("o_height"), dig(photo, "video", "height"))),
    }
    if original["width"] and original["height"]:
        size |= original
    media = photo.get("media")
    size["media_type"] = (as_text(media) if isinstance(media, str) else None) or size["media_type"]
    safety = photo.get("safety_level")
    number = as_count(safety)
    comments = photo.get("comments")
    return {
        "photo_id": as_text(photo.get("id")),
        "license": license_name(photo.get("license")),
        "favorite_count": as_count(photo.get("count_faves")),
        "comment_count": as_count(first(dig(comments, "_content"), photo.get("count_comments"))),
        **_taken(photo),
        "tags": tags_of(photo.get("tags")),
        **_location(photo),
        "safety_level": as_text(safety) if number is None else SAFETY_LEVELS.get(number),
        **size,
    }


def _taken(photo: dict[str, Any]) -> dict[str, Any]:
    if isinstance(dates := photo.get("dates"), dict):
        unknown = dates.get("takenunknown")
        return taken(dates.get("taken"), dates.get("takengranularity"), unknown)
    if isinstance(date := photo.get("date_taken"), dict):
        return taken(date.get("value"), date.get("granularity"), None)
    unknown = photo.get("datetakenunknown")
    return taken(photo.get("datetaken"), photo.get("datetakengranularity"), unknown)


def _location(photo: dict[str, Any]) -> dict[str, Any]:
    inner = photo.get("location")
    place = inner if isinstance(inner, dict) else photo
    # Lists write latitude, longitude and accuracy 0 for a photo without a place.
    if as_count(place.get("accuracy")) == 0:
        return {}
    return {name: as_number(place.get(name)) for name in ("latitude", "longitude")}


def tags_of(value: Any) -> list[str] | None:
    """Return the tags as Flickr writes them, without spaces: of a text, a list, or objects."""
    if isinstance(value, str):
        return as_texts(value.split())
    if isinstance(value, dict):
        return as_texts(
            [first(tag.get("_content"), tag.get("raw")) for tag in members(value, "tag")]
        )
    return as_texts(value)


def _owner(draft: Draft, photo: dict[str, Any]) -> str | None:
    owner = photo.get("owner")
    if isinstance(owner, dict):
        return observe_user(draft, owner)
    named = {"nsid": owner, "username": photo.get("ownername"), "realname": photo.get("realname"),
             "path_alias": photo.get("pathalias")}  # fmt: skip
    return observe_user(draft, named)


def observe_user(draft: Draft, user: dict[str, Any]) -> str | None:
    """Add a person with the names that a record gives; None without an id."""
    identity = first(user.get("nsid"), user.get("id"))
    node = reference("flickr", "user", identity)
    if node is None:
        return None
    name, real_name = text_of(user.get("username")), text_of(user.get("realname"))
    meta = {"user_id": as_text(identity), "user_name": name, "real_name": real_name}
    draft.observe(node, title=name or real_name, meta=meta)
    draft.link(node, username("flickr", user.get("path_alias")), "alias")
    return node


def _notes(draft: Draft, post: str, photo: dict[str, Any]) -> None:
    """Read the notes that people drew on the photo: answers to it, with a place."""
    for note in members(photo.get("notes"), "note")[:NOTES_MAX]:
        node = reference("flickr", "note", note.get("id"))
        author = observe_user(draft, _author_of(note))
        if node:
            draft.link(post, node, "reply")
            draft.link(author, node, "authored")
            draft.observe(node, title=text_of(note), author=author)


def _author_of(value: dict[str, Any]) -> dict[str, Any]:
    real_name = first(value.get("authorrealname"), value.get("realname"))
    return {"nsid": value.get("author"), "username": value.get("authorname"),
            "realname": real_name, "path_alias": value.get("path_alias")}  # fmt: skip


def read_comment(draft: Draft, value: Any, photo: str | None) -> None:
    """Read a comment on a photo."""
    comment = as_object(value, "the comment")
    node = describe("flickr", "comment", comment.get("id"))
    author = observe_user(draft, _author_of(comment))
    draft.link(photo, node, "reply")
    draft.link(author, node, "authored")
    time = parse_time(comment.get("datecreate"))
    draft.observe(node, title=text_of(comment), update_time=time, author=author)
    draft.subject = node
