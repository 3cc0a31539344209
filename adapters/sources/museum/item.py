"""The table and the nodes of open media, and what is said in one way by all who offer them.

An item (an object of a museum, a photo, a sound) is the post and holds its media; several sizes of
one medium are variants, as far as their files are there. Providers give `creators` (objects, or
names alone), `licenses` (names and addresses, best first), `media` and the fields of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.records.values import as_text, dig, mappings
from adapters.sources.columns import Change, source
from adapters.sources.model import Edge, Medium, Node, Person
from adapters.sources.reading.open_licenses import license_of

CREATORS_MAX = 200
OPEN_MEDIA = source(
    "open_media",
    "Museums, libraries and stock sites with free media",
    """
    item:
    provider text = ^platform # Who offers it, such as met or nypl
    collection_source text = collection # Institution or collection behind the provider
    foreign_id text = id # Id there, of the object or of the medium
    license text = license # Licence, such as by-sa, cc0 or pdm
    license_version text = license_version # Version of the licence
    license_url text = license_url # Address of the licence
    creator text = creator # Creators as they are named there
    creator_url text = creator_url # Address of the creator
    landing_url text = url # Address of the page
    media_url text # Address of the medium
    thumbnail_url text # Address of the preview
    width bigint # Width in pixels
    height bigint # Height in pixels
    size_bytes bigint # Size of the file
    duration_s double precision # Length
    media_type text # Type or file extension
    category text = category # Category, classification or genre
    created text = created # When the work was made, as the source says
    description text = description # Description
    tags text[] = tags # Tags, subjects or keywords
    like_count bigint = likes # Likes, favourites or saves
    download_count bigint = downloads # Downloads
    is_watermarked boolean # Carries a watermark
    medium:
    provider foreign_id license license_version license_url
    landing_url = ^.url
    media_url = url
    thumbnail_url = thumbnail
    width = width:nonzero
    height = height:nonzero
    size_bytes = size_bytes:nonzero
    duration_s = duration_s
    media_type = media_type
    album:
    provider
    creator:
    provider
    creator = name
    creator_url = url
    """,
)
_CREATOR = Person(id="id", name="name", title="name", section="creator", at="author")
ITEM = Node(
    "post",
    id="id",
    title="title|description",
    view="view",
    time="time",
    section="item",
    author=_CREATOR,
    tags="tags",
    media=(
        Medium(
            id="id",
            at="media,more",
            title="title",
            urls="url,variants",
            stems="id:name,stems,only",
            variants="url,variants",
            thumbs="thumbnail",
        ),
    ),
    edges=(
        Edge("credited", _CREATOR, "credited"),
        Edge(
            "member",
            Node("album", id="id", title="title", unless_only="provider"),
            "album",
            position="position",
        ),
    ),
)


def prepared(fields: dict[str, Any]) -> dict[str, Any]:
    """Tell the first creator from the others, read licences, and know the only medium's item."""
    listed = [_as_creator(one) for one in fields.get("creators", ())]
    names = (as_text(one.get("name")) for one in listed)
    known = [one for one in listed if as_text(one.get("name")) or as_text(one.get("id"))]
    media = [one for name in ("media", "more") for one in mappings(fields.get(name))]
    rights = fields.get("licenses", [])
    own = [one | license_of(*one.get("licenses", rights)) for one in media]
    if len(own) == 1:
        own[0]["only"] = fields.get("id")
    return fields | {
        **license_of(*rights),
        "creator": "; ".join(filter(None, names)),
        "creator_url": listed[0].get("url") if listed else None,
        "author": known[:1],
        "credited": [{"^": None, **one} for one in known[1:CREATORS_MAX]],
        "media": own,
        "more": None,
    }


def _as_creator(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"name": value}


# ---- Who offers it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: how its records are told, what makes the fields, and where lists of them are."""

    name: str
    is_item: Callable[[Any], bool]
    fields: Change
    lists: tuple[str, ...] = ()

    def items(self, value: Any) -> list[Any] | None:
        """Return the records in a response, or None when it is of somebody else."""
        for path in ("", *self.lists):
            held = dig(value, *path.split(".")) if path else value
            inner = [held] if path and isinstance(held, dict) else held
            if isinstance(inner, list) and any(map(self.is_item, inner)):
                return inner
        return [value] if self.is_item(value) else None


def has(*names: str) -> Callable[[Any], bool]:
    """Return a test for objects that have all these fields, or paths of fields to objects."""
    required = {name for name in names if "." not in name}
    paths = [name.split(".") for name in names if "." in name]

    def is_item(value: Any) -> bool:
        is_object = isinstance(value, dict) and required <= value.keys()
        return is_object and all(isinstance(dig(value, *path), dict) for path in paths)

    return is_item
