"""One booru post: it owns what its fields mean.

The uploader made the post; an artist is a tag, and is credited. The MD5 is that of the file, so it
names the medium and finds the file. A post that another one is the parent of is a version of it as
its users see it, not its file: posts are only linked.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.items import NodeReference
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_integer, as_text, dig, first
from adapters.sources.booru.fields import tags_of
from adapters.sources.booru.site import site_of
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.web_address import node_of_address

_MD5 = re.compile(r"[0-9a-f]{32}")
_POOL = re.compile(r"pool:(\d+)")
_ADDRESSES = ("file_url", "large_file_url", "jpeg_url", "sample_url", "preview_file_url",
              "preview_url")  # fmt: skip
_SAMPLES = ("large_file_url", "jpeg_url", "sample_url")


def read_post(draft: Draft, fields: dict[str, Any]) -> None:
    """Read a post from its flat fields."""
    is_danbooru = "tag_string" in fields
    site = site_of((fields.get(name) for name in _ADDRESSES), draft.path, is_danbooru)
    post = describe(site, "post", fields.get("id"))
    uploader = _uploader(draft, site, fields)
    tags = tags_of(fields)
    time = parse_time(first(dig(fields.get("created_at"), "s"), fields.get("created_at")))
    meta = _meta(site, fields, tags)
    title = as_text(first(fields.get("title"), fields.get("description")))
    draft.observe(post, title=title, update_time=time, author=uploader, meta=meta)
    draft.link(uploader, post, "authored")
    for artist in tags["artist"]:
        draft.link(reference(site, "tag", artist.lower()), post, "credited")
    draft.tag(site, tags["all"], post)
    _relations(draft, site, post, fields)
    medium = _medium(draft, site, post, fields, meta["md5"])
    if medium is not None:
        of_file = ("md5", "width", "height", "size_bytes", "file_url", "tags", "rating")
        about = {name: meta[name] for name in ("site", "post_id", *of_file)}
        draft.observe(
            medium, is_root=True, title=title, update_time=time, author=uploader, meta=about
        )
    draft.subject = post


def _meta(site: str, fields: dict[str, Any], tags: dict[str, list[str]]) -> dict[str, Any]:
    width = first(fields.get("image_width"), fields.get("width"))
    height = first(fields.get("image_height"), fields.get("height"))
    md5 = as_text(first(fields.get("md5"), fields.get("hash")))
    return {
        "site": site,
        "post_id": as_text(fields.get("id")),
        "md5": md5.lower() if md5 else None,
        "rating": as_text(fields.get("rating")),
        "score": as_integer(fields.get("score")),
        "favorite_count": as_count(first(fields.get("fav_count"), fields.get("favorites"))),
        "tags": tags["all"],
        "artists": tags["artist"],
        "characters": tags["character"],
        "copyrights": tags["copyright"],
        "origin_url": as_text(first(fields.get("source"), dig(fields.get("sources"), 0))),
        "file_url": as_text(fields.get("file_url")),
        "width": as_count(width) or None,
        "height": as_count(height) or None,
        "size_bytes": as_count(fields.get("file_size")) or None,
        "parent_id": as_text(fields.get("parent_id")) if _parent(fields) else None,
        "status": _status(fields),
    }


def _status(fields: dict[str, Any]) -> str | None:
    if status := as_text(fields.get("status")):
        return status
    flags = fields["flags"] if isinstance(fields.get("flags"), dict) else fields
    for name in ("deleted", "banned", "pending", "flagged"):
        if as_boolean(flags.get(f"is_{name}", flags.get(name))):
            return name
    return "active" if {"is_deleted", "flags"} & fields.keys() else None


def _uploader(draft: Draft, site: str, fields: dict[str, Any]) -> str | None:
    identity = first(fields.get("uploader_id"), fields.get("creator_id"))
    name = as_text(first(fields.get("uploader_name"), fields.get("author"), fields.get("owner")))
    by_name = username(site, name)
    node = reference(site, "user", identity) or by_name
    if node:
        meta = {"site": site, "user_id": as_text(identity), "user_name": name}
        draft.observe(node, title=name, meta=meta)
        draft.link(node, by_name, "alias")
    return node


def _parent(fields: dict[str, Any]) -> int | None:
    # Servers write 0 for a post without a parent.
    return as_count(fields.get("parent_id")) or None


def _relations(draft: Draft, site: str, post: str, fields: dict[str, Any]) -> None:
    draft.link(reference(site, "post", _parent(fields)), post, "linked")
    pools = _POOL.findall(as_text(fields.get("pool_string")) or "")
    listed = fields["pools"] if isinstance(fields.get("pools"), list) else []
    for pool in [*pools, *listed]:
        draft.link(reference(site, "album", pool), post, "member")
    pixiv_id = as_count(fields.get("pixiv_id"))
    draft.link(post, reference("pixiv", "post", pixiv_id or None), "linked")
    sources = fields["sources"] if isinstance(fields.get("sources"), list) else []
    for source in [fields.get("source"), *sources[:20]]:
        draft.link(post, node_of_address(source), "linked")


def _medium(
    draft: Draft, site: str, post: str, fields: dict[str, Any], md5: str | None
) -> NodeReference | None:
    """Tie the post to its file and other sizes; a deleted post without address or MD5 has none."""
    has_md5 = bool(md5 and _MD5.fullmatch(md5))
    if not has_md5 and not any(fields.get(name) for name in _ADDRESSES):
        return None
    stems = (md5 if has_md5 else None, as_text(fields.get("id")))
    file = draft.media.first(draft.path, (fields.get("file_url"),), stems)
    identity = md5 if has_md5 else fields.get("id")
    medium = draft.contain(post, file, reference(site, "media", identity))
    if medium is None:
        return None
    for name in _SAMPLES:
        sample = draft.media.by_address(fields.get(name), draft.path)
        draft.link(medium, sample, "variant")
    # The preview often has the file's own base name: the same file is no preview of itself.
    preview = first(fields.get("preview_file_url"), fields.get("preview_url"))
    draft.link(medium, draft.media.by_address(preview, draft.path), "thumbnail")
    return medium
