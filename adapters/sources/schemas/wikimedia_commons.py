"""The declared metadata of Wikimedia Commons."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "wikimedia_commons",
    1,
    "Wikimedia Commons",
    """
    page_id text: Number of the file's page
    file_name text: Name of the file without the namespace
    description text: Description on the page
    artist text: Who made it, as the page says
    license text: Short name of the licence
    license_url text: Address of the licence
    sha1 text: SHA-1 of the file as the site says
    media_type text: Type such as image/jpeg or BITMAP
    size_bytes bigint: Size of the file
    width bigint: Width in pixels
    height bigint: Height in pixels
    duration_s double precision: Length
    taken text: When it was made, as the page says
    taken_time timestamptz: When it was made, where that is a date
    categories text[]: Categories
    usage_count bigint: Pages of all wikis that use it, as far as they were listed
    latitude double precision: Latitude in degrees
    longitude double precision: Longitude in degrees
    media_url text: Address of the file
    page_url text: Address of the page
    user_name text: Name, on rows of users
    """,
)
