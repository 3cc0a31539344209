"""Fields as hundreds of sites name them: it owns finding them in a record of an unknown site.

Paths are written with dots (`stats.views`); the first that holds something usable counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adapters.records.values import as_count, as_text, dig

T = TypeVar("T")

TIMES = (
    "date post_date created_at createdAt published_at publishedAt published_time published "
    "publishedDatetime created created_utc timestamp upload_date uploaded_at date_created "
    "post.date submission.creation_time version.date"
)
VIEWS = (
    "view_count views views_count viewCount total_view stats.views hits play_count plays "
    "stats.viewCount stats.playCount video_view_count"
)
LIKES = (
    "like_count likes likes_count likeCount favorite_count favorites favorites_count "
    "favourites_count favourites favs faves fav_count stats.favourites stats.likes "
    "stats.like_count score points upvotes ups hearts num_likes total_bookmarks bookmarkCount "
    "appreciations attitudes_count note_count"
)
COMMENTS = (
    "comment_count comments comments_count commentCount num_comments total_comments reply_count "
    "replies_count replies stats.comments stats.comment_count"
)
REPOSTS = "repost_count retweet_count reblogs_count reposts_count reposts shares share_count"
POST_URLS = (
    "post_url page_url webpage_url permalink post_link itemurl item_url weburl submission_url "
    "chapter_url short_url html_url links.html public_url"
)
MEDIA_URLS = (
    "file_url media_url image_url media.url file.url image.url content.src download_url src "
    "video_url display_url url image"
)
WIDTHS = "width image_width media.width file.width image.width original_width w"
HEIGHTS = "height image_height media.height file.height image.height original_height h"
TAGS = "tags hashtags tag_string tag_list keywords topics"


def look(data: Mapping[str, Any], paths: str, read: Callable[[Any], T | None]) -> T | None:
    """Return the first usable value of several paths, separated by spaces."""
    for path in paths.split():
        value = read(dig(data, *path.split(".")))
        if value is not None:
            return value
    return None


def count(data: Mapping[str, Any], paths: str) -> int | None:
    """Return the first count that is a number."""
    return look(data, paths, as_count)


def language_of(data: Mapping[str, Any]) -> str | None:
    """Return the language code."""
    return look(data, "lang language", lambda value: as_text(value, 40))
