"""Submissions of Reddit as gallery-dl writes them, as a format of it.

All media of a gallery repeat the submission; `filename` is the id of the medium. When a medium was
found in a comment, that comment is nested in `comment`, and contains it. Deleted authors are none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_text, dig, mappings
from adapters.sources.columns import recast
from adapters.sources.model import Edge, Node, Rules
from adapters.sources.paths import add_readers
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar
from adapters.sources.reddit.things import AUTHOR, REDDIT, SUBMISSION


def _bare(value: Any) -> Any:
    text = as_text(value)
    return text[3:] if text and text[:3] in ("t1_", "t3_") else text


add_readers(bare=_bare)
_PERSON = recast("name = author:string")
_POST = recast("""
    id = id:bare|name:bare
    time = created_utc:posted|date:posted
    subreddit_name = subreddit:text
    original = crosspost_parent:bare
    link = url
""")
_COMMENT_FIELDS = recast("""
    id = id:bare|name:bare
    body = body
    time = created_utc:posted|date:posted
    parent = parent_id:text
""")
_COMMENT = Node(
    "comment",
    id="id",
    section="comment",
    title="body",
    time="time",
    author=AUTHOR,
    edges=(Edge("reply", "comment", "on_comment"), Edge("reply", "post", "on_post")),
)


def _comment(data: dict[str, Any], post_id: Any) -> list[dict[str, Any]]:
    raw = data.get("comment")
    fields = _COMMENT_FIELDS(raw) if isinstance(raw, dict) else {}
    if "id" not in fields:
        return []
    parent = str(fields.get("parent", ""))
    answered = _bare(parent) if parent else None
    on = {"on_comment": answered} if parent.startswith("t1_") else {"on_post": answered or post_id}
    said = {"full_name": f"t1_{fields['id']}", "by": [_PERSON(raw or {})]}
    return [fields | said | on]


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    fields = _POST(data)
    name, subscribers = fields.get("subreddit_name"), data.get("subreddit_subscribers")
    comments = _comment(data, fields.get("id"))
    return data | fields | {
        "full_name": f"t3_{fields['id']}" if "id" in fields else None,
        "by": [_PERSON(data)],
        "known": [{"subreddit_name": name, "subscribers": subscribers}] if name else [],
        "comments": comments,
        "comment_id": comments[0]["id"] if comments else None,
        "id": fields.get("id"),
    }  # fmt: skip


def _medium(data: dict[str, Any]) -> dict[str, Any]:
    media_id, fields = as_text(data.get("filename")), _POST(data)
    about = dig(data, "media_metadata", media_id or "", "s")
    picture = dig(data, "preview", "images", 0, "source")
    captions = [
        item.get("caption")
        for item in mappings(dig(data, "gallery_data", "items"))
        if media_id is not None and item.get("media_id") == media_id
    ]
    comment = next(iter(_comment(data, fields.get("id"))), {})
    said = {
        "title": _TITLE(data).get("title"),
        "time": comment.get("time", fields.get("time")),
        "by": comment.get("by"),
    }
    found = _MEDIUM({"about": about, "picture": picture, "url": data.get("url")})
    return found | (said if comment else {}) | {
        "identity": f"reddit:media:{media_id}" if media_id else None,
        "media_id": media_id,
        "post_id": f"t3_{fields['id']}" if "id" in fields else None,
        "subreddit": fields.get("subreddit_name"),
        "caption": next(iter(captions), None),
    }  # fmt: skip


_TITLE = recast("title = title:text|selftext:text")
_MEDIUM = recast("""
    urls[] = about.u:address|url:address
    width = about.x|picture.width
    height = about.y|picture.height
""")
_POST_NODE = of_sidecar(SUBMISSION)
_NODE = replace(
    _POST_NODE,
    media=tuple(
        replace(one, title="caption|title", time="time", author=AUTHOR, container="comment_id",
                container_kind="comment")
        for one in _POST_NODE.media
    ),
    edges=(*_POST_NODE.edges, Edge("", _COMMENT, "comments")),
)  # fmt: skip
GALLERY_DL = SidecarFormat(Rules(REDDIT, "reddit", {"post": _NODE}), _of_sidecar, _medium)
