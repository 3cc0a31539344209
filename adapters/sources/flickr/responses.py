"""Responses of Flickr: it owns telling them apart, and never asks for anything.

Read are the answers of the REST API as XML or JSON (a failure comes with HTTP 200 and is a Problem)
and the JSON of the Flickr Foundation (`{"photos": [...], "album": ...}`). An answer about a photo
does not always name it: albums and groups of a photo (`getAllContexts`) are tied to it when the
file name has its id, or when answers that were saved under the same prefix name just one photo.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, first
from adapters.sources.flickr.media import id_in_address
from adapters.sources.flickr.notation import members, object_of
from adapters.sources.flickr.photo import (
    FLICKR,
    KINDS,
    RULES,
    collection_node,
    read_collection,
    read_comment,
    read_photo,
    read_sizes,
)
from adapters.sources.reading.adapter import DocumentAdapter, Part, Rule, parts_of
from adapters.sources.reading.documents import JSON_AND_XML, Document, documents
from adapters.sources.shapes import reader

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PHOTO_ID = re.compile(r"(?<!\d)(\d{9,12})(?!\d)")
_COLLECTION_ID = re.compile(r"(?<!\d)(\d{15,18}|\d+@N\d\d)(?!\d)")
_SAVED_CALL = re.compile(r"(.+?)\.\d+\.flickr\.")
_READ_PERSON = reader(RULES, "person")
_SINGLE: dict[str, Rule] = {"sizes": read_sizes, "user": _READ_PERSON, "person": _READ_PERSON}
COMPANIONS_MAX = 20


def split(document: Document) -> list[Part] | None:
    """Return the parts of a response."""
    value = document.value
    if hasattr(value, "iter"):
        return _xml_parts(document)
    if isinstance(value, list):
        return _foundation_list(value, None) if any(map(_is_photo, value)) else None
    if not isinstance(value, dict):
        return None
    if value.get("stat") in ("ok", "fail"):
        return _rest_parts(document, value)
    return _foundation_parts(document)


# ---- REST --------------------------------------------------------------------------------------


def _xml_parts(document: Document) -> list[Part] | None:
    root: Element = document.value
    if root.tag != "rsp":
        return None
    value = object_of(root)
    if root.get("stat") == "fail":
        raise _failure(next(iter(members(value, "err")), {}))
    return _rest_parts(document, value)


def _failure(error: dict[str, Any]) -> RecordError:
    code = as_text(error.get("code"))
    reason = as_text(first(error.get("msg"), error.get("message")))
    return RecordError(f"Flickr answered with an error {code or '?'}: {reason or 'no reason'}")


def _rest_parts(document: Document, value: dict[str, Any]) -> list[Part] | None:
    if value.get("stat") == "fail":
        raise _failure(value)
    if isinstance(photo := value.get("photo"), dict):
        return [Part(read_photo, photo, document.value)]
    if isinstance(comments := value.get("comments"), dict):
        photo = reference("flickr", "post", comments.get("photo_id"))
        return parts_of(partial(read_comment, photo=photo), members(comments, "comment"))
    if isinstance(value.get("licenses"), dict):
        return parts_of(reader(RULES, "licence"), members(value["licenses"], "license"))
    for name, rule in _SINGLE.items():
        if isinstance(value.get(name), dict):
            return [Part(rule, value[name], document.value)]
    return _list_parts(value) or _collection_parts(document, value)


def _list_parts(value: dict[str, Any]) -> list[Part] | None:
    """Return a list of photos: a search, somebody's photos, or an album's or gallery's."""
    for name in ("photos", "photoset"):
        page = value.get(name)
        if isinstance(page, dict) and ("photo" in page or name == "photos"):
            collection = collection_node("photoset", page) if name == "photoset" else None
            own = (
                [
                    Part(
                        partial(read_collection, name=name, photo=None),
                        page,
                        {k: v for k, v in page.items() if k != "photo"},
                    )
                ]
                if collection
                else []
            )
            owner = {k: page[k] for k in ("owner", "ownername") if k in page}
            photos = [{**owner, **photo} for photo in members(page, "photo")]
            return own + parts_of(partial(read_photo, collection=collection), photos)
    return None


def _collection_parts(document: Document, value: dict[str, Any]) -> list[Part] | None:
    groups = {"galleries": "gallery", "photosets": "photoset", "groups": "group"}
    photo_id: Any = None
    parts: list[Part] = []
    found: list[tuple[str, dict[str, Any]]] = []
    for plural, name in groups.items():
        photo_id = first(photo_id, dig(value, plural, "photo_id"))
        found += [(name, member) for member in members(value.get(plural), name)]
    found += [(name, member) for name in KINDS for member in members(value, name)]
    if not found:
        return [] if groups.keys() & value.keys() else None
    photo = reference("flickr", "post", photo_id or _asked_for(document))
    for name, member in found:
        rule = partial(read_collection, name=name, photo=photo)
        parts.append(Part(rule, member))
    return parts


def _asked_for(document: Document) -> str | None:
    """Return the photo that a list of its albums and groups was asked for."""
    folder, path = document.folder, document.path
    base = path.rpartition("/")[2]
    named = set(_PHOTO_ID.findall(base))
    saved = _SAVED_CALL.match(path)
    if not named and saved:
        beside = [other for other in folder.paths if other.startswith(f"{saved[1]}.")]
        others = [other for other in beside if other != path][:COMPANIONS_MAX]
        for other in others:
            root = next((one.value for one in documents(folder, other)), None)
            if root is not None and getattr(root, "tag", None) == "rsp":
                named.update(_photos_named(object_of(root)))
    return named.pop() if len(named) == 1 else None


def _photos_named(value: dict[str, Any]) -> Iterator[str]:
    asked = first(*(dig(value, name, "photo_id") for name in ("galleries", "comments")))
    for identity in (asked, dig(value, "photo", "id")):
        if text := as_text(identity):
            yield text
    for size in members(value.get("sizes"), "size"):
        if text := id_in_address(size.get("source")):
            yield text


# ---- Flickr Foundation -------------------------------------------------------------------------


def _is_foundation(value: Any) -> bool:
    return isinstance(value, dict) and "id" in value and {"date_posted", "sizes"} <= value.keys()


def _is_photo(value: Any) -> bool:
    """Tell a photo by itself, as libraries save it: of the Foundation or of the REST API."""
    return _is_foundation(value) or (
        isinstance(value, dict)
        and {"id", "secret", "server"} <= value.keys()
        and bool({"owner", "ownername", "title"} & value.keys())
    )


def _foundation_parts(document: Document) -> list[Part] | None:
    value = document.value
    if _is_photo(value):
        return [Part(read_photo, value)]
    if _is_photo(value.get("photo")):
        return [Part(read_photo, value["photo"], value)]
    photos = value.get("photos")
    if isinstance(photos, dict) and any(map(_is_photo, members(photos, "photo"))):
        return _list_parts(value)
    if not isinstance(photos, list):
        return None
    if not any(map(_is_foundation, photos)):
        return [] if not photos and "total_photos" in value else None
    names = [name for name in ("album", "gallery", "group") if isinstance(value.get(name), dict)]
    name = names[0] if names else None
    if name is None:
        return _foundation_list(photos, None)
    named = dict(value[name])
    ids = set(_COLLECTION_ID.findall(document.path.rpartition("/")[2]))
    if "id" not in named and len(ids) == 1:
        # The Foundation's JSON leaves the album's id to whoever saves it.
        named["id"] = ids.pop()
    if collection_node(name, named) is None:
        return _foundation_list(photos, None)
    album = Part(partial(read_collection, name=name, photo=None), named, value[name])
    return [album, *_foundation_list(photos, collection_node(name, named))]


def _foundation_list(photos: list[Any], collection: str | None) -> list[Part]:
    rule = partial(read_photo, collection=collection)
    return parts_of(rule, photos)


ADAPTERS = (
    DocumentAdapter(
        name="flickr",
        tables=(FLICKR.table,),
        split=split,
        expected="no known response of Flickr: photos, sizes, comments, albums, galleries, groups, "
        "people and licences are read",
        kinds=JSON_AND_XML,
    ),
)
