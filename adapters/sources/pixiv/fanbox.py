"""Fanbox posts: it owns their shapes; they are numbered apart from the works of pixiv.

The post is `fanbox:post:<id>`, its author the pixiv user. An article is a list of blocks that name
pictures and files of two maps; what no block names comes after them. Comments become replies. The
neighbours (`prevPost`, `nextPost`) are nodes of the same author and nothing else is said of them.
"""

from __future__ import annotations

from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first, mappings
from adapters.sources.reading.adapter import Part, as_object, parts_of
from adapters.sources.reading.draft import Draft

COMMENTS_MAX = 5_000


def fanbox_parts(value: dict[str, Any]) -> list[Part] | None:
    """Return the posts of a response of Fanbox; None when it is none."""
    body = value.get("body", value)
    if _is_post(body):
        return [Part(_post, body, value)]
    items = body.get("items") if isinstance(body, dict) else body
    if isinstance(items, list) and any(map(_is_post, items)):
        return parts_of(_post, items)
    return None


def _is_post(value: Any) -> bool:
    return isinstance(value, dict) and {"id", "feeRequired", "publishedDatetime"} <= value.keys()


def _post(draft: Draft, value: Any) -> None:
    post = as_object(value, "the Fanbox post")
    node = describe("fanbox", "post", post.get("id"))
    body = post["body"] if isinstance(post.get("body"), dict) else {}
    author = _user(draft, post.get("user"))
    title = as_text(first(post.get("title"), body.get("text"), post.get("excerpt")))
    time = parse_time(post.get("publishedDatetime"))
    tags = as_texts(post.get("tags"))
    media = _pictures(body)
    meta = {
        "work_id": as_text(post.get("id")),
        "work_type": "post",
        "page_count": len(media) if body else None,
        "like_count": as_count(post.get("likeCount")),
        "comment_count": as_count(post.get("commentCount")),
        "tags": tags,
    }
    draft.observe(node, title=title, update_time=time, author=author, meta=meta)
    draft.link(author, node, "authored")
    draft.link(author, username("fanbox", post.get("creatorId")), "alias")
    draft.tag("fanbox", tags, node)
    for number, picture in enumerate(media):
        _medium(draft, node, picture, number, as_text(post.get("id")), title, author)
    for file in _files(body):
        found = draft.media.first(draft.path, (file.get("url"),), (file.get("id"),))
        draft.link(node, found or reference("fanbox", "media", file.get("id")), "attachment")
    for neighbour in ("prevPost", "nextPost"):
        draft.link(author, reference("fanbox", "post", dig(post, neighbour, "id")), "authored")
    _embeds(draft, node, body)
    _comments(draft, node, dig(post, "commentList", "items"))
    draft.subject = node


def _medium(
    draft: Draft,
    post: str,
    picture: dict[str, Any],
    number: int,
    work_id: str | None,
    title: str | None,
    author: str | None,
) -> None:
    identity, url = picture.get("id"), picture.get("originalUrl")
    # Some scrapers number the pages from 0, as on pixiv.
    file = draft.media.first(draft.path, (url,), (identity, f"{work_id}_p{number}"))
    medium = draft.contain(post, file, reference("fanbox", "media", identity), number)
    if medium is None:
        return
    size = {key: as_count(picture.get(key)) or None for key in ("width", "height")}
    meta = {"work_id": work_id, "media_url": as_text(url), **size}
    draft.observe(medium, is_root=True, title=title, author=author, meta=meta)
    preview = draft.media.by_address(picture.get("thumbnailUrl"), draft.path)
    draft.link(medium, preview, "thumbnail")


def _pictures(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pictures in the order of reading."""
    listed = list(mappings(body.get("images")))
    return listed or _named_by_blocks(body, "imageMap", "imageId")


def _files(body: dict[str, Any]) -> list[dict[str, Any]]:
    return list(mappings(body.get("files"))) or _named_by_blocks(body, "fileMap", "fileId")


def _named_by_blocks(body: dict[str, Any], map_key: str, block_key: str) -> list[dict[str, Any]]:
    named = body[map_key] if isinstance(body.get(map_key), dict) else {}
    order = [block[block_key] for block in mappings(body.get("blocks")) if block_key in block]
    order = [key for key in order if isinstance(key, str)]
    rest = [key for key in named if key not in set(order)]
    found = [named.get(key) for key in dict.fromkeys([*order, *rest])]
    return [member for member in found if isinstance(member, dict)]


def _embeds(draft: Draft, post: str, body: dict[str, Any]) -> None:
    embeds = body["embedMap"] if isinstance(body.get("embedMap"), dict) else {}
    for embed in (*embeds.values(), body.get("video")):
        if dig(embed, "serviceProvider") == "youtube":
            video = first(dig(embed, "contentId"), dig(embed, "videoId"))
            draft.link(post, reference("youtube", "post", video), "linked")


def _comments(draft: Draft, parent: str, comments: Any) -> None:
    waiting = [(parent, comment) for comment in mappings(comments)]
    for above, comment in waiting[:COMMENTS_MAX]:
        node = reference("fanbox", "comment", comment.get("id"))
        if node is None:
            continue
        author = _user(draft, comment.get("user"))
        draft.link(above, node, "reply")
        draft.link(author, node, "authored")
        draft.observe(
            node,
            title=as_text(comment.get("body")),
            update_time=parse_time(comment.get("createdDatetime")),
            author=author,
            meta={"like_count": as_count(comment.get("likeCount"))},
        )
        for answer in mappings(comment.get("replies")):
            _comments(draft, node, [answer])


def _user(draft: Draft, user: Any) -> str | None:
    node = reference("pixiv", "user", dig(user, "userId"))
    if node:
        name = as_text(dig(user, "name"))
        meta = {"user_id": as_text(dig(user, "userId")), "display_name": name}
        draft.observe(node, title=name, meta=meta)
    return node
