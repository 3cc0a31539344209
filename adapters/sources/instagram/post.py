"""Instagram as a table: what a post, a comment, an account and a medium are in every format of it.

The id of a post is the number that its short code spells, so that the Graph API, whose ids are its
own, meets the old API and scrapers. The Graph API's numbers for people are its own, too: they meet
the others over the name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from adapters.records.errors import RecordError
from adapters.records.values import as_id, as_text, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.adapter import Found, Part
from adapters.sources.shapes import reader

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_KEY_LENGTH = 28
"""Codes of posts of private accounts end with a key of this length."""
_TAG = re.compile(r"(?<![\w&/])#(\w+)")
_MENTION = re.compile(r"(?<![\w.@/])@([A-Za-z0-9_.]{1,30})")

INSTAGRAM = source(
    "instagram",
    "Instagram",
    """
    post:
    post_id text = id # Id of the post
    shortcode text = shortcode # Code in the address of the post
    medium:
    post_id = ^.id
    shortcode = shortcode|^.shortcode
    media_id text = id # Id of the medium
    post:
    media_type text = kind # image, video, carousel or story
    like_count bigint = like_count # Likes of the post
    comment_count bigint = comment_count # Comments of the post
    hashtags text[] = hashtags # Hashtags without #
    location_name text = location_name # Place it is tagged with
    latitude double precision = latitude # Latitude of the place in degrees
    longitude double precision = longitude # Longitude of the place in degrees
    medium:
    media_type
    width bigint = width # Width of the medium in pixels
    height bigint = height # Height of the medium in pixels
    media_url text = urls[0] # Address of the medium, expires
    alt_text text = alt_text # Accessibility caption
    post:
    filter_name text = filter_name # Filter that was applied
    url text = https://www.instagram.com/p/{shortcode}/ # Address of the post
    comment:
    like_count
    user:
    user_id text = id # Id, on rows of users
    user_name text = name # Name in the address, on rows of users
    display_name text = display_name # Shown name, on rows of users
    follower_count bigint = follower_count # Followers, on rows of users
    following_count bigint = following_count # Followed accounts, on rows of users
    post_count bigint = post_count # Posts, on rows of users
    bio text = bio # What an account says about itself, on rows of users
    """,
    version=2,
)
USER = Person(
    id="id", name="name", title="display_name|name", is_own_author=True, unless_only="user_id"
)
_AUTHOR = replace(USER, at="author")
_MENTIONED = Edge("mentioned", Person(id="id", name="name", section="mention"), "people")
POST = Node(
    "post",
    id="id",
    title="caption",
    view="view_count",
    time="created",
    author=_AUTHOR,
    tags="hashtags",
    media=(
        Medium(
            id="key",
            at="media",
            time="created",
            urls="urls",
            thumbs="thumbs",
            stems="names",
            is_network=True,
            is_video="is_video",
        ),
    ),
    edges=(Edge("alias", "post", "other_id"), _MENTIONED),
)
COMMENT = Node(
    "comment",
    id="id",
    title="text",
    time="created",
    author=_AUTHOR,
    edges=(Edge("reply", "post", "post"), Edge("reply", "comment", "comment"), _MENTIONED),
)
RULES = Rules(INSTAGRAM, "instagram", {"post": POST, "comment": COMMENT, "user": USER})
TABLES = (INSTAGRAM.table,)


def fields_of_post(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a post with what follows from its fields: tags, people and the names of files."""
    caption, media = as_text(fields.get("caption")), list(mappings(fields.get("media")))
    people = [*mappings(fields.get("people")), *people_in(caption)]
    return {"hashtags": tags_in(caption)} | fields | {
        "people": people,
        "media": [_with_names(one, fields, n, len(media)) for n, one in enumerate(media, 1)],
    }  # fmt: skip


def _with_names(
    medium: dict[str, Any], post: dict[str, Any], number: int, count: int
) -> dict[str, Any]:
    """Add the names of its file: gallery-dl says POST_MEDIUM, instaloader and others CODE_NUMBER.

    A cover only shows another medium: without a file it is no node, and so has no key.
    """
    identity, code = medium.get("id"), as_text(post.get("shortcode"))
    names = [identity, *medium.get("stems", ()), f"{post['id']}_{identity}"]
    names += [f"{post['id']}_{number}", *([f"{code}_{number}"] if code else [])]
    names += [code] if code and count == 1 else []
    is_video = True if medium.get("kind") == "video" else None
    key = None if medium.get("is_cover") else identity
    return medium | {"names": names, "is_video": is_video, "key": key}


def post_item(fields: dict[str, Any], raw: Any, expected: str) -> Found:
    """Return the part of a post, or the RecordError that says what was expected of its id."""
    if not fields.get("id"):
        return RecordError(expected)
    return Part(reader(RULES, "post"), fields_of_post(fields), raw)


def comment_item(fields: dict[str, Any], raw: Any, is_inner: bool = False) -> Found:
    """Return the part of a comment, or the RecordError of one without an id."""
    if not fields.get("id"):
        return RecordError("the comment has no usable id; expected digits in id")
    fields = fields | {"people": people_in(as_text(fields.get("text")))}
    return Part(reader(RULES, "comment"), fields, raw, is_inner)


def user_item(fields: dict[str, Any], raw: Any) -> Part:
    """Return the part of an account."""
    return Part(reader(RULES, "user"), fields, raw)


def shortcode_in(url: Any) -> str | None:
    """Return the short code in the address of a post."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "").path.split("/")
    except ValueError:
        return None
    for kind in ("p", "reel", "tv"):
        if kind in parts[:-1]:
            return as_text(parts[parts.index(kind) + 1])
    return None


def id_of_shortcode(code: str | None) -> str | None:
    """Return the number that a short code spells, in base 64."""
    if not code or any(character not in _ALPHABET for character in code):
        return None
    code = code[:-_KEY_LENGTH] if len(code) > _KEY_LENGTH else code
    number = 0
    for character in code[:22]:
        number = number * 64 + _ALPHABET.index(character)
    return as_id(number)


def tags_in(text: str | None) -> list[str]:
    """Return the hashtags in a text, without #, once each."""
    return [tag for tag in dict.fromkeys(_TAG.findall(text or "")) if not tag.isdigit()]


def people_in(text: str | None) -> list[dict[str, Any]]:
    """Return the people whom a text names."""
    names = dict.fromkeys(name.strip(".").lower() for name in _MENTION.findall(text or ""))
    return [{"name": name} for name in names if name]
