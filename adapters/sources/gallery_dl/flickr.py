"""Flickr as gallery-dl writes it: it owns what the fields of a photo mean.

A photo page is the post and holds one medium. `date` is when it was uploaded, `taken` when it was
taken. An owner is known by the NSID; a set is an album; galleries and
groups are of kinds of their own.
"""

from __future__ import annotations

from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_count, as_number, as_text, dig, first
from adapters.sources.gallery_dl.site_post import Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, plain, posted, tags_of

PLATFORM = "flickr"
GRANULARITIES = {0: "second", 4: "month", 6: "year", 8: "circa"}


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Flickr."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=0)
    said.post = reference(PLATFORM, "post", data.get("id"))
    said.author = _user(first(data.get("user"), data.get("owner")), data)
    said.title = _content(data.get("title")) or _content(data.get("description"))
    said.view = as_count(data.get("views"))
    said.time = posted(first(data.get("date"), data.get("dateupload"), data.get("date_upload")))
    tags = tags_of(data.get("tags"))
    said.tag(PLATFORM, tags)
    said.meta = {
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
    _add_medium(said, data)
    for key in ("album", "gallery", "group"):
        identity = first(dig(data, key, "id"), data.get(f"{key}_id"))
        album = reference(PLATFORM, key, identity)
        said.link(album, said.post, "member")
        said.observe(album, _content(dig(data, key, "title")))
    return said


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


def _add_medium(said: SitePost, data: dict[str, Any]) -> None:
    identity = data.get("id")
    said.medium = reference(PLATFORM, "media", first(identity, data.get("filename")))
    said.medium_meta = {
        "photo_id": said.meta["photo_id"],
        "license": said.meta["license"],
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
