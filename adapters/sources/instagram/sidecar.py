"""Posts of Instagram as gallery-dl writes them, as a format of it.

Likes are those of the post, repeated on every item of a carousel. The owner is the author; the
account that saved a post (subcategory `saved`) is nowhere in the record. Reels nest the owner
again. Times name no zone and mean UTC: `date` is the medium's, `post_date` the post's.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count
from adapters.sources.columns import recast
from adapters.sources.instagram.post import INSTAGRAM, POST
from adapters.sources.model import Rules
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of

_OWNER = recast("""
    id = owner_id|owner.id|owner.pk
    name = username:text|owner.username:text
    display_name = fullname|owner.full_name
""")
_POST = recast(
    """
    id = post_id:nonzero|sidecar_media_id:nonzero|media_id:nonzero
    shortcode = post_shortcode|sidecar_shortcode
    kind = type:text
    caption = description
    view_count = view_count|play_count
    created = post_date:posted|date:posted
    like_count = likes
    comment_count = comments|comment_count
    people = tagged_users > person
    location_name = location_name|location_slug
    latitude = location.lat
    longitude = location.lng
    """,
    person=recast("id = id|pk\nname = username:text"),
)


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    fields = _POST(data)
    is_carousel = "sidecar_media_id" in data or (as_count(data.get("count")) or 0) > 1
    if is_carousel and fields.get("kind") in ("post", None):
        fields["kind"] = "carousel"
    return fields | {"author": [_OWNER(data)], "hashtags": tags_of(data.get("tags"))}


def _medium(fields: dict[str, Any]) -> dict[str, Any]:
    kind = "video" if "video" in fields else "image" if "picture" in fields else None
    urls = [fields[name] for name in ("video", "picture") if name in fields]
    return fields | {"key": fields.get("id"), "kind": kind, "urls": urls}


_MEDIUM = recast(
    """
    id = media_id:nonzero|post_id:nonzero
    shortcode = shortcode
    created = date:posted
    video = video_url:address
    picture = display_url:address
    width = width:nonzero
    height = height:nonzero
    alt_text = accessibility_caption
    """,
    _medium,
)
GALLERY_DL = SidecarFormat(
    Rules(INSTAGRAM, "instagram", {"post": of_sidecar(POST)}), _of_sidecar, _MEDIUM
)
