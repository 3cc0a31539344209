"""Instagram as gallery-dl writes it: it owns what the fields of posts, reels and stories mean.

Likes are those of the post, repeated on every item of a carousel. The owner is the author; the
account that saved a post (subcategory `saved`) is nowhere in the record. Reels nest the owner
again. Times name no zone and mean UTC: `date` is the medium's, `post_date` the post's.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count, as_number, as_text, dig, first, mappings
from adapters.sources.gallery_dl.site_post import PERSONS_MAX, Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, posted, tags_of

PLATFORM = "instagram"


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Instagram."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    post_id = first(data.get("post_id"), data.get("sidecar_media_id"), data.get("media_id"))
    said.post = reference(PLATFORM, "post", post_id)
    said.author = _owner(data)
    said.title = as_text(data.get("description"))
    said.view = as_count(first(data.get("view_count"), data.get("play_count")))
    said.time = posted(first(data.get("post_date"), data.get("date")))
    said.meta = {
        "post_id": as_text(post_id, 200),
        "shortcode": as_text(first(data.get("post_shortcode"), data.get("sidecar_shortcode")), 200),
        "media_type": _post_type(data),
        "like_count": as_count(data.get("likes")),
        "comment_count": as_count(first(data.get("comments"), data.get("comment_count"))),
        "hashtags": tags_of(data.get("tags")),
        "location_name": as_text(first(data.get("location_name"), data.get("location_slug"))),
        "latitude": as_number(dig(data, "location", "lat")),
        "longitude": as_number(dig(data, "location", "lng")),
    }
    said.tag(PLATFORM, tags_of(data.get("tags")))
    _add_medium(said, data)
    _add_people(said, data)
    return said


def _post_type(data: dict[str, Any]) -> str | None:
    kind = as_text(data.get("type"), 40)
    if "sidecar_media_id" in data or (as_count(data.get("count")) or 0) > 1:
        return "carousel" if kind in ("post", None) else kind
    return kind


def _add_medium(said: SitePost, data: dict[str, Any]) -> None:
    media_id = first(data.get("media_id"), data.get("post_id"))
    said.medium = reference(PLATFORM, "media", media_id)
    said.medium_time = posted(data.get("date"))
    is_video = address(data.get("video_url")) is not None
    said.medium_meta = {
        "post_id": said.meta["post_id"],
        "shortcode": as_text(data.get("shortcode"), 200),
        "media_id": as_text(media_id, 200),
        "media_type": "video" if is_video else "image" if data.get("display_url") else None,
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
        "media_url": first(address(data.get("video_url")), address(data.get("display_url"))),
        "alt_text": as_text(data.get("accessibility_caption")),
    }


def _owner(data: dict[str, Any]) -> Person | None:
    nested = data["owner"] if isinstance(data.get("owner"), dict) else {}
    identity = first(data.get("owner_id"), nested.get("id"), nested.get("pk"))
    name = as_text(first(data.get("username"), nested.get("username")), 200)
    title = as_text(first(data.get("fullname"), nested.get("full_name")))
    return _person(identity, name, title)


def _person(identity: Any, name: str | None, title: str | None) -> Person | None:
    alias = reference(PLATFORM, "username", name.lower()) if name else None
    by_id = reference(PLATFORM, "user", identity)
    node = by_id or alias
    if node is None:
        return None
    meta = {"user_id": as_text(identity, 200), "user_name": name, "display_name": title}
    return Person(node, title or name, meta, alias if by_id else None)


def _add_people(said: SitePost, data: dict[str, Any]) -> None:
    for user in list(mappings(data.get("tagged_users")))[:PERSONS_MAX]:
        name = as_text(user.get("username"), 200)
        tagged = _person(first(user.get("id"), user.get("pk")), name, None)
        if tagged is not None:
            said.link(said.post, tagged.node, "mentioned")
            said.link(tagged.node, tagged.alias, "alias")
    for user in list(mappings(data.get("coauthors")))[:PERSONS_MAX]:
        name = as_text(user.get("username"), 200)
        author = _person(user.get("id"), name, as_text(user.get("full_name")))
        if author is not None and (said.author is None or author.node != said.author.node):
            said.persons.append(author)
            said.link(author.node, said.post, "credited")
