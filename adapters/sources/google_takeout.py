"""Google Takeout: the JSON beside each photo of Google Photos.

It is called after the photo: `IMG_1.jpg.json`, or `IMG_1.jpg.supplemental-metadata.json`, whose
end is cut where the name would be too long, and `IMG_1.jpg(1).json` for `IMG_1(1).jpg`.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.items import MediaFile
from adapters.records.times import parse_time
from adapters.records.values import as_text, dig
from adapters.sources.columns import source
from adapters.sources.model import FILE, Edge, Medium, Node, Rules
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found, Part
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft

GOOGLE_PHOTOS = source(
    "google_photos",
    "Google Photos, as Google Takeout hands it out",
    """
    medium:
    file_name text = title # Name as it was uploaded
    description text = description:body # Description
    url text = url:text # Address in Google Photos
    view_count bigint = imageViews # Views
    taken_time timestamptz = photoTakenTime.timestamp # When it was taken
    upload_time timestamptz = creationTime.timestamp # When it was uploaded
    edit_time timestamptz = photoLastModifiedTime.timestamp # When it was changed last
    latitude double precision = geo.latitude # Latitude in degrees, of Google or of the camera
    longitude double precision = geo.longitude # Longitude in degrees
    altitude_m double precision = geo.altitude # Metres above sea level
    people text[] = people[].name # Who is on it, as its owner named them
    is_favorite boolean = favorited # Marked as a favourite
    is_archived boolean = archived # Archived
    is_trashed boolean = trashed # In the trash
    device_type text = googlePhotosOrigin.mobileUpload.deviceType # Kind of device that uploaded it
    album text = album # Folder, which is the album
    album:
    description
    album = title
    """,
)
PHOTO = Node(
    "photo",
    id="",
    media=(
        Medium(
            id="url",
            at="photo",
            title="description|title",
            view="imageViews",
            time="photoTakenTime.timestamp",
            edges=(Edge("tagged", "tag", "people[].name:lower", is_parent=False),),
        ),
    ),
)
RULES = Rules(GOOGLE_PHOTOS, "google_photos", {"photo": PHOTO})
_COPY = re.compile(r"\((\d{1,4})\)$")
SUFFIX = ".supplemental-metadata"


def _split(document: Document) -> list[Found] | None:
    value = document.value
    if _is_photo(value):
        return [Part(_read, value)]
    if _is_album(value):
        return [Part(_read_album, value)]
    return None


def _is_photo(value: Any) -> bool:
    return isinstance(value, dict) and {"title", "photoTakenTime"} <= value.keys()


def _is_album(value: Any) -> bool:
    names = {"title", "description", "access", "date", "albumData"}
    return isinstance(value, dict) and "title" in value and len(names & value.keys()) >= 3


def _read_album(draft: Draft, value: Any) -> None:
    """Say of the file itself what it tells: many people have an album of the same title."""
    file = draft.media.folder.media(draft.path)
    if file is None:
        raise RecordError("no file of the folder")
    draft.subject = file
    columns = GOOGLE_PHOTOS.columns(draft, "album", value)
    time = parse_time(dig(value, "date", "timestamp"))
    draft.observe(file, columns, title=columns.get("album"), update_time=time)


def _read(draft: Draft, value: Any) -> None:
    file = _photo_of(draft, as_text(value.get("title"), 500) or "")
    own, camera = value.get("geoData"), value.get("geoDataExif")
    # Nowhere is written as 0, 0.
    places = [one for one in (own, camera) if isinstance(one, dict) and one.get("latitude")]
    album = draft.path.rpartition("/")[0].rpartition("/")[2]
    photo = value | {"geo": places[0] if places else None, "album": album}
    if file is not None:
        photo[FILE] = file
    if not RULES.read_any(draft, "photo", {"photo": [photo]}):
        raise RecordError("its photo is not beside it, and no address names it")


def _photo_of(draft: Draft, title: str) -> MediaFile | None:
    """Return the file that a JSON is about: by the JSON's own name, else by the title."""
    folder, path = draft.media.folder, draft.path
    parent, _, name = path[: -len(".json")].rpartition("/")
    copy = _COPY.search(name)
    name = name[: copy.start()] if copy else name
    stem, dot, end = name.rpartition(".")
    # `.supplemental-metadata` is cut anywhere where the whole name would have more than 51 letters.
    names = [stem] if dot and SUFFIX.startswith(f".{end}") else []
    for one in [*names, name, title]:
        base, dot, extension = one.rpartition(".")
        numbered = f"{base}{copy[0]}{dot}{extension}" if copy else one
        found = folder.media(f"{parent}/{numbered}" if parent else numbered)
        if found is not None and found.path != path:
            return found
    return None


ADAPTERS = (
    DocumentAdapter(
        name="google-takeout",
        tables=(GOOGLE_PHOTOS.table,),
        split=_split,
        expected="expected the JSON of a photo (title, photoTakenTime) or of an album",
        recognise=lambda value: SURE if _is_photo(value) else 0.6 if _is_album(value) else 0.0,
    ),
)
