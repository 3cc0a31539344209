"""The declared metadata of Sites without a table of their own."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "web",
    1,
    "Sites without a table of their own",
    """
    site text: Category that the scraper gives the site
    item_id text: Id there
    item_type text: Kind or subcategory
    url text: Address of the page
    media_url text: Address of the medium
    like_count bigint: Likes, favourites or score
    comment_count bigint: Comments
    repost_count bigint: Reposts or shares
    tags text[]: Tags
    rating text: Rating
    license text: Licence
    language text: Language code
    width bigint: Width in pixels
    height bigint: Height in pixels
    duration_s double precision: Length
    position bigint: Number in its post
    """,
)
