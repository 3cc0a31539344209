"""Libraries of photos: assets and albums as the APIs of Immich and PhotoPrism answer them.

The file is found by the name that it was uploaded under. A time without a zone is the local one.
"""

from __future__ import annotations

from typing import Any

from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Rules
from adapters.sources.shapes import adapter, shape

PHOTOS = source(
    "photo_library",
    "Libraries of photos: Immich, PhotoPrism",
    """
    medium:
    asset_id text = id # Id of the photo in its library
    file_name text = file_name # Name as it was uploaded
    description text = text:body # Description
    taken_time timestamptz = taken # When it was taken
    upload_time timestamptz = uploaded # When it came into the library
    latitude double precision = latitude # Latitude in degrees
    longitude double precision = longitude # Longitude in degrees
    city text = city # City
    state text = state # State or province
    country text = country # Country
    people text[] = people # Who is on it
    tags text[] = tags # Tags
    rating bigint = rating # Stars
    is_favorite boolean = is_favorite # Marked as a favourite
    is_archived boolean = is_archived # Archived
    is_trashed boolean = is_trashed # In the trash
    camera text = camera # Maker and model of the camera
    lens text = lens # Lens
    width bigint = width # Width in pixels
    height bigint = height # Height in pixels
    size_bytes bigint = size # Size of the file
    album:
    album_title text = title # Title, on rows of albums
    description = text:body
    asset_count bigint = count # Photos, on rows of albums
    """,
)
_PHOTO = Medium(
    id="id",
    at="assets",
    title="title|text|file_name",
    time="taken",
    urls="path,file_name",
    stems="file_name:stem",
    edges=(
        Edge("tagged", "tag", "words[]:lower", is_parent=False),
        Edge("authored", "user", "owner"),
    ),
)
NODES = {
    "photo": Node("photo", id="", media=(_PHOTO,)),
    "photoprism": Node("photo", id="", media=(_PHOTO,)),
    "album": Node("album", id="id", title="title", time="created", media=(_PHOTO,)),
}
_IMMICH = recast("""
    id = id
    file_name = originalFileName
    path = originalPath
    text = exifInfo.description
    taken = exifInfo.dateTimeOriginal|fileCreatedAt
    uploaded = createdAt|updatedAt
    latitude = exifInfo.latitude
    longitude = exifInfo.longitude
    city = exifInfo.city
    state = exifInfo.state
    country = exifInfo.country
    people[] = people[].name
    tags[] = tags[].value|tags[].name
    words[] = people[].name,tags[].value
    rating = exifInfo.rating
    is_favorite = isFavorite
    is_archived = isArchived
    is_trashed = isTrashed
    camera = {exifInfo.make} {exifInfo.model}|exifInfo.model
    lens = exifInfo.lensModel
    width = exifInfo.exifImageWidth|width
    height = exifInfo.exifImageHeight|height
    size = exifInfo.fileSizeInByte
    owner = ownerId
    """)
_ALBUM = recast(
    """
    id = id
    title = albumName
    text = description
    created = createdAt
    count = assetCount
    assets = assets > asset
    """,
    asset=_IMMICH,
)
_PHOTOPRISM = recast("""
    id = UID
    title = Title
    file_name = OriginalName:name|FileName:name
    path = FileName
    text = Caption|Description|Details.Notes
    taken = TakenAt
    uploaded = CreatedAt
    latitude = Lat
    longitude = Lng
    city = PlaceCity
    state = PlaceState
    country = PlaceCountry|Country
    tags[] = Labels[].Label.Name
    words[] = Labels[].Label.Name
    is_favorite = Favorite
    camera = {CameraMake} {CameraModel}|CameraModel
    lens = LensModel
    width = Width|Files[0].Width
    height = Height|Files[0].Height
    size = Files[0].Size
    """)


def _place(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out 0, 0, which is how PhotoPrism writes nowhere."""
    is_nowhere = fields.get("latitude") == fields.get("longitude") == 0
    return fields | {"latitude": None, "longitude": None} if is_nowhere else fields


def _of_immich(asset: dict[str, Any]) -> dict[str, Any]:
    return {"library": "immich", "assets": [_IMMICH(asset)]}


def _of_album(album: dict[str, Any]) -> dict[str, Any]:
    return {"library": "immich"} | _ALBUM(album)


def _of_photoprism(photo: dict[str, Any]) -> dict[str, Any]:
    return {"library": "photoprism", "assets": [_place(_PHOTOPRISM(photo))]}


PREPARE = {"photo": _of_immich, "album": _of_album, "photoprism": _of_photoprism}
ADAPTERS = (
    adapter(
        "photo-library",
        Rules(PHOTOS, lambda fields, _draft: fields["library"], NODES, PREPARE),
        (
            shape("album", "id albumName", "assets assetCount ownerId", 2),
            shape("photo", "id originalFileName", "exifInfo deviceAssetId checksum ownerId", 2),
            shape("photoprism", "UID TakenAt", "FileName OriginalName PlaceLabel Files", 2),
        ),
        "expected assets or albums of Immich, or photos of PhotoPrism",
        holders="assets items albums",
    ),
)
