"""Boorus as gallery-dl writes them: it owns which sites these are and what their fields mean.

The uploader made the post; artists are tags, and credited. The MD5 is that of the file and names
the medium. Tags come as one text, as a list, as lists per kind, or with the kind before a colon.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_boolean, as_count, as_integer, as_text, dig, first
from adapters.sources.gallery_dl.fields import (
    HEIGHTS,
    WIDTHS,
    address,
    count,
    look,
    plain,
    posted,
    tags_of,
)
from adapters.sources.gallery_dl.site_post import PERSONS_MAX, Person, Sidecar, SitePost, reference
from adapters.sources.reading.web_address import node_of_address

SITES = frozenset(
    (
        *("danbooru", "aibooru", "gelbooru", "safebooru", "rule34", "realbooru", "tbib", "xbooru"),
        *("hypnohub", "e621", "e926", "e6ai", "yandere", "konachan", "sakugabooru", "lolibooru"),
        *("3dbooru", "sankaku", "idolcomplex", "zerochan", "derpibooru", "ponybooru", "furbooru"),
        *("twibooru", "szurubooru"),
    )
)
# What the other formats call these sites, after their hosts.
NAMES = {"sankaku": "sankakucomplex", "3dbooru": "behoimi"}
ARTISTS = ("artist", "mangaka", "artists")
CHARACTERS = ("character", "characters")
WORKS = ("copyright", "copyrights", "series", "game", "studio")


def is_booru(category: str, data: dict[str, Any]) -> bool:
    """Tell a booru by its name, or by what only boorus say."""
    if category.lower() in SITES:
        return True
    tagged = bool({"tag_string", "tags"} & data.keys())
    return tagged and {"md5", "rating", "file_url", "id"} <= data.keys()


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of a booru."""
    data = sidecar.data
    site = NAMES.get(sidecar.category.lower(), sidecar.platform)
    said = SitePost("booru", position=0)
    is_post = sidecar.subcategory != "media-asset"
    said.post = reference(site, "post", data.get("id")) if is_post else None
    said.author = _uploader(site, data)
    said.title = plain(first(data.get("title"), data.get("description")))
    said.time = posted(data.get("date")) or posted(
        first(dig(data, "created_at", "s"), data.get("created_at"))
    )
    said.meta = _meta(site, data)
    said.tag(site, said.meta["tags"])
    for artist in (said.meta["artists"] or ())[:PERSONS_MAX]:
        said.link(reference(site, "tag", artist.lower()), said.post, "credited")
    _add_relations(said, site, data)
    md5 = said.meta["md5"]
    said.medium = reference(site, "media", first(md5, data.get("id"), data.get("filename")))
    of_file = ("site", "post_id", "md5", "width", "height", "size_bytes", "file_url")
    said.medium_meta = {name: said.meta[name] for name in (*of_file, "tags", "rating")}
    return said


def _meta(site: str, data: dict[str, Any]) -> dict[str, Any]:
    md5 = as_text(first(data.get("md5"), dig(data, "file", "md5")), 64)
    listed = data["sources"] if isinstance(data.get("sources"), list) else []
    score = data.get("score")
    return {
        "site": site,
        "post_id": as_text(data.get("id"), 40),
        "md5": md5.lower() if md5 else None,
        "rating": as_text(data.get("rating"), 40),
        "score": as_integer(dig(score, "total") if isinstance(score, dict) else score),
        "favorite_count": count(data, "fav_count favorite_count favorites faves"),
        "tags": _all_tags(data),
        "artists": _tags_of_kind(data, ARTISTS),
        "characters": _tags_of_kind(data, CHARACTERS),
        "copyrights": _tags_of_kind(data, WORKS),
        "origin_url": as_text(first(data.get("source"), dig(listed, 0))),
        "file_url": look(data, "file_url file.url url", address),
        "width": count(data, WIDTHS) or None,
        "height": count(data, HEIGHTS) or None,
        "size_bytes": count(data, "file_size file.size size") or None,
        "parent_id": _parent(data),
        "status": _status(data),
    }


def _all_tags(data: dict[str, Any]) -> list[str] | None:
    for key in ("tag_string", "tags", "tags_string"):
        if tags := tags_of(data.get(key)):
            return tags
    return None


def _tags_of_kind(data: dict[str, Any], kinds: tuple[str, ...]) -> list[str] | None:
    found: list[str] = []
    for kind in kinds:
        for value in (
            data.get(f"tags_{kind}"),
            data.get(f"tag_string_{kind}"),
            dig(data, "tags", kind),
        ):
            found += tags_of(value) or ()
    if not found and isinstance(data.get("tags"), list):
        for tag in tags_of(data["tags"]) or ():
            kind, colon, name = tag.partition(":")
            if colon and name and kind.lower() in kinds:
                found.append(name)
    return list(dict.fromkeys(found)) or None


def _parent(data: dict[str, Any]) -> str | None:
    parent = first(data.get("parent_id"), dig(data, "relationships", "parent_id"))
    return None if parent in (0, "0") else as_text(parent, 40)


def _status(data: dict[str, Any]) -> str | None:
    if status := as_text(data.get("status"), 40):
        return status
    flags = data["flags"] if isinstance(data.get("flags"), dict) else data
    for name in ("deleted", "banned", "pending", "flagged"):
        if as_boolean(flags.get(f"is_{name}", flags.get(name))):
            return name
    return None


def _uploader(site: str, data: dict[str, Any]) -> Person | None:
    uploader = data["uploader"] if isinstance(data.get("uploader"), dict) else {}
    identity = first(
        data.get("uploader_id"),
        data.get("creator_id"),
        uploader.get("id"),
        dig(data, "author", "id"),
    )
    name = as_text(
        first(
            data.get("uploader_name"),
            uploader.get("name"),
            data["uploader"] if isinstance(data.get("uploader"), str) else None,
            dig(data, "author", "name"),
            data["author"] if isinstance(data.get("author"), str) else None,
            data.get("owner"),
        ),
        200,
    )
    alias = reference(site, "username", name.lower()) if name else None
    by_id = reference(site, "user", identity)
    node = by_id or alias
    if node is None:
        return None
    meta = {"site": site, "user_id": as_text(identity, 40), "user_name": name}
    return Person(node, name, meta, alias if by_id else None)


def _add_relations(said: SitePost, site: str, data: dict[str, Any]) -> None:
    said.link(reference(site, "post", said.meta["parent_id"]), said.post, "linked")
    pools = data["pools"] if isinstance(data.get("pools"), list) else []
    for pool in [data.get("pool"), *pools[:PERSONS_MAX]]:
        identity = pool.get("id") if isinstance(pool, dict) else pool
        album = reference(site, "album", identity)
        said.link(album, said.post, "member")
        if isinstance(pool, dict):
            said.observe(album, pool.get("name"), site=site)
    pixiv_id = as_count(data.get("pixiv_id"))
    said.link(said.post, reference("pixiv", "post", pixiv_id), "linked")
    sources = data["sources"] if isinstance(data.get("sources"), list) else []
    for source in [data.get("source"), *sources[:20]]:
        said.link(said.post, node_of_address(source), "linked")
