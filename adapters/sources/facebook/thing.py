"""Facebook as a table: posts, photos, videos, albums, events and comments, and who made them.

A photo or video page is a post and holds one medium. People and pages are known by id only,
whatever their names say.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules

_TAG = re.compile(r"(?<![\w&/])#(\w+)")
FACEBOOK = source(
    "facebook",
    "Facebook",
    """
    thing:
    object_id text = id # Id of the post, photo, video, album, event or comment
    object_type text = kind # post, photo, video, album, event or comment
    status_type text = status_type # How the post came to be, such as added_photos
    permalink_url text = permalink_url # Address of its page
    reaction_count bigint = reaction_count # Reactions of all kinds
    like_count bigint = like_count # Likes
    love_count bigint = love_count # Reactions Love
    wow_count bigint = wow_count # Reactions Wow
    haha_count bigint = haha_count # Reactions Haha
    sad_count bigint = sad_count # Reactions Sad
    angry_count bigint = angry_count # Reactions Angry
    comment_count bigint = comment_count # Comments
    share_count bigint = share_count # Shares
    item_count bigint = item_count # Photos and videos, on rows of albums
    description text = description # Longer text, on rows of videos, albums and events
    hashtags text[] = hashtags # Hashtags without #
    place_name text = place_name # Place it is tagged with or happens at
    latitude double precision = latitude # Latitude of the place in degrees
    longitude double precision = longitude # Longitude of the place in degrees
    start_time timestamptz = start_time # When an event begins
    end_time timestamptz = end_time # When an event ends
    medium:
    object_id = ^.id
    object_type = ^.kind
    media_id text = id # Id of the medium, on rows of media
    media_type text = type # photo or video, on rows of media
    media_url text = urls[0] # Address of the medium, expires
    alt_text text = alt_text # Description of the medium
    width bigint = width # Width of the medium in pixels
    height bigint = height # Height of the medium in pixels
    duration_s double precision = duration_s # Length of the video
    user:
    user_id text = id # Id, on rows of people and pages
    user_name text = user_name # Name in the address, on rows of people and pages
    display_name text = name # Shown name, on rows of people and pages
    follower_count bigint = follower_count # Followers, on rows of pages
    """,
)
PERSON = Person(
    id="id", name="user_name", title="name|user_name", is_own_author=True, unless_only="user_id"
)
_MEDIUM = Medium(
    id="id",
    at="media",
    urls="urls",
    thumbs="thumbs",
    stems="names",
    is_network=True,
    is_video="is_video",
    # The post of a feed that shows this photo or video.
    edges=(Edge("contains", "post", "^.shown_in", is_parent=False),),
)
_THING = Node(
    "post",
    id="id",
    section="thing",
    title="title",
    view="view_count",
    time="created",
    author=replace(PERSON, at="author"),
    tags="hashtags",
    media=(_MEDIUM,),
    edges=(
        Edge("member", "user", "wall_id"),
        *(Edge("reply", kind, f"on_{kind}") for kind in ("post", "comment", "album", "event")),
        Edge("repost", "post", "repost_of"),
        Edge("mentioned", "user", "people"),
        Edge("linked", "web:page", "pages"),
        Edge("member", "event", "dates", is_parent=True),
    ),
)
_ALBUM = replace(_THING, kind="album", author=None, edges=(), tags="")
_THING_OF_ALBUM = replace(_THING, edges=(*_THING.edges, Edge("member", _ALBUM, "album")))
RULES = Rules(
    FACEBOOK,
    "facebook",
    {
        **dict.fromkeys(("post", "photo", "video"), _THING_OF_ALBUM),
        **{kind: replace(_THING_OF_ALBUM, kind=kind) for kind in ("album", "event", "comment")},
        "person": PERSON,
    },
)


def tags_in(text: str | None) -> list[str]:
    """Return the hashtags in a text, without #, once each."""
    return [tag for tag in dict.fromkeys(_TAG.findall(text or "")) if not tag.isdigit()]


def with_names(media: list[dict[str, Any]], identity: str) -> list[dict[str, Any]]:
    """Return media with the names that their files have."""
    stems = [identity] if len(media) == 1 else []
    return [
        one
        | {"names": [one["id"], f"{identity}_{number}", *stems]}
        | {"is_video": True if one["type"] == "video" else None}
        for number, one in enumerate(media, 1)
    ]
