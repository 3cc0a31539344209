"""Misskey and its kin (Sharkey, Firefish): notes and users as their API answers them.

Ids are those of the server that was asked. A note of another server says its address of the
Fediverse, by which it meets itself out of ActivityPub.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_count, as_text, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.shapes import adapter, shape

MISSKEY = source(
    "misskey",
    "Misskey and its kin",
    """
    post:
    post_id text = id # Id of the note on the server that was asked
    uri text = uri # Address that is its identity between servers, of notes from elsewhere
    text text = text:whole # Text
    spoiler_text text = cw # Content warning
    visibility text = visibility # public, home, followers or specified
    reply_count bigint = repliesCount # Answers
    renote_count bigint = renoteCount # Renotes
    reaction_count bigint = reaction_count # Reactions of all kinds
    hashtags text[] = tags # Hashtags without #
    channel text = channel.name # Channel it is in
    poll_options text[] = poll.choices[].text # Answers of the poll
    medium:
    post_id = ^.id
    media_id text = id # Id of the file
    media_url text = url # Address of the file
    file_name text = name # Name as it was uploaded
    alt_text text = comment # Description of the medium
    mime_type text = type # MIME type
    md5 text = md5 # MD5 of the file
    size_bytes bigint = size # Size of the file
    width bigint = properties.width # Width in pixels
    height bigint = properties.height # Height in pixels
    is_sensitive boolean = isSensitive # Marked as sensitive
    user:
    user_id text = id # Id, on rows of users
    user_name text = name_at # Name with its server, on rows of users
    display_name text = name # Shown name, on rows of users
    bio text = description:body # What an account says about itself, on rows of users
    follower_count bigint = followersCount # Followers, on rows of users
    following_count bigint = followingCount # Followed accounts, on rows of users
    post_count bigint = notesCount # Notes, on rows of users
    joined_time timestamptz = createdAt # When the account was made, on rows of users
    is_bot boolean = isBot # Whether a program writes, on rows of users
    """,
)
USER = Person(
    id="id",
    name="name_at",
    title="name|username",
    is_own_author=True,
    edges=(Edge("alias", "activitypub:user", "uri"),),
)
_FILE = Medium(
    id="id",
    at="files[]",
    title="comment",
    urls="url",
    stems="md5,id,name:stem",
    thumbs="thumbnailUrl",
)
_NOTE = Node(
    "post",
    id="id",
    title="text|cw",
    time="createdAt",
    author=replace(USER, at="user"),
    tags="tags",
    media=(_FILE,),
    edges=(
        Edge("alias", "activitypub:post", "uri"),
        Edge("reply", "post", "replyId"),
        Edge("repost", "post", "renoted"),
        Edge("quote", "post", "quoted"),
        Edge("mentioned", "user", "mentions"),
        Edge("member", "channel", "channelId"),
    ),
)
NOTE = replace(_NOTE, edges=(*_NOTE.edges, Edge("", _NOTE, "inner")))
EXPECTED = "expected notes (id, createdAt, userId) or users of Misskey"


def _fields(note: dict[str, Any]) -> dict[str, Any]:
    """Return a note with its renote told from a quote, and with the notes inside it."""
    says_something = bool(note.get("text") or note.get("files") or note.get("poll"))
    reactions = note.get("reactions")
    of_kinds = reactions.values() if isinstance(reactions, dict) else ()
    counts = [as_count(one) or 0 for one in of_kinds]
    inner = [_fields(one) for one in mappings([note.get("renote"), note.get("reply")])]
    return note | {
        "user": [_user(one) for one in mappings([note.get("user")])],
        "quoted" if says_something else "renoted": note.get("renoteId"),
        "reaction_count": sum(counts) if counts else None,
        "inner": inner,
    }


def _user(user: dict[str, Any]) -> dict[str, Any]:
    name, host = as_text(user.get("username"), 300), as_text(user.get("host"), 300)
    return user | {"name_at": f"{name}@{host}" if name and host else name}


ADAPTERS = (
    adapter(
        "misskey",
        Rules(MISSKEY, "misskey", {"post": NOTE, "user": USER}, {"post": _fields, "user": _user}),
        (
            shape("post", "id createdAt userId user", "visibility reactions renoteId fileIds", 3),
            shape("user", "id username", "avatarUrl host onlineStatus notesCount", 3),
        ),
        EXPECTED,
        holders="notes users",
    ),
)
