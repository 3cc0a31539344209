"""Works of pixiv: it owns what one work says, whole or as part of a list."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first, text_of_html
from adapters.sources.pixiv.media import media_of, size_of
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft

WORK_TYPES = {0: "illust", 1: "manga", 2: "ugoira"}
RATINGS = {0: "general", 1: "r18", 2: "r18g"}
IS_AI = {1: False, 2: True}


def read_work(draft: Draft, value: Any, album: str | None = None) -> None:
    """Read a work of pictures, from any list or its own response."""
    work = as_object(value, "the work")
    identity = first(work.get("illustId"), work.get("id"))
    post = describe("pixiv", "post", identity)
    author = _author(draft, work)
    meta = _work_meta(work, identity)
    title = as_text(first(work.get("illustTitle"), work.get("title")))
    title = title or text_of_html(first(work.get("description"), work.get("caption")))
    view = as_count(first(work.get("viewCount"), work.get("total_view")))
    time = parse_time(first(work.get("createDate"), work.get("create_date")))
    draft.observe(post, title=title, view=view, update_time=time, author=author, meta=meta)
    draft.link(author, post, "authored")
    draft.link(album, post, "member")
    draft.tag("pixiv", meta["tags"], post)
    _series(draft, work, post)
    for other in work["userIllusts"] if isinstance(work.get("userIllusts"), dict) else ():
        draft.link(author, reference("pixiv", "post", other), "authored")
    for number, (node, url) in enumerate(media_of(draft, work, str(identity), meta)):
        size = size_of(work) if number == 0 else {}
        page = {"work_id": meta["work_id"], "media_url": url, **size}
        draft.link(post, node, "contains", number)
        draft.observe(node, is_root=True, title=title, update_time=time, author=author, meta=page)
    draft.subject = post


def read_novel(draft: Draft, value: Any) -> None:
    """Read a novel; novels are numbered apart from pictures, so they are of a kind of their own."""
    novel = as_object(value, "the novel")
    post = describe("pixiv", "novel", novel.get("id"))
    author = _author(draft, novel)
    meta = {**_work_meta(novel, novel.get("id")), "work_type": "novel"}
    draft.observe(
        post,
        title=as_text(novel.get("title")),
        view=as_count(novel.get("total_view")),
        update_time=parse_time(novel.get("create_date")),
        author=author,
        meta=meta,
    )
    draft.link(author, post, "authored")
    draft.tag("pixiv", meta["tags"], post)
    _series(draft, novel, post)
    draft.subject = post


def _work_meta(work: dict[str, Any], identity: Any) -> dict[str, Any]:
    # Lists of the web call every picture `illust` in `type`, animations included.
    named = as_text(work.get("type"))
    work_type = _named(WORK_TYPES, work["illustType"]) if "illustType" in work else named
    series = first(dig(work, "seriesNavData", "seriesId"), dig(work, "series", "id"))
    return {
        "work_id": as_text(identity),
        "work_type": work_type,
        "page_count": as_count(first(work.get("pageCount"), work.get("page_count"))),
        "bookmark_count": as_count(first(work.get("bookmarkCount"), work.get("total_bookmarks"))),
        "like_count": as_count(work.get("likeCount")),
        "comment_count": as_count(first(work.get("commentCount"), work.get("total_comments"))),
        "tags": _tags(work.get("tags")),
        "rating": _named(RATINGS, first(work.get("xRestrict"), work.get("x_restrict"))),
        "is_ai": _named(IS_AI, first(work.get("aiType"), work.get("illust_ai_type"))),
        "series_id": as_text(series),
    }


def _named(names: dict[int, Any], value: Any) -> Any:
    number = as_count(value)
    return None if number is None else names.get(number)


def _tags(value: Any) -> list[str] | None:
    members = value.get("tags") if isinstance(value, dict) else value
    if not isinstance(members, list):
        return None
    return as_texts([first(dig(m, "tag"), dig(m, "name"), m) for m in members])


def _author(draft: Draft, work: dict[str, Any]) -> str | None:
    user = work["user"] if isinstance(work.get("user"), dict) else {}
    identity = first(work.get("userId"), user.get("id"))
    author = reference("pixiv", "user", identity)
    if author is None:
        return None
    name = as_text(first(work.get("userName"), user.get("name")))
    account = as_text(first(work.get("userAccount"), user.get("account")))
    observe_user(draft, author, identity, name, account)
    return author


def observe_user(
    draft: Draft, node: str, identity: Any, name: str | None, account: str | None
) -> None:
    """Add a user with the names that a record gives."""
    meta = {"user_id": as_text(identity), "display_name": name, "user_name": account}
    draft.observe(node, title=name, meta=meta)
    draft.link(node, username("pixiv", account), "alias")


def _series(draft: Draft, work: dict[str, Any], post: str) -> None:
    series = first(work.get("seriesNavData"), work.get("series"))
    node = reference("pixiv", "album", first(dig(series, "seriesId"), dig(series, "id")))
    order = as_count(dig(series, "order"))
    draft.link(node, post, "member", order if order is not None and order < 2**31 else None)
    if node and (title := as_text(dig(series, "title"))):
        draft.observe(node, title=title)
