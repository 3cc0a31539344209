"""A record in the making: it owns collecting what rules find out, and no format.

A rule calls `observe`, `link` and `tag` in any order; `record` freezes the result. Duplicates and
unknown values fall away here, so that no rule has to think of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.describe import describe
from adapters.errors import RecordError
from adapters.items import Link, MediaFile, NodeReference, Observation, Record
from adapters.media_index import MediaIndex
from adapters.values import as_text

TAGS_MAX = 100
LINKS_MAX = 20_000
"""Edges of one record; a page that names more than these is cut."""


class Draft:
    """What one record says so far. `path` is the file that it was found in."""

    def __init__(self, media: MediaIndex, path: str, source: str) -> None:
        self.media = media
        self.path = path
        self.source = source
        self._observations: list[Observation] = []
        self._links: dict[Link, None] = {}

    def observe(
        self,
        node: NodeReference,
        *,
        is_root: bool = False,
        title: str | None = None,
        view: int | None = None,
        update_time: datetime | None = None,
        author: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Add what the record says about a node; unknown columns fall away."""
        known = {key: value for key, value in (meta or {}).items() if value not in (None, [], "")}
        self._observations.append(
            Observation(node, self.source, is_root, title, view, update_time, author, known)
        )

    def link(
        self,
        parent: NodeReference | None,
        child: NodeReference | None,
        relationship: str,
        position: int | None = None,
    ) -> None:
        """Add an edge once; nothing when an end is unknown or both are the same."""
        if parent is None or child is None or parent == child or len(self._links) >= LINKS_MAX:
            return
        self._links.setdefault(Link(parent, child, relationship, position))

    def tag(self, platform: str, node: NodeReference, names: Iterable[str] | None) -> None:
        """Tie a node to its first tags."""
        for name in list(names or ())[:TAGS_MAX]:
            self.link(optional(platform, "tag", " ".join(name.lower().split())), node, "tagged")

    def contain(
        self, post: NodeReference, file: MediaFile | None, fallback: str | None, position: int = 0
    ) -> NodeReference | None:
        """Tie a post to its medium: the file, or the virtual node when the file is missing."""
        node = file or fallback
        self.link(post, node, "contains", position)
        return node

    def record(self, subject: NodeReference, number: int, complete: Any) -> Record:
        """Freeze the draft."""
        return Record(
            self.path, number, subject, tuple(self._observations), tuple(self._links), complete
        )


def optional(platform: str, kind: str, identity: Any) -> str | None:
    """Return the canonical description, or None when the identity is unusable."""
    if identity is None or identity == "":
        return None
    try:
        return describe(platform, kind, identity)
    except RecordError:
        return None


def username(platform: str, name: Any) -> str | None:
    """Return the node of a name, in lower case; None when there is none."""
    text = as_text(name)
    return optional(platform, "username", text.lower()) if text else None
