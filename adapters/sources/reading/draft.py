"""A record in the making: it owns gathering observations and links once each, and no format.

A rule names the `subject` and calls `observe`, `link` and `tag` in any order; `record` freezes the
result. Duplicates and unknown values fall away here, so that no rule has to think of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.records.describe import reference
from adapters.records.items import Link, NodeReference, Observation, Record
from adapters.sources.reading.media_finder import MediaFinder

LINKS_MAX = 500_000
"""Edges of one record, as many as a video with 100,000 comments has; the rest is left out."""
TAGS_MAX = 100


class Draft:
    """What one record of one source says so far; `path` is the file that it was found in."""

    subject: NodeReference
    """What the record is about; every rule sets it."""

    def __init__(self, source: str, path: str, media: MediaFinder) -> None:
        self.source = source
        self.path = path
        self.media = media
        self.scraped_time: datetime | None = None
        """When the record was scraped, where it says so."""
        self.unread: Counter[str] = Counter()
        """How often a column had a value of another type, by `table.column`."""
        self._observations: dict[NodeReference, Observation] = {}
        self._links: dict[Link, None] = {}

    def observe(
        self,
        node: NodeReference | None,
        meta: Mapping[str, Any] | None = None,
        *,
        is_root: bool = False,
        title: str | None = None,
        view: int | None = None,
        update_time: datetime | None = None,
        author: str | None = None,
    ) -> None:
        """Say what the record says about a node; the first saying about a node counts."""
        if node is None:
            return
        known = {name: value for name, value in (meta or {}).items() if value not in (None, [], "")}
        self._observations.setdefault(
            node, Observation(node, self.source, is_root, title, view, update_time, author, known)
        )

    def observe_medium(
        self, medium: NodeReference, meta: Mapping[str, Any], caption: str | None = None
    ) -> None:
        """Say what is known about a medium of the subject, which must be observed already.

        A medium without a caption of its own has that of its post.
        """
        post = self._observations.get(self.subject)
        self.observe(
            medium,
            meta,
            is_root=True,
            title=caption or (post.title if post else None),
            update_time=post.update_time if post else None,
            author=post.author if post else None,
        )

    def link(
        self,
        parent: NodeReference | None,
        child: NodeReference | None,
        relationship: str,
        position: int | None = None,
    ) -> None:
        """Add an edge; none where one end is unknown, both are one node, or it is there already."""
        if parent is None or child is None or parent == child or len(self._links) >= LINKS_MAX:
            return
        self._links.setdefault(Link(parent, child, relationship, position))

    def link_all(self, links: Iterable[Link]) -> None:
        """Add edges that a rule made ready."""
        for link in links:
            self.link(link.parent, link.child, link.relationship, link.position)

    def tag(
        self, platform: str, names: Iterable[str] | None, of: NodeReference | None = None
    ) -> None:
        """Tie a node to its first tags; the subject where no other is named."""
        for name in list(names or ())[:TAGS_MAX]:
            tag = reference(platform, "tag", " ".join(name.lower().split()))
            self.link(tag, self.subject if of is None else of, "tagged")

    def contain(
        self,
        post: NodeReference,
        file: NodeReference | None,
        fallback: str | None,
        position: int = 0,
    ) -> NodeReference | None:
        """Tie a post to its medium: the file, or the virtual node when the file is missing."""
        node = file or fallback
        self.link(post, node, "contains", position)
        return node

    def record(self, number: int, complete: Any) -> Record:
        """Return the finished record; what it says about its subject comes first."""
        subject = self.subject
        first = [one for node, one in self._observations.items() if node == subject]
        others = [one for node, one in self._observations.items() if node != subject]
        unread = tuple(sorted(self.unread.items()))
        links = tuple(self._links)
        said = (*first, *others)
        return Record(self.path, number, subject, said, links, complete, unread, self.scraped_time)
