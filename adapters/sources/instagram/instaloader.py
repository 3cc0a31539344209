"""Instaloader: a JSON a post (`.json`, `.json.xz`), accounts, and `_comments.json` beside them.

Its documents hold the node of Instagram's web pages as it came, under `node`. The files of a post
have the stem of its JSON: `S.jpg`, `S.mp4`, or `S_1.jpg`, `S_2.jpg` ... of a carousel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import unpacked_name
from adapters.records.values import as_id, as_text, dig, mappings
from adapters.sources.columns import recast
from adapters.sources.instagram.post import (
    TABLES,
    comment_item,
    id_of_shortcode,
    post_item,
    user_item,
)
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found
from adapters.sources.reading.documents import Document

EXPECTED = "expected what Instaloader writes: `node` and `instaloader`, or a list of comments"
COMMENTS = "_comments.json"
_PERSON = recast("""
    id = id:id|pk:id
    name = username:text
    display_name = full_name
    follower_count = edge_followed_by.count
    following_count = edge_follow.count
    post_count = edge_owner_to_timeline_media.count
    bio = biography
""")
_COMMENT = recast(
    """
    id = id:id
    text = text
    created = created_at
    like_count = likes_count
    author = owner > person
    """,
    person=_PERSON,
)
_MEDIUM = recast("""
    id = id:id
    width = dimensions.width
    height = dimensions.height
    alt_text = accessibility_caption
    display_url = display_url:text|display_src:text|thumbnail_src:text
    video_url = video_url:text
""")
_POST = recast(
    """
    shortcode = shortcode:text|code:text
    caption = edge_media_to_caption.edges[0].node.text|caption.text|caption:string
    created = taken_at_timestamp|date|taken_at
    view_count = video_view_count|video_play_count
    author = owner > person
    people = edge_media_to_tagged_user.edges[].node.user > person
    like_count = edge_media_preview_like.count|edge_liked_by.count|likes.count
    comment_count = edge_media_to_parent_comment.count|edge_media_to_comment.count|comments.count
    location_name = location.name
    latitude = location.lat
    longitude = location.lng
    """,
    person=_PERSON,
)
_KINDS = {"GraphVideo": "video", "GraphSidecar": "carousel", "GraphStoryVideo": "video"}


def split(document: Document) -> Iterator[Found]:
    """Yield the post, the account or the comments of a document."""
    value = document.value
    if isinstance(value, list) and document.path.lower().endswith(COMMENTS):
        post = _post_beside(document)
        for one in mappings(value):
            yield from _comments(one, post, None)
        return
    node = dig(value, "node") if _is_its(value) else None
    if not isinstance(node, dict):
        raise RecordError(EXPECTED)
    kind = dig(value, "instaloader", "node_type")
    if kind == "Profile":
        yield user_item(_PERSON(node), value)
    elif kind in ("Post", "StoryItem"):
        yield _post(node, value, document.path)
    else:
        raise RecordError(f"a node of the type {str(kind)[:40]!a} is no post and no account")


def _is_its(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("instaloader"), dict)


def _recognises(value: Any) -> float:
    return SURE if _is_its(value) and "node" in value else 0.0


def _post(node: dict[str, Any], value: Any, path: str) -> Found:
    fields = _POST(node)
    code = fields.get("shortcode")
    post_id = id_of_shortcode(code) or as_id(node.get("id"))
    stem = _stem(path)
    parts = [dig(edge, "node") for edge in mappings(dig(node, "edge_sidecar_to_children", "edges"))]
    parts = [part for part in parts if isinstance(part, dict)]
    media = [_medium(part, f"{stem}_{number}") for number, part in enumerate(parts, 1)]
    fields |= {
        "id": post_id,
        "kind": _KINDS.get(str(node.get("__typename")), "image"),
        "media": media or [_medium(node, stem)],
    }
    return post_item(fields, value, "the post has no usable id; expected a shortcode or digits")


def _medium(node: dict[str, Any], stem: str) -> dict[str, Any]:
    fields = _MEDIUM(node)
    video, shown = fields.get("video_url"), fields.get("display_url")
    is_video = bool(video or node.get("is_video"))
    return fields | {
        "kind": "video" if is_video else "image",
        "urls": [video] if video else [] if is_video else [shown] if shown else [],
        "thumbs": [shown] if is_video and shown else [],
        "stems": [stem],
    }


def _stem(path: str) -> str:
    name = unpacked_name(path).rpartition("/")[2]
    return name.rpartition(".")[0]


def _post_beside(document: Document) -> str | None:
    """Return the id of the post whose comments these are: its JSON has the same stem."""
    stem = document.path[: -len(COMMENTS)]
    for path in (f"{stem}.json", f"{stem}.json.xz"):
        if path in document.folder.files:
            try:
                node = dig(document.folder.read_json(path), "node")
            except RecordError:
                return None
            return id_of_shortcode(as_text(dig(node, "shortcode"))) or as_id(dig(node, "id"))
    return None


def _comments(one: dict[str, Any], post: str | None, above: str | None) -> Iterator[Found]:
    fields = _COMMENT(one)
    fields |= {} if post is None else {"post": post}
    fields |= {} if above is None else {"comment": above}
    yield comment_item(fields, one)
    for answer in mappings(one.get("answers")):
        yield from _comments(answer, post, fields.get("id"))


ADAPTERS = (
    DocumentAdapter(
        name="instaloader",
        tables=TABLES,
        split=split,
        expected=EXPECTED,
        recognise=_recognises,
    ),
)
