"""The declared metadata of Video and audio sites as yt-dlp and the YouTube API describe them."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "video_site",
    1,
    "Video and audio sites as yt-dlp and the YouTube API describe them",
    """
    site text: Extractor or platform, such as youtube
    video_id text: Id there
    channel_id text: Id of the channel
    duration_s double precision: Length
    like_count bigint: Likes
    dislike_count bigint: Dislikes, where still shown
    comment_count bigint: Comments
    repost_count bigint: Reposts
    categories text[]: Categories
    tags text[]: Tags
    language text: Language code
    license text: Licence
    age_limit bigint: Least age in years
    live_status text: Whether it is or was live
    width bigint: Width in pixels
    height bigint: Height in pixels
    frame_rate double precision: Frames per second
    webpage_url text: Address of its page
    privacy text: public, unlisted ...
    follower_count bigint: Followers, on rows of channels
    video_count bigint: Videos, on rows of channels and playlists
    """,
)
