"""What one sidecar says, before it is a Record: it owns the shape that all sites share.

A site's rules fill a SitePost; `read_sidecar` turns it into observations and edges, always in the
same way: author -authored-> post -contains-> medium. Rules of a site never live here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.records import describe
from adapters.records.errors import RecordError
from adapters.records.items import Link, Observation
from adapters.records.values import as_text
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.sidecar import Sidecar, nothing_in

TAGS_MAX = 100
PERSONS_MAX = 100
"""Mentioned, credited or tagged people and tags that one record may bring as nodes."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account; `alias` is the node of its name when `node` is that of its id."""

    node: str
    title: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    alias: str | None = None


@dataclass(slots=True)
class SitePost:
    """What a site's rules found; `medium` stands for the medium when its file is missing.

    `post` and everything beside the medium must not depend on which medium of the post this is:
    all sidecars of one post say the same of it.
    """

    source: str
    post: str | None = None
    title: str | None = None
    view: int | None = None
    time: datetime | None = None
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    author: Person | None = None
    persons: list[Person] = field(default_factory=list[Person])
    container: str | None = None
    """What contains the medium, when that is not the post."""
    container_author: str | None = None
    position: int | None = None
    """Position of the medium in its post, from 0."""
    medium: str | None = None
    medium_title: str | None = None
    medium_time: datetime | None = None
    medium_meta: dict[str, Any] = field(default_factory=dict[str, Any])
    links: list[Link] = field(default_factory=list[Link])
    others: list[Observation] = field(default_factory=list[Observation])

    def link(self, parent: str | None, child: str | None, relationship: str) -> None:
        """Add an edge when both ends are known and differ."""
        if parent is not None and child is not None and parent != child:
            self.links.append(Link(parent, child, relationship))

    def tag(self, platform: str, names: list[str] | None) -> None:
        """Tie tags to the post, at most TAGS_MAX."""
        tags = (reference(platform, "tag", name.lower()) for name in (names or [])[:TAGS_MAX])
        for tag in dict.fromkeys(tags):
            self.link(tag, self.post, "tagged")

    def observe(self, node: str | None, title: Any = None, **meta: Any) -> None:
        """Say something about another node than post, medium and author."""
        if node is not None:
            self.others.append(
                Observation(node, self.source, False, title=as_text(title), meta=known(meta))
            )


def read_sidecar(draft: Draft, sidecar: Sidecar, said: SitePost) -> None:
    """Turn what a site's rules found into observations and edges; RecordError for nothing."""
    draft.source = said.source
    medium = (sidecar.media or said.medium) if sidecar.has_medium else None
    author = said.author.node if said.author else None
    others = [one.node for one in said.others]
    subject = next((node for node in (said.post, medium, author, *others) if node), None)
    if subject is None:
        raise RecordError(nothing_in(sidecar))
    draft.subject = subject
    draft.observe(
        said.post,
        said.meta,
        title=said.title,
        view=said.view,
        update_time=said.time,
        author=author,
    )
    draft.link(author, said.post or medium, "authored")
    draft.observe(
        medium,
        said.medium_meta,
        is_root=True,
        title=said.medium_title or said.title,
        update_time=said.medium_time or said.time,
        author=said.container_author or author,
    )
    draft.link(said.container or said.post, medium, "contains", said.position)
    for person in _distinct([said.author, *said.persons]):
        if person.title is not None or person.meta:
            draft.observe(person.node, person.meta, title=person.title)
        draft.link(person.node, person.alias, "alias")
    for other in said.others:
        draft.observe(other.node, other.meta, title=other.title)
    draft.link_all(said.links)


def _distinct(persons: list[Person | None]) -> list[Person]:
    found: dict[str, Person] = {}
    for person in persons:
        if person is not None:
            found.setdefault(person.node, person)
    return list(found.values())


def known(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not known: an absent column is NULL."""
    return {name: value for name, value in meta.items() if value is not None and value != []}


def reference(platform: str, kind: str, identity: Any) -> str | None:
    """Return the description of a node, or None for what is no id; 0 stands for "none"."""
    if identity in (0, "0"):
        return None
    return describe.reference(platform, kind, identity)
