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
from itertools import pairwise
from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first, mappings
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.rich_text import text_of_post
from adapters.sources.schemas.tumblr import TABLE
from adapters.sources.tumblr.media import BLOCK_TYPES, add_media, blocks_of

PLATFORM = "tumblr"
LEGACY_TYPES = frozenset(
    {"text", "photo", "video", "audio", "quote", "link", "chat", "answer", "postcard", "blocks"}
)
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
        yield Part(read_post, value)
        for item in mappings(value.get("trail")):
            if _trail_id(item) and _trail_id(item) != _id_of(value) and blocks_of(item):
                yield Part(read_trail_item, item)
    elif _is_note(value):
        if value["type"] != "like":
            yield Part(read_note, value)
    elif _is_body(value):
        yield Part(_without_id, value)
    elif any(isinstance(value.get(name), dict | list) for name in HOLDERS):
        for name in HOLDERS:
            if isinstance(value.get(name), dict | list):
                yield from split(value[name])
    elif isinstance(value.get("name"), str):
        yield Part(read_blog, value)
    else:
        yield Part(_unknown, value)


def _is_note(value: dict[str, Any]) -> bool:
    return "timestamp" in value and "blog_name" in value and isinstance(value.get("type"), str)


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no post, blog or note: {str(value)[:80]!a}")


def _without_id(draft: Draft, value: Any) -> None:
    raise RecordError("blocks without a post id and a blog: the body of a request, or an example")


# ---- Reading ---------------------------------------------------------------------------------


def read_post(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a post of either format."""
    post_id = _id_of(raw)
    if post_id is None:
        raise RecordError("the post has no id")
    draft.subject = describe(PLATFORM, "post", post_id)
    blog = raw.get("blog") if isinstance(raw.get("blog"), dict) else {"name": raw.get("blog_name")}
    author = add_blog(draft, blog)
    draft.link(author, draft.subject, "authored")
    tags = as_texts(raw.get("tags")) or []
    meta = {
        "post_id": post_id,
        "blog_name": first(as_text(raw.get("blog_name")), as_text(dig(blog, "name"))),
        "blog_uuid": as_text(dig(blog, "uuid")),
        "post_type": first(as_text(raw.get("original_type")), as_text(raw.get("type"))),
        "post_url": as_text(raw.get("post_url")),
        "slug": as_text(raw.get("slug")),
        "state": as_text(raw.get("state")),
        "note_count": as_count(raw.get("note_count")),
        "play_count": as_count(raw.get("plays")),
        "origin_url": as_text(raw.get("source_url")),
        "tags": tags or None,
    }
    draft.observe(
        draft.subject,
        meta,
        title=title_of(raw),
        update_time=parse_time(raw.get("timestamp")) or parse_time(raw.get("date")),
        author=author,
    )
    draft.tag(PLATFORM, [tag.lstrip("#") for tag in tags])
    _add_trail(draft, raw, post_id)
    add_media(draft, raw, post_id)


def read_trail_item(draft: Draft, item: dict[str, Any]) -> None:
    """Read what an earlier post of a reblog chain added."""
    post_id = _trail_id(item)
    draft.subject = describe(PLATFORM, "post", post_id or "")
    author = add_blog(draft, item.get("blog"))
    draft.link(author, draft.subject, "authored")
    meta = {"post_id": post_id, "blog_name": as_text(dig(item, "blog", "name"))}
    time = parse_time(dig(item, "post", "timestamp"))
    draft.observe(draft.subject, meta, title=title_of(item), update_time=time, author=author)
    add_media(draft, item, post_id or "")


def read_note(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a reblog in a list of notes."""
    post_id = as_text(raw.get("post_id"))
    if post_id is None:
        raise RecordError(f"a {as_text(raw['type'])} in a list of notes has no id of its own")
    draft.subject = describe(PLATFORM, "post", post_id)
    blog = {"name": raw.get("blog_name"), "uuid": raw.get("blog_uuid"), "url": raw.get("blog_url")}
    author = add_blog(draft, blog)
    draft.link(author, draft.subject, "authored")
    text = first(as_text(raw.get("reply_text")), as_text(raw.get("added_text")))
    meta = {"post_id": post_id, "blog_name": as_text(raw.get("blog_name"))}
    time = parse_time(raw.get("timestamp"))
    draft.observe(draft.subject, meta, title=text, update_time=time, author=author)


def read_blog(draft: Draft, raw: dict[str, Any]) -> None:
    """Read what is said about a blog on its own."""
    blog = blog_node(raw)
    if blog is None:
        raise RecordError("the blog has neither uuid nor name")
    draft.subject = blog
    add_blog(draft, raw)


def blog_node(raw: Any) -> str | None:
    """Return the node of a blog: by uuid, else by name."""
    uuid, name = as_text(dig(raw, "uuid")), as_text(dig(raw, "name"))
    if uuid:
        return reference(PLATFORM, "user", uuid)
    return reference(PLATFORM, "username", name.lower()) if name else None


def add_blog(draft: Draft, raw: Any) -> str | None:
    """Say what a record tells about a blog; returns its node."""
    blog, name = blog_node(raw), as_text(dig(raw, "name"))
    if blog is None:
        return None
    meta = {
        "blog_name": name,
        "blog_uuid": as_text(raw.get("uuid")),
        "blog_title": as_text(raw.get("title")),
        "post_count": as_count(raw.get("posts")),
    }
    title = first(as_text(raw.get("title")), name)
    draft.observe(blog, meta, title=title, update_time=parse_time(raw.get("updated")))
    draft.link(blog, reference(PLATFORM, "username", name.lower()) if name else None, "alias")
    return blog


def title_of(raw: dict[str, Any]) -> str | None:
    """Return the title of a post, else its text in blocks or HTML, else its summary."""
    texts = [as_text(block.get("text")) for block in blocks_of(raw)]
    written = "\n".join(text for text in texts if text)
    html = (raw.get(name) for name in ("body", "caption", "text", "question", "description"))
    return first(
        text_of_post(raw.get("title")),
        as_text(written),
        *map(text_of_post, html),
        as_text(raw.get("track_name")),
        as_text(raw.get("summary")),
    )


# ---- Parts -----------------------------------------------------------------------------------


def _id_of(raw: dict[str, Any]) -> str | None:
    found = first(raw.get("id_string"), raw.get("id"))
    return as_text(found) if isinstance(found, str | int) else None


def _trail_id(item: dict[str, Any]) -> str | None:
    found = dig(item, "post", "id")
    return as_text(found) if isinstance(found, str | int) else None


def _add_trail(draft: Draft, raw: dict[str, Any], post_id: str) -> None:
    """Tie the chain from the first post over those of the trail to this one."""
    chain: dict[str, None] = dict.fromkeys(filter(None, [as_text(raw.get("reblogged_root_id"))]))
    for item in mappings(raw.get("trail")):
        earlier = _trail_id(item)
        if earlier and earlier != post_id:
            chain.setdefault(earlier)
            author = blog_node(item.get("blog"))
            draft.link(author, reference(PLATFORM, "post", earlier), "authored")
    if parent := as_text(raw.get("reblogged_from_id")):
        chain.pop(parent, None)
        chain[parent] = None
        by = {"name": raw.get("reblogged_from_name"), "uuid": raw.get("reblogged_from_uuid")}
        draft.link(blog_node(by), reference(PLATFORM, "post", parent), "authored")
    chain.pop(post_id, None)
    nodes = [reference(PLATFORM, "post", earlier) for earlier in chain]
    for original, again in pairwise([*nodes, draft.subject]):
        draft.link(original, again, "repost")


ADAPTERS = (
    DocumentAdapter(
        name="tumblr",
        tables=(TABLE,),
        recognise=recognise,
        split=of_value(split),
        expected="no response of the Tumblr API with posts, a blog or notes",
        markers=(
            (b'"response"', b'"blog_name"', b'"reblog_key"'),
            (b'"note_count"', b'"post_url"'),
        ),
    ),
)
