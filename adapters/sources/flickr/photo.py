"""Flickr as a table: photos, their notes and comments, albums, people; gallery-dl's sidecars.

A photo page is the post and holds one medium. A person is known by the NSID, the name in addresses
is an alias; a set is an album, galleries and groups are of kinds of their own. A time without a
zone is the clock of the camera.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.values import as_count, as_text, dig, first
from adapters.sources.columns import recast, source
from adapters.sources.flickr.media import id_in_address, largest, sizes_of, with_files
from adapters.sources.flickr.notation import members, text_of, typed
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers, names_reader
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar

NOTES_MAX = 1_000
# Kind of node by the name that Flickr gives the collection.
KINDS = {"set": "album", "photoset": "album", "album": "album", "gallery": "gallery",
         "pool": "group", "group": "group"}  # fmt: skip
GRANULARITIES = {0: "second", 4: "month", 6: "year", 8: "circa"}
SAFETY_LEVELS = {0: "safe", 1: "moderate", 2: "restricted"}
_LICENSES_TEXT = """
0 All Rights Reserved
1 CC BY-NC-SA 2.0
2 CC BY-NC 2.0
3 CC BY-NC-ND 2.0
4 CC BY 2.0
5 CC BY-SA 2.0
6 CC BY-ND 2.0
7 No known copyright restrictions
8 United States Government Work
9 Public Domain Dedication (CC0)
10 Public Domain Mark
11 CC BY 4.0
12 CC BY-SA 4.0
13 CC BY-ND 4.0
14 CC BY-NC 4.0
15 CC BY-NC-SA 4.0
16 CC BY-NC-ND 4.0
"""
LICENSES: dict[str, str] = {
    number: name
    for number, _, name in (line.partition(" ") for line in _LICENSES_TEXT.strip().splitlines())
}
"""Names of the licences by id, so that all notations say the same."""
_ZONELESS = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


def _taken(value: Any) -> Any:
    text = as_text(typed(value))
    return text if text and _ZONELESS.match(text) else None


add_readers(
    flickr_text=text_of,
    flickr_typed=typed,
    flickr_taken=_taken,
    flickr_license=lambda value: LICENSES.get(as_text(value) or "", as_text(value)),
    flickr_granularity=names_reader(GRANULARITIES, keeps_text=True),
    flickr_safety=names_reader(SAFETY_LEVELS, keeps_text=True),
)
FLICKR = source(
    "flickr",
    "Flickr",
    """
    photo:
    photo_id text = id # Id of the photo
    license text = license.label|license.id|license:flickr_license # Licence id or name
    favorite_count bigint = faves # Favourites
    comment_count bigint = comment_count # Comments
    taken_time timestamptz = taken \
        # When it was taken by the camera's clock, as if that were UTC
    taken_granularity text = granularity # second, month, year, circa or unknown
    tags text[] = tags # Tags
    latitude double precision = place.latitude # Latitude in degrees
    longitude double precision = place.longitude # Longitude in degrees
    safety_level text = safety_level:flickr_safety # Safety level
    media_type text = media_type # photo or video
    media_url text = media_url # Address of the largest size
    width bigint = width:nonzero # Width of the largest size in pixels
    height bigint = height:nonzero # Height of the largest size in pixels
    text text = description._content:body|description:body # Description
    url text = https://www.flickr.com/photos/{owner.nsid|owner.id}/{id} # Address of its page
    place_name text = place.description|place.locality:flickr_text|place.county:flickr_text \
        |place.region:flickr_text|place.country:flickr_text # Place where it was taken
    medium:
    photo_id license media_type media_url width height
    collection:
    comment_count
    license:
    license = name
    media_url = url
    user:
    user_id text = nsid|id # NSID, on rows of users
    user_name text = username:flickr_text # Name, on rows of users
    real_name text = realname:flickr_text # Real name, on rows of users
    """,
    version=2,
)
USER = Person(
    id="nsid|id",
    # The shown name may be changed and taken by others; the one in addresses is the alias.
    name="path_alias",
    title="username:flickr_text|realname:flickr_text",
    at="owner",
)
_REMARK = Node("comment", id="id", title="text", time="datecreate", author=USER, section="none")
_MEDIUM = Medium(
    id="id",
    at="media",
    edges=(Edge("variant", "described", "variants"), Edge("thumbnail", "described", "previews")),
)
_TITLE = "title:flickr_text|description:flickr_text"
PHOTO = Node(
    "post",
    id="id",
    section="photo",
    title=_TITLE,
    view="views",
    time="posted",
    author=USER,
    tags="tags",
    media=(_MEDIUM,),
    edges=(
        Edge("member", "described", "collection"),
        Edge("reply", replace(_REMARK, kind="note"), "notes", True, count_max=NOTES_MAX),
    ),
)
COMMENT = replace(_REMARK, edges=(Edge("reply", "described", "photo"),))
_COLLECTION = Node(
    "album",
    id="id",
    section="collection",
    title="title:flickr_text|name:flickr_text",
    view="view_count|count_views",
    time="date_create",
    author=USER,
    edges=(Edge("member", "described", "photo", is_parent=True),),
)
LICENSE = Node("license", id="id", title="name")
RULES = Rules(
    FLICKR,
    "flickr",
    {"photo": PHOTO, "sizes": replace(PHOTO, section="none"), "comment": COMMENT,
     "person": USER, "licence": LICENSE,
     **{kind: replace(_COLLECTION, kind=kind) for kind in set(KINDS.values())}},
)  # fmt: skip


# ---- Photos ------------------------------------------------------------------------------------

_OWNER = recast("""
    nsid = owner:string|nsid
    username = ownername|username
    realname = realname
    path_alias = pathalias
""")
_AUTHOR = recast("""
    nsid = author
    username = authorname
    realname = authorrealname|realname
    path_alias = path_alias
""")
_PHOTO = recast("""
    id = id
    title = title
    description = description
    views = views
    posted = dates.posted|date_posted:flickr_typed|dateuploaded|dateupload
    license = license
    faves = count_faves
    comment_count = comments._content|count_comments
    taken = dates.taken:flickr_taken|date_taken.value:flickr_taken|datetaken:flickr_taken
    granularity = dates.takengranularity:flickr_granularity \\
        |date_taken.granularity:flickr_granularity|datetakengranularity:flickr_granularity
    safety_level = safety_level
    place = location:object
""")


def _known_place(fields: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """Return when and where a photo was taken, as far as that is known."""
    place = fields.get("place", raw)
    # Lists write latitude, longitude and accuracy 0 for a photo without a place.
    found = {"place": None if as_count(place.get("accuracy")) == 0 else place}
    unknown = first(dig(raw, "dates", "takenunknown"), raw.get("datetakenunknown"))
    if as_count(unknown) == 1:
        return found | {"taken": None, "granularity": "unknown"}
    return found if "taken" in fields else found | {"granularity": None}


def photo_tags(value: Any) -> list[str] | None:
    """Return the tags as Flickr writes them, without spaces: of a text, a list, or objects."""
    if isinstance(value, dict):
        value = [first(tag.get("_content"), tag.get("raw")) for tag in members(value, "tag")]
    return value.split() if isinstance(value, str) else value


def _photo(raw: dict[str, Any]) -> dict[str, Any]:
    fields = _PHOTO(raw)
    sizes = sizes_of(raw)
    size, media = largest(sizes), raw.get("media")
    original = {name: as_count(first(raw.get(f"o_{name}"), dig(raw, "video", name)))
                for name in ("width", "height")}  # fmt: skip
    if all(original.values()):
        size |= original
    if isinstance(media, str) and media.strip():
        size["media_type"] = media
    return fields | size | _known_place(fields, raw) | {
        "tags": photo_tags(raw.get("tags")),
        "owner": raw["owner"] if isinstance(raw.get("owner"), dict) else _OWNER(raw),
        "notes": [note | {"text": text_of(note), "owner": _AUTHOR(note)}
                  for note in members(raw.get("notes"), "note")],
        "urls": [size.get("source") for size in sizes],
    }  # fmt: skip


def read_photo(draft: Draft, value: Any, collection: str | None = None) -> None:
    """Read a photo; `collection` is the album, gallery or group whose list it stands in."""
    fields = _photo(as_object(value, "the photo"))
    medium = with_files(draft, fields)
    RULES.read(draft, "photo", fields | {"media": [medium], "collection": collection})


def read_sizes(draft: Draft, value: Any) -> None:
    """Read the list of sizes of a photo, which names the photo in its addresses alone."""
    sizes = sizes_of(as_object(value, "the list of sizes"))
    named = (id_in_address(size.get(key)) for size in sizes for key in ("source", "url"))
    identity = next((found for found in named if found), None)
    if identity is None:
        raise RecordError("the list of sizes has no address that tells the id of its photo")
    fields = {"id": identity, "urls": [size.get("source") for size in sizes]} | largest(sizes)
    RULES.read(draft, "sizes", {"id": identity, "media": [with_files(draft, fields)]})


def read_comment(draft: Draft, value: Any, photo: str | None) -> None:
    """Read a comment on a photo."""
    comment = as_object(value, "the comment")
    said = {"text": text_of(comment), "owner": _AUTHOR(comment), "photo": photo}
    RULES.read(draft, "comment", comment | said)


# ---- Albums, galleries, groups, people ---------------------------------------------------------


def collection_node(name: str, value: dict[str, Any]) -> str | None:
    """Return the node of a collection, or None when it has no id."""
    return reference("flickr", KINDS[name], _collection_id(value))


def _collection_id(value: dict[str, Any]) -> Any:
    return first(value.get("gallery_id"), value.get("nsid"), value.get("id"))


def read_collection(draft: Draft, value: Any, name: str, photo: str | None) -> None:
    """Read an album, gallery or group; `photo` is the one that it was asked for, if any."""
    raw = as_object(value, f"the {name}")
    owner = raw["owner"] if isinstance(raw.get("owner"), dict) else _COLLECTOR(raw)
    comments = first(raw.get("comment_count"), raw.get("count_comments"))
    said = {"id": _collection_id(raw), "owner": owner, "comment_count": comments, "photo": photo}
    RULES.read(draft, KINDS[name], raw | said)


_COLLECTOR = recast("""
    nsid = owner
    username = username|ownername
""")


# ---- gallery-dl --------------------------------------------------------------------------------

_SIDECAR = recast("""
    id = id
    title = title
    description = description
    views = views
    posted = date:posted|dateupload:posted|date_upload:posted
    license = license_name|license
    faves = count_faves|faves
    comment_count = count_comments|comments._content|comments
    taken = dates.taken|datetaken|date_taken
    granularity = dates.takengranularity:flickr_granularity \\
        |datetakengranularity:flickr_granularity
    tags = tags:tags
    safety_level = safety_level
    place = location:object
    media_type = media
    media_url = url:address
    width = width
    height = height
    owner = owner:object|user:object
    nsid = owner:string|user:string
    album = album:object
    gallery = gallery:object
    group = group:object
""")


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a sidecar. In favourites `user` is who collected them."""
    fields = _SIDECAR(data)
    owner = fields.get("owner") or {"nsid": fields.get("nsid"), "username": data.get("ownername")}
    if not first(owner.get("nsid"), owner.get("id"), owner.get("path_alias")):
        owner = owner | {"path_alias": owner.get("username")}
    place = {"place": fields.get("place", data)}
    held = {kind: fields.get(kind) or {"id": data.get(f"{kind}_id")} for kind in _HELD}
    return fields | _known_place(fields, data) | place | held | {"owner": owner}


_HELD = ("album", "gallery", "group")
_SIDECAR_PHOTO = of_sidecar(PHOTO)
_SIDECAR_NODE = replace(
    _SIDECAR_PHOTO,
    media=tuple(replace(one, id="id|filename", edges=()) for one in _SIDECAR_PHOTO.media),
    edges=tuple(
        Edge("member", Node(kind, id="id", title="title:flickr_text", section="none"), kind)
        for kind in _HELD
    ),
)
GALLERY_DL = SidecarFormat(
    Rules(FLICKR, "flickr", {"post": _SIDECAR_NODE}), _of_sidecar, counts_from=None
)
