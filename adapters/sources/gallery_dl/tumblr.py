"""Tumblr as gallery-dl writes it: it owns what its fields mean.

A blog is the author, known by its `uuid`, and by its name where that is all there is. A reblog
names what it was reblogged from.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count, as_number, as_text, dig, first
from adapters.sources.gallery_dl.site_post import Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, plain, posted, tags_of

PLATFORM = "tumblr"


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Tumblr."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    post_id = first(data.get("id_string"), data.get("id"))
    said.post = reference(PLATFORM, "post", post_id)
    blog = data["blog"] if isinstance(data.get("blog"), dict) else {}
    name = as_text(first(blog.get("name"), data.get("blog_name")), 200)
    said.author = _blog(name, blog.get("uuid"), blog)
    texts = ("title", "summary", "caption", "text", "body", "question", "description")
    said.title = first(*(plain(data.get(text)) for text in texts))
    said.time = posted(first(data.get("timestamp"), data.get("date")))
    tags = tags_of(data.get("tags"))
    said.tag(PLATFORM, tags)
    said.meta = {
        "post_id": as_text(post_id, 40),
        "blog_name": name,
        "blog_uuid": as_text(blog.get("uuid"), 200),
        "post_type": as_text(data.get("type"), 40),
        "post_url": address(data.get("post_url")),
        "slug": as_text(data.get("slug")),
        "state": as_text(data.get("state"), 40),
        "note_count": as_count(data.get("note_count")),
        "tags": tags,
        "origin_url": address(data.get("source_url")),
    }
    _add_reblog(said, data)
    _add_medium(said, sidecar)
    return said


def _add_reblog(said: SitePost, data: dict[str, Any]) -> None:
    for prefix in ("reblogged_from", "reblogged_root"):
        original = reference(PLATFORM, "post", data.get(f"{prefix}_id"))
        said.link(original, said.post, "repost")
        name = as_text(data.get(f"{prefix}_name"), 200)
        person = _blog(name, data.get(f"{prefix}_uuid"), {"title": data.get(f"{prefix}_title")})
        if original is not None and person is not None:
            said.persons.append(person)
            said.link(person.node, original, "authored")


def _add_medium(said: SitePost, sidecar: Sidecar) -> None:
    data = sidecar.data
    post_id = said.meta["post_id"]
    identity = as_text(first(data.get("hash"), data.get("filename")), 300)
    numbered = f"{post_id}_{sidecar.number_in_post or 1}" if post_id else None
    said.medium = reference(PLATFORM, "media", identity or numbered)
    photo = data["photo"] if isinstance(data.get("photo"), dict) else data
    said.medium_title = plain(photo.get("caption"))
    said.medium_meta = {
        "post_id": post_id,
        "blog_name": said.meta["blog_name"],
        "media_url": first(address(photo.get("url")), address(data.get("image_permalink"))),
        "alt_text": as_text(photo.get("alt_text")),
        "width": as_count(photo.get("width")) or None,
        "height": as_count(photo.get("height")) or None,
        "duration_s": as_number(data.get("duration")),
    }


def _blog(name: str | None, uuid: Any, blog: dict[str, Any]) -> Person | None:
    alias = reference(PLATFORM, "username", name.lower()) if name else None
    by_id = reference(PLATFORM, "user", uuid)
    node = by_id or alias
    if node is None:
        return None
    title = as_text(first(dig(blog, "title"), name))
    meta = {
        "blog_name": name,
        "blog_uuid": as_text(uuid, 200),
        "blog_title": as_text(dig(blog, "title")),
        "post_count": as_count(dig(blog, "posts")),
    }
    return Person(node, title, meta, alias if by_id else None)
