"""The declared metadata of Tumblr."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "tumblr",
    1,
    "Tumblr",
    """
    post_id text: Id of the post
    blog_name text: Name of the blog, also on rows of blogs
    blog_uuid text: Permanent id of the blog, also on rows of blogs
    post_type text: text, photo, video, audio, quote, link, chat, answer or blocks
    post_url text: Address of the post
    slug text: Words in the address of the post
    state text: published, queued, draft or private
    note_count bigint: Likes, reblogs and replies
    tags text[]: Tags
    origin_url text: Where the poster found it
    media_url text: Address of the largest size
    mime_type text: MIME type
    alt_text text: Description of the medium
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    duration_s double precision: Length of the medium
    artist text: Artist of a piece of music
    album text: Album of a piece of music
    play_count bigint: How often a sound was played
    provider text: Site that the medium is embedded from
    blog_title text: Title, on rows of blogs
    post_count bigint: Posts, on rows of blogs
    """,
)
