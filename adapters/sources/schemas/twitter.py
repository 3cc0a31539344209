"""The declared metadata of Twitter / X."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "twitter",
    1,
    "Twitter / X",
    """
    post_id text: Id of the tweet
    conversation_id text: Id of the first tweet of its conversation
    language text: Language code
    favorite_count bigint: Likes
    retweet_count bigint: Retweets
    reply_count bigint: Replies
    quote_count bigint: Quotes
    bookmark_count bigint: Bookmarks
    hashtags text[]: Hashtags without #
    is_sensitive boolean: Marked as possibly sensitive
    client text: Program that posted it
    media_id text: Id of the medium, on rows of media
    media_type text: photo, video or animated_gif, on rows of media
    media_url text: Address of the medium
    alt_text text: Description of the medium by its author
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    duration_ms bigint: Length of the video
    user_id text: Id, on rows of users
    user_name text: Screen name without @, on rows of users
    display_name text: Shown name, on rows of users
    follower_count bigint: Followers, on rows of users
    following_count bigint: Followed accounts, on rows of users
    post_count bigint: Tweets, on rows of users
    """,
)
