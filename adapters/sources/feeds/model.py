"""A feed whatever it was written in: it owns the words that the readers and the records share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote something; `uri` is the identity where there is one."""

    name: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Medium:
    """One enclosure, media:content or attachment."""

    url: str
    type: str | None = None
    size_bytes: int | None = None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One item; addresses may still be relative to the feed's."""

    id: str | None
    url: str | None
    title: str | None
    text: str | None
    published: datetime | None
    changed: datetime | None
    authors: tuple[Author, ...]
    tags: tuple[str, ...]
    media: tuple[Medium, ...]
    thumbnails: tuple[str, ...]
    view: int | None
    meta: dict[str, Any]
    """Further columns of the feed table."""
    complete: Any
    youtube_id: str | None = None
    youtube_channel: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A channel and its entries, in the order of the file."""

    format: str
    url: str | None
    home_url: str | None
    title: str | None
    text: str | None
    changed: datetime | None
    author: Author | None
    tags: tuple[str, ...]
    image_url: str | None
    entries: tuple[Entry, ...]
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    youtube_channel: str | None = None
    damage: str | None = None
    """What was wrong with the file although entries were found; None when it was whole."""
