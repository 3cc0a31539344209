"""The declared metadata of Reddit."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "reddit",
    1,
    "Reddit",
    """
    post_id text: Full name (t3_..., t1_...) of the post or comment
    subreddit text: Name of the subreddit
    score bigint: Votes up minus down
    up_count bigint: Votes up
    comment_count bigint: Comments
    upvote_ratio double precision: Share of votes up, 0 to 1
    domain text: Where the link leads
    url text: The link or medium
    permalink text: Address of the post
    flair text: Flair of the post
    is_nsfw boolean: Marked over 18
    is_spoiler boolean: Marked as spoiler
    is_self boolean: Text without a link
    is_edited boolean: Was edited
    depth bigint: Depth of a comment, from 0
    media_id text: Id in a gallery
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    subscriber_count bigint: Subscribers, on rows of subreddits
    user_name text: Name, on rows of users
    """,
)
