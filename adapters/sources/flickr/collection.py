"""Albums, galleries, groups and people of Flickr: it owns what a response says of each."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, first
from adapters.sources.flickr.media import contain_photo, id_in_address, largest, sizes_of
from adapters.sources.flickr.notation import text_of
from adapters.sources.flickr.photo import observe_user
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft

# Kind of node by the name that Flickr gives the collection.
KINDS = {"set": "album", "photoset": "album", "album": "album", "gallery": "gallery",
         "pool": "group", "group": "group"}  # fmt: skip


def collection_node(name: str, value: dict[str, Any]) -> str | None:
    """Return the node of a collection, or None when it has no id."""
    identity = first(value.get("gallery_id"), value.get("nsid"), value.get("id"))
    return reference("flickr", KINDS[name], identity)


def read_collection(draft: Draft, value: Any, name: str, photo: str | None) -> None:
    """Read an album, gallery or group; `photo` is the one that it was asked for, if any."""
    collection = as_object(value, f"the {name}")
    node = collection_node(name, collection)
    if node is None:
        raise RecordError(f"the {name} has no id")
    owner = collection.get("owner")
    named = {"nsid": owner, "username": first(collection.get("username"),
                                              collection.get("ownername"))}  # fmt: skip
    author = observe_user(draft, owner if isinstance(owner, dict) else named)
    view = as_count(first(collection.get("view_count"), collection.get("count_views")))
    time = parse_time(collection.get("date_create"))
    title = text_of(first(collection.get("title"), collection.get("name")))
    comments = first(collection.get("comment_count"), collection.get("count_comments"))
    draft.observe(
        node,
        title=title,
        view=view,
        update_time=time,
        author=author,
        meta={"comment_count": as_count(comments)},
    )
    draft.link(author, node, "authored")
    draft.link(node, photo, "member")
    draft.subject = node


def read_sizes(draft: Draft, value: Any) -> None:
    """Read the list of sizes of a photo, which names the photo in its addresses alone."""
    sizes = sizes_of(as_object(value, "the list of sizes"))
    named = (id_in_address(size.get(key)) for size in sizes for key in ("source", "url"))
    identity = next((found for found in named if found), None)
    if identity is None:
        raise RecordError("the list of sizes has no address that tells the id of its photo")
    post = describe("flickr", "post", identity)
    urls = [url for size in sizes if (url := as_text(size.get("source")))]
    medium = contain_photo(draft, post, identity, urls)
    if medium is not None:
        draft.observe(medium, is_root=True, meta={"photo_id": identity, **largest(sizes)})
    draft.subject = post


def read_user(draft: Draft, value: Any) -> None:
    """Read a person."""
    person = as_object(value, "the person")
    node = observe_user(draft, person)
    if node is None:
        raise RecordError("the person has no id (nsid)")
    draft.subject = node


def read_license(draft: Draft, value: Any) -> None:
    """Read one line of Flickr's list of licences."""
    entry = as_object(value, "the licence")
    node = describe("flickr", "license", entry.get("id"))
    name = as_text(entry.get("name"))
    draft.observe(node, title=name, meta={"license": name, "media_url": as_text(entry.get("url"))})
    draft.subject = node
