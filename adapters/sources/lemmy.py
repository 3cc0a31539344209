"""Lemmy: posts, comments, communities and people as its API answers them.

They are known by the addresses that servers of the Fediverse know them by, so that a post meets
itself out of another server or out of ActivityPub. A comment's answer is found within the document,
as its path has numbers of the one server that was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found, Part, of_value
from adapters.sources.reading.media_finder import is_media_address
from adapters.sources.shapes import Shape, reader, shape

LEMMY = source(
    "lemmy",
    "Lemmy",
    """
    post:
    uri text = post.ap_id # Address that is its identity between servers
    local_id text = post.id:text # Id on the server that was asked
    text text = post.body:body # Text of the post, or of the comment
    link_url text = post.url # What the post links to
    community text = community.actor_id # Address of its community
    community_name text = community.name # Name of its community
    score bigint = counts.score:signed # Upvotes less downvotes
    upvote_count bigint = counts.upvotes # Upvotes
    downvote_count bigint = counts.downvotes # Downvotes
    comment_count bigint = counts.comments # Comments
    edit_time timestamptz = post.updated # When it was edited last
    is_sensitive boolean = post.nsfw # Not safe for work
    is_removed boolean = post.removed # Removed by a moderator
    is_pinned boolean = post.featured_community # Pinned in its community
    comment:
    uri = comment.ap_id
    local_id = comment.id:text
    text = comment.content:body
    community
    community_name
    score
    upvote_count
    downvote_count
    comment_count = counts.child_count
    edit_time = comment.updated
    is_removed = comment.removed
    medium:
    media_url text = url # Address of the picture or film
    alt_text text = alt_text # Description of the medium
    group:
    uri = actor_id
    community_name = name
    text = description:body
    subscriber_count bigint = ^.counts.subscribers # Subscribers, on rows of communities
    post_count bigint = ^.counts.posts|^.counts.post_count # Posts, on rows of communities and users
    is_sensitive = nsfw
    user:
    uri = actor_id
    user_name text = name # Name, on rows of users
    display_name text = display_name # Shown name, on rows of users
    bio text = bio:body # What an account says about itself, on rows of users
    is_bot boolean = bot_account # Whether a program writes, on rows of users
    post_count
    """,
)
USER = Person(
    id="actor_id", title="display_name|name", at="person", is_own_author=True, time="published"
)
_AUTHOR = replace(USER, at="creator", time="")
_COMMUNITY = Node("group", id="actor_id", title="title|name", section="group")
POST = Node(
    "post",
    id="post.ap_id",
    title="post.name",
    time="post.published",
    author=_AUTHOR,
    media=(Medium(id="url", at="media", urls="url", thumbs="thumbnail"),),
    edges=(
        Edge("member", _COMMUNITY, "community"),
        Edge("linked", "address", "page"),
    ),
)
COMMENT = Node(
    "post",
    id="comment.ap_id",
    title="comment.content",
    time="comment.published",
    section="comment",
    author=_AUTHOR,
    edges=(
        Edge("member", _COMMUNITY, "community"),
        Edge("conversation", "post", "post.ap_id"),
        Edge("reply", "post", "answered"),
    ),
)
NODES = {
    "post": POST,
    "comment": COMMENT,
    "community": Node("group", id="actor_id", title="title|name", section="group"),
    "person": replace(USER, at=""),
}
SHAPES: tuple[Shape, ...] = (
    shape("comment", "comment creator post", "counts community"),
    shape("post", "post creator community", "counts"),
    shape("community", "community counts"),
    shape("person", "person counts"),
)
HOLDERS = (
    "post_view", "posts", "comment_view", "comments", "community_view", "communities",
    "person_view", "users", "cross_posts",
)  # fmt: skip
EXPECTED = "expected posts, comments, communities or people of Lemmy's API"


def _with_media(value: dict[str, Any]) -> dict[str, Any]:
    url, post = dig(value, "post", "url"), value["post"]
    if not is_media_address(url):
        return value | {"page": url}
    alt, thumbnail = dig(post, "alt_text"), dig(post, "thumbnail_url")
    return value | {"media": [{"url": url, "alt_text": alt, "thumbnail": thumbnail}]}


RULES = Rules(LEMMY, "activitypub", NODES, {"post": _with_media})


def _items(value: Any, known: dict[Any, Any]) -> Iterator[Found]:
    found = next((one for one in SHAPES if one.fits(value)), None)
    if found is not None:
        yield _part(found.kind, value, known)
        return
    held = value if isinstance(value, list) else None
    if isinstance(value, dict):
        held = [value[name] for name in HOLDERS if isinstance(value.get(name), list | dict)]
    if not held and not isinstance(value, list):
        yield RecordError(EXPECTED)
    for member in held or ():
        yield from _items(member, known)


def _part(kind: str, value: dict[str, Any], known: dict[Any, Any]) -> Found:
    if kind in ("community", "person"):
        inner = value[kind]
        fields = inner | {"^": value} if isinstance(inner, dict) else inner
        return Part(reader(RULES, kind), fields, value)
    if kind == "post":
        return Part(reader(RULES, kind), value)
    path = (as_text(dig(value, "comment", "path")) or "").split(".")
    above = path[-2] if len(path) > 2 else None
    answered = known.get(above) if above else dig(value, "post", "ap_id")
    return Part(reader(RULES, kind), value | {"answered": answered}, value)


def _split(value: Any) -> Iterator[Found]:
    comments = mappings(value.get("comments") if isinstance(value, dict) else value)
    known = {as_text(dig(one, "comment", "id")): dig(one, "comment", "ap_id") for one in comments}
    yield from _items(value, known)


def _recognises(value: Any) -> float:
    tried = [value] if not isinstance(value, list) else value[:5]
    for one in tried:
        inner = [one]
        if isinstance(one, dict):
            for name in HOLDERS:
                held = one.get(name)
                inner += held[:3] if isinstance(held, list) else [held]
        if any(_is_its(member) for member in inner):
            return SURE
    return 0.0


def _is_its(value: Any) -> bool:
    """Tell whether a value is a view of Lemmy: its inner objects have addresses of servers."""
    found = next((one for one in SHAPES if one.fits(value)), None)
    return found is not None and bool({"ap_id", "actor_id"} & _keys(value.get(found.kind)))


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


ADAPTERS = (
    DocumentAdapter(
        name="lemmy",
        tables=(LEMMY.table,),
        split=of_value(_split),
        expected=EXPECTED,
        recognise=_recognises,
    ),
)
