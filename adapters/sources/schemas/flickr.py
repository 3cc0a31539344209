"""The declared metadata of Flickr."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "flickr",
    1,
    "Flickr",
    """
    photo_id text: Id of the photo
    license text: Licence id or name
    favorite_count bigint: Favourites
    comment_count bigint: Comments
    taken_time timestamptz: When it was taken, as far as its granularity says
    taken_granularity text: second, month, year, circa or unknown
    tags text[]: Tags
    latitude double precision: Latitude in degrees
    longitude double precision: Longitude in degrees
    safety_level text: Safety level
    media_type text: photo or video
    media_url text: Address of the largest size
    width bigint: Width of the largest size in pixels
    height bigint: Height of the largest size in pixels
    user_id text: NSID, on rows of users
    user_name text: Name, on rows of users
    real_name text: Real name, on rows of users
    """,
)
