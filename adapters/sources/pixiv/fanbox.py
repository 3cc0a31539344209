"""Fanbox: posts, which are numbered apart from the works of pixiv, by authors who are its users.

An article is a list of blocks that name pictures and files of two maps; what no block names comes
after them. Comments become replies. The neighbours (`prevPost`, `nextPost`) are nodes of the same
author and nothing else is said of them.
"""

from __future__ import annotations

from typing import Any

from adapters.records.describe import reference
from adapters.records.values import dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.pixiv.works import PIXIV
from adapters.sources.reading.adapter import Part, as_object, parts_of
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of

COMMENTS_MAX = 5_000
_USER = Person(kind="pixiv:user", id="user.userId|user.id", title="user.name")
_AUTHOR = Person(
    kind="pixiv:user",
    id="user.userId|user.id",
    title="user.name",
    edges=(
        Edge("alias", "username", "creatorId:lower"),
        Edge("authored", "post", "prevPost.id,nextPost.id", True),
    ),
)
_COMMENT = Node(
    "comment",
    id="id",
    title="body",
    time="createdDatetime",
    author=_USER,
    edges=(Edge("reply", "comment", "answers"), Edge("reply", "post", "post")),
)
_PICTURE = Medium(
    id="id",
    at="pictures[]",
    urls="originalUrl",
    # Some scrapers number the pages from 0, as on pixiv.
    stems="id,{^.id}_p{^position}",
    thumbs="thumbnailUrl",
)
POST = Node(
    "post",
    id="id",
    title="title|body.text|excerpt:plain",
    time="publishedDatetime",
    author=_AUTHOR,
    tags="tags",
    media=(_PICTURE,),
    edges=(
        Edge("linked", "youtube:post", "videos[]"),
        Edge("", _COMMENT, "comments[]", count_max=COMMENTS_MAX),
    ),
)


def fanbox_parts(value: dict[str, Any]) -> list[Part] | None:
    """Return the posts of a response of Fanbox; None when it is none."""
    body = value.get("body", value)
    if _is_post(body):
        return [Part(_read, body, value)]
    items = body.get("items") if isinstance(body, dict) else body
    if isinstance(items, list) and any(map(_is_post, items)):
        return parts_of(_read, items)
    return None


def _is_post(value: Any) -> bool:
    return isinstance(value, dict) and {"id", "feeRequired", "publishedDatetime"} <= value.keys()


def _read(draft: Draft, value: Any) -> None:
    post = as_object(value, "the Fanbox post")
    RULES.read(draft, "post", _fields(post))
    for file in _named(post.get("body"), "files", "fileMap", "fileId"):
        found = draft.media.first(draft.path, (file.get("url"),), (file.get("id"),))
        node = found or reference("fanbox", "media", file.get("id"))
        draft.link(draft.subject, node, "attachment")


def _fields(post: dict[str, Any]) -> dict[str, Any]:
    body = post["body"] if isinstance(post.get("body"), dict) else {}
    pictures = _named(body, "images", "imageMap", "imageId")
    embeds = body["embedMap"] if isinstance(body.get("embedMap"), dict) else {}
    videos = [
        first(dig(embed, "contentId"), dig(embed, "videoId"))
        for embed in (*embeds.values(), body.get("video"))
        if dig(embed, "serviceProvider") == "youtube"
    ]
    comments: list[dict[str, Any]] = []
    _flatten(dig(post, "commentList", "items"), None, comments)
    top = [one if "answers" in one else one | {"post": post.get("id")} for one in comments]
    count = len(pictures) if body else None
    return post | {"type": "post", "page_count": count, "pictures": pictures} | {
        "videos": videos, "comments": top
    }  # fmt: skip


def _named(body: Any, listed: str, map_key: str, block_key: str) -> list[dict[str, Any]]:
    """Return pictures or files in the order of reading."""
    found = list(mappings(dig(body, listed)))
    named = dig(body, map_key)
    if found or not isinstance(named, dict):
        return found
    order = [block.get(block_key) for block in mappings(dig(body, "blocks"))]
    order = [key for key in order if isinstance(key, str)]
    members = [named.get(key) for key in dict.fromkeys([*order, *named])]
    return [member for member in members if isinstance(member, dict)]


def _flatten(values: Any, answered: Any, into: list[dict[str, Any]]) -> None:
    for comment in mappings(values):
        if len(into) < COMMENTS_MAX:
            into.append(comment | ({} if answered is None else {"answers": answered}))
            _flatten(comment.get("replies"), comment.get("id"), into)


RULES = Rules(PIXIV, "fanbox", {"post": POST})


# ---- gallery-dl --------------------------------------------------------------------------------

_SIDECAR = recast(
    "publishedDatetime = publishedDatetime:posted|date:posted\ntitle = title|excerpt:plain"
)
_FILE = recast("id = filename\nwidth = width\nheight = height\nurl = fileUrl:address|url:address")


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    # Without its user a post is of the name in its address.
    return data | _SIDECAR(data) | {"type": "post", "tags": tags_of(data.get("tags"))}


GALLERY_DL = SidecarFormat(Rules(PIXIV, "fanbox", {"post": of_sidecar(POST)}), _of_sidecar, _FILE)
