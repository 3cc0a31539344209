"""The declared metadata of Facebook."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "facebook",
    1,
    "Facebook",
    """
    object_id text: Id of the post, photo, video, album, event or comment
    object_type text: post, photo, video, album, event or comment
    status_type text: How the post came to be, such as added_photos
    permalink_url text: Address of its page
    reaction_count bigint: Reactions of all kinds
    like_count bigint: Likes
    love_count bigint: Reactions Love
    wow_count bigint: Reactions Wow
    haha_count bigint: Reactions Haha
    sad_count bigint: Reactions Sad
    angry_count bigint: Reactions Angry
    comment_count bigint: Comments
    share_count bigint: Shares
    item_count bigint: Photos and videos, on rows of albums
    description text: Longer text, on rows of videos, albums and events
    hashtags text[]: Hashtags without #
    place_name text: Place it is tagged with or happens at
    latitude double precision: Latitude of the place in degrees
    longitude double precision: Longitude of the place in degrees
    start_time timestamptz: When an event begins
    end_time timestamptz: When an event ends
    media_id text: Id of the medium, on rows of media
    media_type text: photo or video, on rows of media
    media_url text: Address of the medium, expires
    alt_text text: Description of the medium
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    duration_s double precision: Length of the video
    user_id text: Id, on rows of people and pages
    user_name text: Name in the address, on rows of people and pages
    display_name text: Shown name, on rows of people and pages
    follower_count bigint: Followers, on rows of pages
    """,
)
