"""The declared metadata of Instagram."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "instagram",
    1,
    "Instagram",
    """
    post_id text: Id of the post
    shortcode text: Code in the address of the post
    media_id text: Id of the medium
    media_type text: image, video, carousel or story
    like_count bigint: Likes of the post
    comment_count bigint: Comments of the post
    hashtags text[]: Hashtags without #
    location_name text: Place it is tagged with
    latitude double precision: Latitude of the place in degrees
    longitude double precision: Longitude of the place in degrees
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    media_url text: Address of the medium, expires
    alt_text text: Accessibility caption
    filter_name text: Filter that was applied
    user_id text: Id, on rows of users
    user_name text: Name in the address, on rows of users
    display_name text: Shown name, on rows of users
    follower_count bigint: Followers, on rows of users
    following_count bigint: Followed accounts, on rows of users
    post_count bigint: Posts, on rows of users
    """,
)
