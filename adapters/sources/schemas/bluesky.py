"""The declared metadata of Bluesky."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "bluesky",
    1,
    "Bluesky",
    """
    uri text: at:// address of the record
    cid text: Hash of the record
    like_count bigint: Likes
    repost_count bigint: Reposts
    reply_count bigint: Replies
    quote_count bigint: Quotes
    bookmark_count bigint: Bookmarks
    languages text[]: Language codes
    hashtags text[]: Hashtags without #
    labels text[]: Moderation labels
    media_url text: Address of the medium
    alt_text text: Description of the medium
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    did text: Permanent id, on rows of users
    handle text: Handle, on rows of users
    display_name text: Shown name, on rows of users
    follower_count bigint: Followers, on rows of users
    post_count bigint: Posts, on rows of users
    """,
)
