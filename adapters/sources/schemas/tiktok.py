"""The declared metadata of TikTok."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "tiktok",
    1,
    "TikTok",
    """
    post_id text: Id of the video
    like_count bigint: Likes
    share_count bigint: Shares
    comment_count bigint: Comments
    hashtags text[]: Hashtags without #
    music_id text: Id of the sound
    music_title text: Title of the sound
    music_author text: Author of the sound
    is_music_original boolean: The sound was made for the video
    media_url text: Address of the video, expires
    width bigint: Width of the video in pixels
    height bigint: Height of the video in pixels
    duration_s double precision: Length of the video
    user_id text: Id, on rows of users
    user_name text: Name in the address, on rows of users
    display_name text: Shown name, on rows of users
    follower_count bigint: Followers, on rows of users
    following_count bigint: Followed accounts, on rows of users
    heart_count bigint: Likes that all videos got, on rows of users
    post_count bigint: Videos, on rows of users
    is_verified boolean: Verified, on rows of users
    """,
)
