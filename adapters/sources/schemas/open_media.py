"""The declared metadata of museums, libraries and stock sites with free media."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "open_media",
    1,
    "Museums, libraries and stock sites with free media",
    """
    provider text: Who offers it, such as met or nypl
    collection_source text: Institution or collection behind the provider
    foreign_id text: Id there, of the object or of the medium
    license text: Licence, such as by-sa, cc0 or pdm
    license_version text: Version of the licence
    license_url text: Address of the licence
    creator text: Creators as they are named there
    creator_url text: Address of the creator
    landing_url text: Address of the page
    media_url text: Address of the medium
    thumbnail_url text: Address of the preview
    width bigint: Width in pixels
    height bigint: Height in pixels
    size_bytes bigint: Size of the file
    duration_s double precision: Length
    media_type text: Type or file extension
    category text: Category, classification or genre
    created text: When the work was made, as the source says
    description text: Description
    tags text[]: Tags, subjects or keywords
    like_count bigint: Likes, favourites or saves
    download_count bigint: Downloads
    is_watermarked boolean: Carries a watermark
    """,
)
