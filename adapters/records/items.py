"""What an adapter gives: it owns the records that scraped files become, and no format.

An adapter reads a folder and yields Records and Problems. A node is named by a reference: a
canonical description (`str`, see describe.py) or a MediaFile. Everything that a record mentions
exists from then on, also when nothing else is known about it: two batches meet at the same
description without reading each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of the scraped folder, or one that was extracted out of an archive in it.

    Made only by `ScrapeFolder.find`, `.media` and `.extract`, which check that it exists.
    """

    path: str


NodeReference = str | MediaFile
"""A canonical description, or a file."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a record says about one node, at the time it was scraped.

    `view` is None when the source does not say it or says a number that means "unknown".
    `update_time` is aware; a source without zone means UTC unless its format says otherwise.
    `meta` holds columns of the source's declared table; absent ones are NULL. Values of other
    types than declared are the adapter's mistake.
    """

    node: NodeReference
    source: str
    is_root: bool
    title: str | None = None
    view: int | None = None
    update_time: datetime | None = None
    author: str | None = None
    """Canonical description of the author; that node exists from then on."""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Link:
    """An edge; `relationship` is a name of relationships.py."""

    parent: NodeReference
    child: NodeReference
    relationship: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All that one scraped record says.

    `path` and `number` (from 0; -1 when the file is one record) say where it was found. `complete`
    is the whole record as it was scraped: None when the file at `path` is this one record and
    nothing else, else a JSON value or text. It is stored as an object and tied to `subject`.
    `scraped_time` is when it was scraped, where the record itself says so; else it is the file's.
    `unread` counts by `table.column` the values that were of another type and are NULL therefore.
    """

    path: str
    number: int
    subject: NodeReference
    observations: tuple[Observation, ...]
    links: tuple[Link, ...] = ()
    complete: Any = None
    unread: tuple[tuple[str, int], ...] = ()
    scraped_time: datetime | None = None
    excerpt: Any = None
    """What the excerpt is made of where `complete` is None and the file is more than the record."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A record or file that could not be understood; the rest goes on."""

    path: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sniff:
    """How sure an adapter is that a folder is its own: 0.0 not at all, 1.0 certain."""

    confidence: float
    reason: str
