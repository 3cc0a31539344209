"""The declared metadata of feeds: RSS, Atom, podcasts, JSON Feed."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "feed",
    1,
    "Feeds: RSS, Atom, podcasts, JSON Feed",
    """
    item_type text: channel, entry, medium or author
    feed_format text: Format of the feed, such as rss20, atom10 or jsonfeed
    feed_url text: Address of the feed, on rows of channels
    url text: Address of the page
    entry_id text: Identity that the feed gives the entry
    summary text: Summary or description as text
    subtitle text: Subtitle
    author_name text: Author as written
    language text: Language code
    rights text: Rights or licence
    generator text: Program that wrote the feed
    published_time timestamptz: When it was published
    changed_time timestamptz: When it was last changed
    tags text[]: Categories and keywords
    comments_url text: Address of the comments
    comment_count bigint: Comments
    favorite_count bigint: Favourites
    rating_average double precision: Average rating in the scale of the site
    rating_count bigint: Ratings
    episode bigint: Number of the episode
    season bigint: Number of the season
    episode_type text: full, trailer or bonus
    explicit boolean: Marked as explicit
    image_url text: Address of the picture shown for it
    media_url text: Address of the medium
    media_type text: Media type as written
    media_size_bytes bigint: Size of the medium as written; NULL where the feed says 0
    duration_s double precision: Length
    width bigint: Width in pixels
    height bigint: Height in pixels
    position bigint: Number of the medium in its entry
    """,
)
