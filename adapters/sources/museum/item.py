"""What every provider says in its own way: it owns the common form and its nodes, and no provider.

An item (an object of a museum, a photo, a sound) is the post and holds its media; several sizes of
one medium are variants, as far as their files are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.records.describe import describe, reference, username
from adapters.records.values import as_count, as_integer, as_text, as_texts, dig
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.open_licenses import license_of

MEDIA_MAX = 5_000
CREATORS_MAX = 200


@dataclass(frozen=True, slots=True)
class Creator:
    """A person or body; without an id the name is the identity."""

    name: Any
    identity: Any = None
    url: Any = None


@dataclass(frozen=True, slots=True)
class Medium:
    """One picture or sound; `variants` and `thumbnail` are addresses of its other sizes."""

    identity: Any
    url: Any = None
    title: str | None = None
    width: Any = None
    height: Any = None
    size_bytes: Any = None
    duration_s: float | None = None
    media_type: Any = None
    thumbnail: Any = None
    variants: tuple[Any, ...] = ()
    licenses: tuple[Any, ...] = ()
    """Names and addresses of the medium's own licence; empty when the item's holds."""
    stems: tuple[Any, ...] = ()
    """Other names that its file may have."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a provider; values are as they were read, and are checked here."""

    identity: Any
    title: str | None
    url: Any = None
    creators: tuple[Creator, ...] = ()
    licenses: tuple[Any, ...] = ()
    media: tuple[Medium, ...] = ()
    tags: Any = None
    view: Any = None
    update_time: datetime | None = None
    description: str | None = None
    category: Any = None
    created: Any = None
    collection_source: Any = None
    likes: Any = None
    downloads: Any = None
    album: tuple[Any, Any, Any] = (None, None, None)
    """Id, title and position in it, of the album or pack that it belongs to."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: how its records are told, where lists of them are, and how one is read."""

    name: str
    is_item: Callable[[Any], bool]
    read: Callable[[dict[str, Any]], Item]
    lists: tuple[tuple[str, ...], ...] = field(default=())

    def items(self, value: Any) -> list[Any] | None:
        """Return the records in a response, or None when it is of somebody else."""
        for members in self._lists(value):
            if any(map(self.is_item, members)):
                return members
        return [value] if self.is_item(value) else None

    def _lists(self, value: Any) -> Iterator[list[Any]]:
        if isinstance(value, list):
            yield value
        for path in self.lists:
            inner = dig(value, *path)
            if isinstance(inner, list):
                yield inner
            elif isinstance(inner, dict):
                yield [inner]


def has(*names: str) -> Callable[[Any], bool]:
    """Return a test for objects that have all these fields."""
    required = set(names)
    return lambda value: isinstance(value, dict) and required <= value.keys()


def read_item(draft: Draft, provider: str, item: Item) -> None:
    """Turn an item into its nodes, observations and edges."""
    post = describe(provider, "post", item.identity)
    names = [as_text(creator.name) for creator in item.creators]
    tags = as_texts(item.tags)
    meta = {
        "provider": provider,
        "collection_source": as_text(item.collection_source),
        "foreign_id": as_text(item.identity),
        **license_of(*item.licenses),
        "creator": as_text("; ".join(name for name in names if name)),
        "creator_url": as_text(item.creators[0].url) if item.creators else None,
        "landing_url": as_text(item.url),
        "category": as_text(item.category),
        "created": as_text(item.created),
        "description": item.description,
        "tags": tags,
        "like_count": as_count(item.likes),
        "download_count": as_count(item.downloads),
    }
    author = _creators(draft, provider, post, item)
    title = item.title or item.description
    draft.observe(
        post,
        title=title,
        view=as_count(item.view),
        update_time=item.update_time,
        author=author,
        meta=meta,
    )
    draft.tag(provider, tags, post)
    _album(draft, provider, post, item)
    for number, medium in enumerate(item.media[:MEDIA_MAX]):
        _medium(draft, provider, post, item, medium, number, author)
    draft.subject = post


def _creators(draft: Draft, provider: str, post: str, item: Item) -> str | None:
    """Tie the creators to the item: the first made it, the others are credited."""
    author: str | None = None
    for creator in item.creators[:CREATORS_MAX]:
        name = as_text(creator.name)
        by_name = username(provider, name)
        node = reference(provider, "user", creator.identity) or by_name
        if node is None:
            continue
        meta = {"provider": provider, "creator": name, "creator_url": as_text(creator.url)}
        draft.observe(node, title=name, meta=meta)
        draft.link(node, by_name, "alias")
        draft.link(node, post, "credited" if author else "authored")
        author = author or node
    return author


def _album(draft: Draft, provider: str, post: str, item: Item) -> None:
    identity, title, position = item.album
    album = reference(provider, "album", identity)
    number = as_integer(position)
    draft.link(
        album, post, "member", number if number is not None and 0 <= number < 2**31 else None
    )
    if album and (text := as_text(title)):
        draft.observe(album, title=text, meta={"provider": provider})


def _medium(
    draft: Draft,
    provider: str,
    post: str,
    item: Item,
    medium: Medium,
    number: int,
    author: str | None,
) -> None:
    identity = as_text(medium.identity)
    own_stem = identity.rpartition("/")[2] if identity else None
    stems = (own_stem, *medium.stems, item.identity if len(item.media) == 1 else None)
    addresses = (medium.url, *medium.variants)
    file = draft.media.first(draft.path, addresses, stems)
    node = draft.contain(post, file, reference(provider, "media", medium.identity), number)
    if node is None:
        return
    meta = {
        "provider": provider,
        "foreign_id": identity,
        **license_of(*(medium.licenses or item.licenses)),
        "landing_url": as_text(item.url),
        "media_url": as_text(medium.url),
        "thumbnail_url": as_text(medium.thumbnail),
        "width": as_count(medium.width) or None,
        "height": as_count(medium.height) or None,
        "size_bytes": as_count(medium.size_bytes) or None,
        "duration_s": medium.duration_s,
        "media_type": as_text(medium.media_type),
    }
    title = medium.title or item.title or item.description
    time = item.update_time
    draft.observe(node, is_root=True, title=title, update_time=time, author=author, meta=meta)
    for address in addresses:
        draft.link(node, draft.media.by_address(address, draft.path), "variant")
    thumbnail = draft.media.by_address(medium.thumbnail, draft.path)
    draft.link(node, thumbnail, "thumbnail")
