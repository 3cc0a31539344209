"""The Tumblr API: it owns posts of the legacy types and of NPF blocks, reblog trails, blogs, notes.

A post is `tumblr:post:<id>`, ids are the same on every blog. A blog is `tumblr:user:<uuid>` with
its name as an alias, or `tumblr:username:<name>` where only that is known. A reblog is a chain of
`repost` edges through its trail; each post of the trail is a record of its own with its own blocks.

The bodies of requests in the documentation (blocks without a post id) and replies in lists of notes
cannot be known again: they are Problems. Skipped silently: likes in lists of notes, which have no
post, and broken trail items, whose post is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.paths import BODY_LENGTH_MAX
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.rich_text import text_of_post
from adapters.sources.shapes import reader
from adapters.sources.tumblr.blog import RULES, TUMBLR
from adapters.sources.tumblr.media import BLOCK_TYPES, blocks_of, media_of, pages_of

HOLDERS = (
    "posts",
    "liked_posts",
    "post",
    "timeline",
    "elements",
    "notes",
    "blog",
    "blogs",
    "users",
)
"""Keys of a response under which posts, notes and blogs are."""


# ---- Which value is what ---------------------------------------------------------------------


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is Tumblr's."""
    if isinstance(value, list):
        return max((recognise(member) for member in value[:3]), default=0.0)
    if not isinstance(value, dict) or {"category", "subcategory"} <= value.keys():
        return 0.0
    if isinstance(dig(value, "meta", "status"), int) and "response" in value:
        return 0.9
    if is_post(value):
        return 0.95 if {"note_count", "reblog_key"} & value.keys() else 0.85
    if "uuid" in value and str(value.get("uuid")).startswith("t:") and "name" in value:
        return 0.85
    if _is_body(value):
        return 0.5
    return 0.9 * max((recognise(value[name]) for name in HOLDERS if name in value), default=0.0)


def is_post(value: dict[str, Any]) -> bool:
    """Tell whether an object is a post of a blog."""
    told = {"note_count", "reblog_key", "post_url", "trail", "tags", "slug", "short_url"}
    return (
        ("id" in value or "id_string" in value)
        and ("blog_name" in value or isinstance(value.get("blog"), dict))
        and len(told & value.keys()) >= 1
    )


def _is_body(value: dict[str, Any]) -> bool:
    """Tell whether an object is NPF blocks, or one block, without a post."""
    content = value.get("content")
    blocks = list(mappings([content] if isinstance(content, dict) else content))
    if blocks:
        return all(str(block.get("type")) in BLOCK_TYPES for block in blocks)
    told = {"media", "formatting", "subtype", "attribution"} & value.keys()
    return str(value.get("type")) in BLOCK_TYPES and bool(told)


def split(value: Any) -> Iterator[Part]:
    """Yield the entries of a response, a list of posts, or a post."""
    if isinstance(value, list):
        for member in value:
            yield from split(member)
    elif not isinstance(value, dict):
        yield Part(_unknown, value)
    elif "response" in value and isinstance(value.get("meta"), dict):
        yield from split(value["response"])
    elif is_post(value):
        yield Part(_READ["post"], value)
        for item in mappings(value.get("trail")):
            if _trail_id(item) and _trail_id(item) != _id_of(value) and blocks_of(item):
                yield Part(_READ["trail"], item)
    elif _is_note(value):
        if value["type"] != "like":
            yield Part(_READ["note"], value)
    elif _is_body(value):
        yield Part(_without_id, value)
    elif any(isinstance(value.get(name), dict | list) for name in HOLDERS):
        for name in HOLDERS:
            if isinstance(value.get(name), dict | list):
                yield from split(value[name])
    elif isinstance(value.get("name"), str):
        yield Part(_READ["blog"], value)
    else:
        yield Part(_unknown, value)


def _is_note(value: dict[str, Any]) -> bool:
    return "timestamp" in value and "blog_name" in value and isinstance(value.get("type"), str)


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no post, blog or note: {str(value)[:80]!a}")


def _without_id(draft: Draft, value: Any) -> None:
    raise RecordError("blocks without a post id and a blog: the body of a request, or an example")


# ---- Fields ----------------------------------------------------------------------------------


def _post(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a post of either format."""
    post_id = _id_of(raw)
    blog = raw["blog"] if isinstance(raw.get("blog"), dict) else {"name": raw.get("blog_name")}
    said = {
        "title": title_of(raw),
        "text": written_in(raw),
        "media": media_of(raw, post_id),
        "pages": pages_of(raw),
    }
    return raw | said | {"id": post_id, "blog": blog, "chain": _chain(raw, post_id)}


def _trail_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier post of a reblog chain added."""
    post_id = _trail_id(item)
    said = {
        "title": title_of(item),
        "text": written_in(item),
        "media": media_of(item, post_id),
        "pages": pages_of(item),
    }
    return said | {
        "id": post_id,
        "blog": item.get("blog"),
        "timestamp": dig(item, "post", "timestamp"),
    }


def _note(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a reblog in a list of notes."""
    post_id = as_text(raw.get("post_id"))
    if post_id is None:
        raise RecordError(f"a {as_text(raw['type'])} in a list of notes has no id of its own")
    blog = {"name": raw.get("blog_name"), "uuid": raw.get("blog_uuid"), "url": raw.get("blog_url")}
    text = first(as_text(raw.get("reply_text")), as_text(raw.get("added_text")))
    return {"id": post_id, "blog": blog, "title": text, "timestamp": raw.get("timestamp")}


def _chain(raw: dict[str, Any], post_id: str | None) -> list[dict[str, Any]]:
    """Return the chain from the first post over those of the trail to this one."""
    root = as_text(raw.get("reblogged_root_id"))
    chain: dict[str, Any] = {root: None} if root else {}
    for item in mappings(raw.get("trail")):
        if (earlier := _trail_id(item)) and earlier != post_id:
            chain[earlier] = chain.get(earlier) or item.get("blog")
    if parent := as_text(raw.get("reblogged_from_id")):
        by = {"name": raw.get("reblogged_from_name"), "uuid": raw.get("reblogged_from_uuid")}
        known = chain.pop(parent, None)
        chain[parent] = [known, by] if known else by
    chain.pop(post_id or "", None)
    following = [*list(chain)[1:], post_id]
    pairs = zip(chain.items(), following, strict=True) if chain else ()
    return [{"id": one, "blogs": blogs, "next": after} for (one, blogs), after in pairs]


def title_of(raw: dict[str, Any]) -> str | None:
    """Return the title of a post, else its text in blocks or HTML, else its summary."""
    return first(
        text_of_post(raw.get("title")),
        as_text(written_in(raw)),
        as_text(raw.get("track_name")),
        as_text(raw.get("summary")),
    )


def written_in(raw: dict[str, Any]) -> str | None:
    """Return what is written in a post, in blocks or in HTML."""
    texts = [as_text(block.get("text"), BODY_LENGTH_MAX) for block in blocks_of(raw)]
    html = (raw.get(name) for name in ("body", "caption", "text", "question", "description"))
    texts = [text for text in texts if text] or [
        next((text for one in html if (text := text_of_post(one, BODY_LENGTH_MAX))), None)
    ]
    return as_text("\n".join(text for text in texts if text), BODY_LENGTH_MAX)


def _id_of(raw: dict[str, Any]) -> str | None:
    found = first(raw.get("id_string"), raw.get("id"))
    return as_text(found) if isinstance(found, str | int) else None


def _trail_id(item: dict[str, Any]) -> str | None:
    found = dig(item, "post", "id")
    return as_text(found) if isinstance(found, str | int) else None


_FIELDS = {"post": _post, "trail": _trail_item, "note": _note}
_READ = {
    **{kind: reader(replace(RULES, prepare=_FIELDS), kind) for kind in _FIELDS},
    "blog": reader(RULES, "blog"),
}


ADAPTERS = (
    DocumentAdapter(
        name="tumblr",
        tables=(TUMBLR.table,),
        recognise=recognise,
        split=of_value(split),
        expected="no response of the Tumblr API with posts, a blog or notes",
        markers=(
            (b'"response"', b'"blog_name"', b'"reblog_key"'),
            (b'"note_count"', b'"post_url"'),
        ),
    ),
)
