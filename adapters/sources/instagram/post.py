"""A post of Instagram as every format tells it: it owns its shape and the record made of it.

The id of a post is the number that its short code spells, so that the Graph API, whose ids are its
own, meets the old API and scrapers. The Graph API's numbers for people are its own, too: they meet
the others over the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.items import Link
from adapters.records.values import as_id, as_text
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.medium import media_node
from adapters.sources.schemas.instagram import TABLE

PLATFORM = "instagram"
TABLES = (TABLE,)
ASSOCIATIONS_MAX = 100
"""The most tags and people of one post that become nodes."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_KEY_LENGTH = 28
"""Codes of posts of private accounts end with a key of this length."""
_TAG = re.compile(r"(?<![\w&/])#(\w+)")
_MENTION = re.compile(r"(?<![\w.@/])@([A-Za-z0-9_.]{1,30})")


@dataclass(frozen=True, slots=True)
class Person:
    """What a record says about an account; known by id, by name or by both."""

    id: str | None = None
    name: str | None = None
    display_name: str | None = None
    follower_count: int | None = None
    following_count: int | None = None
    post_count: int | None = None

    @property
    def node(self) -> str | None:
        """The description of its node, or None when nothing names it."""
        if self.id:
            return describe(PLATFORM, "user", self.id)
        return describe(PLATFORM, "username", self.name.lower()) if self.name else None


@dataclass(frozen=True, slots=True)
class Medium:
    """One picture or video; `urls` are its sizes, the best first."""

    id: str
    kind: str | None = None
    urls: tuple[str, ...] = ()
    thumbnail_urls: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    alt_text: str | None = None
    is_cover: bool = False
    """It only shows another medium: without a file it is no node."""


@dataclass(frozen=True, slots=True)
class Post:
    """One post, reel or story; `columns` are counts and place by the names of the table."""

    id: str
    shortcode: str | None = None
    kind: str | None = None
    caption: str | None = None
    created: datetime | None = None
    author: Person = field(default_factory=Person)
    media: tuple[Medium, ...] = ()
    people: tuple[Person, ...] = ()
    hashtags: tuple[str, ...] | None = None
    """As the format lists them; None where they have to be read out of the caption."""
    view_count: int | None = None
    other_id: str | None = None
    """Its id in the Graph API, which is not that of the rest of the world."""
    columns: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment; `parent` is the description of what it answers."""

    id: str
    text: str | None
    created: datetime | None
    author: Person
    parent: str | None = None
    like_count: int | None = None


def post_node(post_id: str) -> str:
    """Return the description of a post's node."""
    return describe(PLATFORM, "post", post_id)


def shortcode_in(url: Any) -> str | None:
    """Return the short code in the address of a post."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "").path.split("/")
    except ValueError:
        return None
    for kind in ("p", "reel", "tv"):
        if kind in parts[:-1]:
            return as_text(parts[parts.index(kind) + 1])
    return None


def id_of_shortcode(code: str | None) -> str | None:
    """Return the number that a short code spells, in base 64."""
    if not code or any(character not in _ALPHABET for character in code):
        return None
    code = code[:-_KEY_LENGTH] if len(code) > _KEY_LENGTH else code
    number = 0
    for character in code[:22]:
        number = number * 64 + _ALPHABET.index(character)
    return as_id(number)


def tags_in(text: str | None) -> tuple[str, ...]:
    """Return the hashtags in a text, without #, once each."""
    found = dict.fromkeys(_TAG.findall(text or ""))
    return tuple(tag for tag in found if not tag.isdigit())


def people_in(text: str | None) -> tuple[Person, ...]:
    """Return the people whom a text names."""
    names = dict.fromkeys(name.strip(".").lower() for name in _MENTION.findall(text or ""))
    return tuple(Person(name=name) for name in names if name)


# ---- Records -----------------------------------------------------------------------------------


def read_post(draft: Draft, post: Post) -> None:
    """Read a post, with the files of its media out of the folder."""
    node, author = post_node(post.id), post.author.node
    draft.subject = node
    hashtags = tags_in(post.caption) if post.hashtags is None else post.hashtags
    meta = {
        "post_id": post.id,
        "shortcode": post.shortcode,
        "media_type": post.kind,
        "hashtags": list(hashtags),
        **post.columns,
    }
    draft.observe(
        node,
        meta,
        title=post.caption,
        view=post.view_count,
        update_time=post.created,
        author=author,
    )
    _observe_person(draft, post.author)
    draft.link(author, node, "authored")
    draft.link_all(alias(post.author))
    if post.other_id:
        draft.link(node, post_node(post.other_id), "alias")
    for position, medium in enumerate(post.media):
        _add_medium(draft, medium, post, position)
    draft.tag(PLATFORM, hashtags)
    draft.link_all(_mentioned(node, (*post.people, *people_in(post.caption))))


def read_comment(draft: Draft, comment: Comment) -> None:
    """Read a comment."""
    node, author = describe(PLATFORM, "comment", comment.id), comment.author.node
    draft.subject = node
    meta = {"like_count": comment.like_count}
    draft.observe(node, meta, title=comment.text, update_time=comment.created, author=author)
    _observe_person(draft, comment.author)
    draft.link(author, node, "authored")
    draft.link_all(alias(comment.author))
    draft.link(comment.parent, node, "reply")
    draft.link_all(_mentioned(node, people_in(comment.text)))


def read_person(draft: Draft, person: Person) -> None:
    """Read an account; RecordError when nothing names it."""
    if person.node is None:
        raise RecordError("the user has neither an id nor a name")
    draft.subject = person.node
    _observe_person(draft, person)
    draft.link_all(alias(person))


def _observe_person(draft: Draft, person: Person) -> None:
    """Say what is said about an account, if anything but its id is."""
    said = {
        "user_name": person.name,
        "display_name": person.display_name,
        "follower_count": person.follower_count,
        "following_count": person.following_count,
        "post_count": person.post_count,
    }
    if any(value is not None for value in said.values()):
        meta = {"user_id": person.id, **said}
        title = person.display_name or person.name
        draft.observe(person.node, meta, title=title, author=person.node)


def alias(person: Person) -> list[Link]:
    """Return the edge from an account to its name, when both are known."""
    name = Person(name=person.name).node
    return [Link(person.node, name, "alias")] if person.id and person.node and name else []


def _mentioned(node: str, people: tuple[Person, ...]) -> Iterator[Link]:
    named = {person.node: person for person in people[:ASSOCIATIONS_MAX] if person.node}
    for other, person in named.items():
        yield Link(node, other, "mentioned")
        yield from alias(person)


def _add_medium(draft: Draft, medium: Medium, post: Post, position: int) -> None:
    description = describe(PLATFORM, "media", medium.id)
    # gallery-dl calls files POST_MEDIUM, instaloader and others CODE_NUMBER.
    stems = [medium.id, *medium.stems, f"{post.id}_{medium.id}", f"{post.id}_{position + 1}"]
    if post.shortcode:
        stems.append(f"{post.shortcode}_{position + 1}")
        stems += [post.shortcode] if len(post.media) == 1 else []
    is_video = medium.kind == "video"
    found = media_node(draft, description, medium.urls, medium.thumbnail_urls, stems, is_video)
    if medium.is_cover and found.node == description:
        return
    meta = {
        "post_id": post.id,
        "shortcode": post.shortcode,
        "media_id": medium.id,
        "media_type": medium.kind,
        "width": medium.width,
        "height": medium.height,
        "media_url": medium.urls[0] if medium.urls else None,
        "alt_text": medium.alt_text,
    }
    draft.observe(
        found.node,
        meta,
        is_root=True,
        title=post.caption,
        update_time=post.created,
        author=post.author.node,
    )
    draft.link(post_node(post.id), found.node, "contains", position)
    draft.link_all(found.links)
