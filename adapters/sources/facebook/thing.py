"""Objects of Facebook as records: it owns which nodes, edges and columns they become.

A photo or video has a page of its own, which is a post that contains the one medium; the post in a
feed that shows it contains the same medium. A post belongs to the page on whose wall it is (the
first half of its id). Albums grow for years, so what is in them are members.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.items import Link
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.medium import media_node
from adapters.sources.schemas.facebook import TABLE

PLATFORM = "facebook"
TABLES = (TABLE,)
ASSOCIATIONS_MAX = 100
"""The most tags, people and pages of one post that become nodes."""
_TAG = re.compile(r"(?<![\w&/])#(\w+)")


@dataclass(frozen=True, slots=True)
class Person:
    """A person or page; known by id only, whatever its name says."""

    id: str | None = None
    name: str | None = None
    user_name: str | None = None
    follower_count: int | None = None

    @property
    def node(self) -> str | None:
        """The description of its node, or None without an id."""
        return describe(PLATFORM, "user", self.id) if self.id else None


@dataclass(frozen=True, slots=True)
class Medium:
    """One photo or video; `urls` are its sizes, the best first."""

    id: str
    type: str
    urls: tuple[str, ...] = ()
    thumbnail_urls: tuple[str, ...] = ()
    alt_text: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A post, photo page, video page, album, event or comment."""

    kind: str
    id: str
    title: str | None = None
    created: datetime | None = None
    author: Person = field(default_factory=Person)
    wall_id: str | None = None
    """Whose feed it is in."""
    album: Thing | None = None
    shown_in: str | None = None
    """The post of a feed that shows this photo or video."""
    parent: str | None = None
    """The description of what a comment answers."""
    repost_of: str | None = None
    media: tuple[Medium, ...] = ()
    people: tuple[Person, ...] = ()
    pages: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    """Descriptions of what belongs to it, such as the dates of an event."""
    view_count: int | None = None
    columns: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def node(self) -> str:
        """The description of its node."""
        kind = "post" if self.kind in ("photo", "video") else self.kind
        return describe(PLATFORM, kind, self.id)


def tags_in(text: str | None) -> tuple[str, ...]:
    """Return the hashtags in a text, without #, once each."""
    found = dict.fromkeys(_TAG.findall(text or ""))
    return tuple(tag for tag in found if not tag.isdigit())


def read_thing(draft: Draft, thing: Thing) -> None:
    """Read a thing, with the files of its media out of the folder."""
    draft.subject = thing.node
    _observe(draft, thing)
    _observe_person(draft, thing.author)
    if thing.album is not None:
        _observe(draft, thing.album)
    draft.link_all(_associations(thing))
    draft.tag(PLATFORM, tags_in(thing.title))
    for position, medium in enumerate(thing.media):
        _add_medium(draft, medium, thing, position)


def read_person(draft: Draft, person: Person) -> None:
    """Read a person or page; RecordError without an id."""
    if person.node is None:
        raise RecordError("the person or page has no usable id; expected digits in id")
    draft.subject = person.node
    _observe_person(draft, person)
    draft.link_all(_alias(person))


def _observe_person(draft: Draft, person: Person) -> None:
    """Say what is said about a person, if anything but the id is."""
    said = {
        "user_name": person.user_name,
        "display_name": person.name,
        "follower_count": person.follower_count,
    }
    if any(value is not None for value in said.values()):
        meta = {"user_id": person.id, **said}
        title = person.name or person.user_name
        draft.observe(person.node, meta, title=title, author=person.node)


def _observe(draft: Draft, thing: Thing) -> None:
    meta = {
        "object_id": thing.id,
        "object_type": thing.kind,
        "hashtags": list(tags_in(thing.title)),
        **thing.columns,
    }
    draft.observe(
        thing.node,
        meta,
        title=thing.title,
        view=thing.view_count,
        update_time=thing.created,
        author=thing.author.node,
    )


def _associations(thing: Thing) -> Iterator[Link]:
    node = thing.node
    if thing.author.node:
        yield Link(thing.author.node, node, "authored")
        yield from _alias(thing.author)
    if thing.wall_id:
        yield Link(describe(PLATFORM, "user", thing.wall_id), node, "member")
    if thing.album is not None:
        yield Link(thing.album.node, node, "member")
    if thing.parent:
        yield Link(thing.parent, node, "reply")
    if thing.repost_of and thing.repost_of != thing.id:
        yield Link(describe(PLATFORM, "post", thing.repost_of), node, "repost")
    people = dict.fromkeys(person.node for person in thing.people if person.node)
    for person in list(people)[:ASSOCIATIONS_MAX]:
        yield Link(node, person, "mentioned")
    for page in thing.pages[:ASSOCIATIONS_MAX]:
        yield Link(node, describe("web", "page", page), "linked")
    for member in thing.members[:ASSOCIATIONS_MAX]:
        yield Link(node, member, "member")


def _alias(person: Person) -> list[Link]:
    if not (person.node and person.user_name):
        return []
    name = describe(PLATFORM, "username", person.user_name.lower())
    return [Link(person.node, name, "alias")]


def _add_medium(draft: Draft, medium: Medium, thing: Thing, position: int) -> None:
    description = describe(PLATFORM, "media", medium.id)
    stems = (medium.id, f"{thing.id}_{position + 1}", thing.id)
    found = media_node(
        draft,
        description,
        medium.urls,
        medium.thumbnail_urls,
        stems if len(thing.media) == 1 else stems[:2],
        medium.type == "video",
    )
    meta = {
        "object_id": thing.id,
        "object_type": thing.kind,
        "media_id": medium.id,
        "media_type": medium.type,
        "media_url": medium.urls[0] if medium.urls else None,
        "alt_text": medium.alt_text,
        "width": medium.width,
        "height": medium.height,
        "duration_s": medium.duration_s,
    }
    draft.observe(
        found.node,
        meta,
        is_root=True,
        title=thing.title,
        update_time=thing.created,
        author=thing.author.node,
    )
    draft.link(thing.node, found.node, "contains", position)
    if thing.shown_in and thing.shown_in != thing.id:
        draft.link(describe(PLATFORM, "post", thing.shown_in), found.node, "contains")
    draft.link_all(found.links)
