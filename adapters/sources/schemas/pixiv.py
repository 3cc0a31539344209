"""The declared metadata of pixiv and Fanbox."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "pixiv",
    1,
    "pixiv and Fanbox",
    """
    work_id text: Id of the work
    work_type text: illust, manga, ugoira, novel or post
    page_count bigint: Pages
    bookmark_count bigint: Bookmarks
    like_count bigint: Likes
    comment_count bigint: Comments
    tags text[]: Tags
    rating text: general, r18 or r18g
    is_ai boolean: Marked as made by AI
    width bigint: Width of the page in pixels
    height bigint: Height of the page in pixels
    frame_count bigint: Frames of a ugoira
    media_url text: Address of the page
    series_id text: Id of the series
    user_id text: Id, on rows of users
    user_name text: Account, on rows of users
    display_name text: Shown name, on rows of users
    """,
)
