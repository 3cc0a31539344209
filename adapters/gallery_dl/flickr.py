"""Flickr as gallery-dl writes it: it owns what the fields of a photo mean.

A photo page is the post and holds one medium. `date` is when it was uploaded, `taken` when it was
taken. An owner is known by the NSID; a set is an album; galleries and
groups are of kinds of their own.
"""

from __future__ import annotations

from typing import Any

from adapters.gallery_dl.draft import Draft, Person, Sidecar, reference
from adapters.gallery_dl.fields import address, plain, posted, tags_of
from adapters.times import parse_time
from adapters.values import as_count, as_number, as_text, dig, first

PLATFORM = "flickr"
GRANULARITIES = {0: "second", 4: "month", 6: "year", 8: "circa"}


def draft_of(sidecar: Sidecar) -> Draft:
    """Read one sidecar of Flickr."""
    data = sidecar.data
    draft = Draft(PLATFORM, position=0)
    draft.post = reference(PLATFORM, "post", data.get("id"))
    draft.author = _user(first(data.get("user"), data.get("owner")), data)
    draft.title = _content(data.get("title")) or _content(data.get("description"))
    draft.view = as_count(data.get("views"))
    draft.time = posted(first(data.get("date"), data.get("dateupload"), data.get("date_upload")))
    tags = tags_of(data.get("tags"))
    draft.tag(PLATFORM, tags)
    draft.meta = {
        "photo_id": as_text(data.get("id"), 40),
        "license": as_text(first(data.get("license_name"), data.get("license")), 200),
        "favorite_count": as_count(first(data.get("count_faves"), data.get("faves"))),
        "comment_count": as_count(
            first(data.get("count_comments"), _content(data.get("comments")))
        ),
        "tags": tags,
        "latitude": as_number(first(data.get("latitude"), dig(data, "location", "latitude"))),
        "longitude": as_number(first(data.get("longitude"), dig(data, "location", "longitude"))),
        "safety_level": as_text(data.get("safety_level"), 40),
        **_taken(data),
    }
    _add_medium(draft, data)
    for key in ("album", "gallery", "group"):
        identity = first(dig(data, key, "id"), data.get(f"{key}_id"))
        album = reference(PLATFORM, key, identity)
        draft.link(album, draft.post, "member")
        draft.observe(album, _content(dig(data, key, "title")))
    return draft


def _content(value: Any) -> str | None:
    # Flickr's own API wraps texts as {"_content": ...}.
    return plain(value["_content"] if isinstance(value, dict) and "_content" in value else value)


def _taken(data: dict[str, Any]) -> dict[str, Any]:
    dates = data["dates"] if isinstance(data.get("dates"), dict) else data
    taken = first(dates.get("taken"), data.get("datetaken"), data.get("date_taken"))
    precision = as_count(first(dates.get("takengranularity"), data.get("datetakengranularity")))
    unknown = str(first(dates.get("takenunknown"), data.get("datetakenunknown"))) == "1"
    granularity = GRANULARITIES.get(precision) if precision is not None else None
    return {
        "taken_time": None if unknown else parse_time(taken),
        "taken_granularity": "unknown" if unknown else granularity,
    }


def _add_medium(draft: Draft, data: dict[str, Any]) -> None:
    identity = data.get("id")
    draft.medium = reference(PLATFORM, "media", first(identity, data.get("filename")))
    draft.medium_meta = {
        "photo_id": draft.meta["photo_id"],
        "license": draft.meta["license"],
        "media_type": as_text(data.get("media"), 40),
        "media_url": address(data.get("url")),
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
    }


def _user(value: Any, data: dict[str, Any]) -> Person | None:
    user = value if isinstance(value, dict) else {"nsid": value}
    identity = first(user.get("nsid"), user.get("id"))
    name = as_text(first(user.get("username"), data.get("ownername")), 200)
    # The shown name may be changed and taken by others; the one in addresses is the alias.
    short = as_text(first(user.get("path_alias"), None if identity else name), 200)
    alias = reference(PLATFORM, "username", short.lower()) if short else None
    by_id = reference(PLATFORM, "user", identity)
    node = by_id or alias
    if node is None:
        return None
    real = as_text(user.get("realname"))
    meta = {"user_id": as_text(identity, 200), "user_name": name, "real_name": real}
    return Person(node, first(real, name), meta, alias if by_id else None)
