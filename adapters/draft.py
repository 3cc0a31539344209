"""A record while it is read: it owns gathering observations and links once each, and no format.

Adapters whose records nest (a thread, a listing, a timeline) use it with json_folder.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.describe import describe
from adapters.errors import RecordError
from adapters.items import Link, NodeReference, Observation, Record

LINKS_MAX = 10_000
"""Edges of one record; what a record lists beyond is left out."""
HASHTAGS_MAX = 100


class Draft:
    """What is known so far about one record of one source; becomes a Record in the end."""

    def __init__(self, source: str, subject: NodeReference) -> None:
        self.source = source
        self.subject = subject
        self._observations: dict[NodeReference, Observation] = {}
        self._links: dict[Link, None] = {}

    def observe(
        self,
        node: NodeReference,
        meta: Mapping[str, Any],
        *,
        is_root: bool = False,
        title: str | None = None,
        view: int | None = None,
        update_time: datetime | None = None,
        author: str | None = None,
    ) -> None:
        """Say what the record says about a node; the first saying about a node counts."""
        said = Observation(
            node=node,
            source=self.source,
            is_root=is_root,
            title=title,
            view=view,
            update_time=update_time,
            author=author,
            meta={column: value for column, value in meta.items() if value is not None},
        )
        self._observations.setdefault(node, said)

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

    def tag(self, platform: str, names: list[str]) -> None:
        """Tie the subject to its hashtags."""
        for name in names[:HASHTAGS_MAX]:
            self.link(node(platform, "tag", name.lower()), self.subject, "tagged")

    def record(self, path: str, number: int, complete: Any) -> Record:
        """Return the finished record; what it says about its subject comes first."""
        said = sorted(self._observations.values(), key=lambda one: one.node != self.subject)
        return Record(
            path=path,
            number=number,
            subject=self.subject,
            observations=tuple(said),
            links=tuple(self._links),
            complete=complete,
        )


def node(platform: str, kind: str, identity: Any) -> str | None:
    """Return a canonical description, or None when the identity is none."""
    try:
        return describe(platform, kind, identity)
    except RecordError:
        return None
