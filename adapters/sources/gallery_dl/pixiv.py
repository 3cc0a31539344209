"""pixiv and Fanbox as gallery-dl writes them: it owns what their fields mean.

`num` counts the pages of a work from 0. `date` is UTC, `create_date` names its zone; `date_url` is
when that page was uploaded. Novels are numbered apart from pictures. Fanbox posts are numbered by
Fanbox, but their authors are pixiv users. A ugoira is one medium, whatever its frames are.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count, as_text, dig, first, text_of_html
from adapters.sources.gallery_dl.site_post import Person, SitePost, known, reference
from adapters.sources.reading.sidecar import Sidecar, address, plain, posted, tags_of

RATINGS = {0: "general", 1: "r18", 2: "r18g"}
IS_AI = {1: False, 2: True}


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of pixiv: a page of a work, or a novel."""
    data = sidecar.data
    said = SitePost("pixiv", position=sidecar.number_in_post)
    is_novel = sidecar.subcategory.startswith("novel") or "text_length" in data
    said.post = reference("pixiv", "novel" if is_novel else "post", data.get("id"))
    said.author = _user(data.get("user"))
    said.title = as_text(data.get("title")) or text_of_html(data.get("caption"))
    said.view = as_count(data.get("total_view"))
    said.time = posted(data.get("create_date")) or posted(data.get("date"))
    tags = tags_of(data.get("tags"))
    said.tag("pixiv", tags)
    rating, is_ai = as_count(data.get("x_restrict")), as_count(data.get("illust_ai_type"))
    said.meta = {
        "work_id": as_text(data.get("id"), 40),
        "work_type": "novel" if is_novel else as_text(data.get("type"), 40),
        "page_count": as_count(data.get("page_count")),
        "bookmark_count": as_count(data.get("total_bookmarks")),
        "comment_count": as_count(data.get("total_comments")),
        "tags": tags,
        "rating": RATINGS.get(rating) if rating is not None else None,
        "is_ai": IS_AI.get(is_ai) if is_ai is not None else None,
        "series_id": as_text(dig(data, "series", "id"), 40),
    }
    series = reference("pixiv", "album", dig(data, "series", "id"))
    said.link(series, said.post, "member")
    said.observe(series, dig(data, "series", "title"), series_id=said.meta["series_id"])
    _add_page(said, sidecar)
    return said


def _add_page(said: SitePost, sidecar: Sidecar) -> None:
    data = sidecar.data
    work_id = said.meta["work_id"]
    is_ugoira = said.meta["work_type"] == "ugoira"
    frames = data.get("frames")
    if work_id is not None:
        page = "ugoira" if is_ugoira else f"p{sidecar.number_in_post or 0}"
        said.medium = reference("pixiv", "media", f"{work_id}_{page}")
    said.medium_meta = {
        "work_id": work_id,
        "work_type": said.meta["work_type"],
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
        "frame_count": len(frames) if is_ugoira and isinstance(frames, list) else None,
        "media_url": address(data.get("url")),
    }
    if is_ugoira:
        said.position = 0


def _user(value: Any) -> Person | None:
    if not isinstance(value, dict):
        return None
    identity = first(value.get("id"), value.get("userId"))
    account = as_text(value.get("account"), 200)
    name = as_text(value.get("name"))
    alias = reference("pixiv", "username", account.lower()) if account else None
    by_id = reference("pixiv", "user", identity)
    node = by_id or alias
    if node is None:
        return None
    meta = {"user_id": as_text(identity, 40), "user_name": account, "display_name": name}
    return Person(node, name or account, known(meta), alias if by_id else None)


def fanbox_site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Fanbox."""
    data = sidecar.data
    said = SitePost("pixiv", position=sidecar.position)
    said.post = reference("fanbox", "post", data.get("id"))
    said.author = _user(data.get("user"))
    creator = reference("fanbox", "username", data.get("creatorId"))
    if said.author is not None:
        said.link(said.author.node, creator, "alias")
    elif creator is not None:
        said.author = Person(creator, as_text(data.get("creatorId")))
    said.title = as_text(data.get("title")) or plain(data.get("excerpt"))
    said.time = posted(first(data.get("publishedDatetime"), data.get("date")))
    tags = tags_of(data.get("tags"))
    said.tag("fanbox", tags)
    said.meta = {
        "work_id": as_text(data.get("id"), 40),
        "work_type": "post",
        "like_count": as_count(data.get("likeCount")),
        "comment_count": as_count(data.get("commentCount")),
        "tags": tags,
    }
    identity = as_text(data.get("filename"), 300)
    said.medium = reference("fanbox", "media", identity)
    said.medium_meta = {
        "work_id": said.meta["work_id"],
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
        "media_url": address(data.get("fileUrl")) or address(data.get("url")),
    }
    return said
