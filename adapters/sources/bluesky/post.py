"""Bluesky as a table: records, accounts and media, and gallery-dl's sidecars of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_count
from adapters.sources.bluesky.addresses import authority_node, uri_node
from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of

BLUESKY = source(
    "bluesky",
    "Bluesky",
    """
    record:
    uri text = uri # at:// address of the record
    cid text = cid # Hash of the record
    like_count bigint = likeCount # Likes
    repost_count bigint = repostCount # Reposts
    reply_count bigint = replyCount # Replies
    quote_count bigint = quoteCount # Quotes
    bookmark_count bigint = bookmarkCount # Bookmarks
    languages text[] = record.langs # Language codes
    hashtags text[] = hashtags # Hashtags without #
    labels text[] = labels[].val|record.labels.values[].val # Moderation labels
    medium:
    uri = uri
    cid
    media_url text = urls[0] # Address of the medium
    alt_text text = alt # Description of the medium
    width bigint = aspectRatio.width # Width of the medium in pixels
    height bigint = aspectRatio.height # Height of the medium in pixels
    profile:
    uri
    user:
    did text = did # Permanent id, on rows of users
    handle text = handle # Handle, on rows of users
    display_name text = displayName # Shown name, on rows of users
    follower_count bigint = followersCount # Followers, on rows of users
    post_count bigint = postsCount # Posts, on rows of users
    labels
    profile:
    display_name
    """,
)
USER = Person(id="did", name="name", title="displayName|handle", unless_only="did")
_MEDIUM = Medium(
    id="cid|urls[0]", at="media", title="alt", stems="cid,{cid}@jpeg", post_stem="^.rkey"
)
_ROOT = Node(
    "conversation",
    id="id",
    section="root",
    edges=(Edge("conversation", "described", "node", True),),
)
POST = Node(
    "post",
    id="uri",
    section="record",
    title="record.text|record.displayName|record.name|record.title|record.description",
    time="record.createdAt|indexedAt",
    author=replace(USER, at="author"),
    tags="hashtags",
    media=(_MEDIUM,),
    edges=(
        Edge("reply", "described", "answered"),
        Edge("conversation", _ROOT, "root"),
        Edge("repost", "described", "reposted"),
        Edge("linked", "described", "about,embedded"),
        Edge("quote", "described", "quoted"),
        Edge("mentioned", "user", "people,person"),
        Edge("mentioned", "username", "names:lower"),
        Edge("linked", "web:page", "pages"),
    ),
)
_PROFILE = Person(
    id="did",
    name="name",
    title="displayName|description",
    time="createdAt",
    section="profile",
)
RULES = Rules(
    BLUESKY,
    "bluesky",
    {"post": POST, "record": replace(POST, kind="record"), "user": USER, "profile": _PROFILE},
    {"user": lambda profile: person_of(profile, None)},
)


def person_of(value: Any, uri: Any) -> dict[str, Any]:
    """Return the account of an embedded profile, else whose record an address is."""
    found = value if isinstance(value, dict) else {}
    did, handle = found.get("did"), found.get("handle")
    node = authority_node(f"at://{did}/") if isinstance(did, str) else None
    if node is None or not node.startswith("bluesky:user:"):
        # The address of a record names its owner by DID or by handle.
        node = authority_node(uri)
        kind, _, identity = (node or "::").partition(":")[2].partition(":")
        whose = {"did": None, "name": None}
        return whose | ({"did": identity} if kind == "user" else {"name": identity})
    is_valid = isinstance(handle, str) and handle != "handle.invalid"
    return found | {"name": handle if is_valid else None}


# ---- gallery-dl --------------------------------------------------------------------------------

_POST = recast(
    """
    own_uri = uri:string
    made_uri = at://{author.did}/app.bsky.feed.post/{post_id}
    cid = cid
    likeCount = likeCount
    repostCount = repostCount
    replyCount = replyCount
    quoteCount = quoteCount
    bookmarkCount = bookmarkCount
    labels = labels
    author = author > person
    user = user > person
    answered = reply.parent.uri
    began = reply.root.uri:string
    quoted = embed.record.record.uri|embed.record.uri
    pages[] = uris[]:address
    """,
    person=recast("""
        did = did
        handle = handle
        name = handle
        displayName = displayName
        followersCount = followersCount
        postsCount = postsCount
    """),
)
_RECORD = recast("""
    text = text
    createdAt = createdAt:posted|date:posted|indexedAt:posted
    langs = langs
""")
_MEDIUM_FIELDS = recast("""
    cid = filename
    urls[] = url:address
    alt = description
""")


def _uri_of(fields: dict[str, Any]) -> str | None:
    own = fields.get("own_uri")
    return own if own and own.startswith("at://") else fields.get("made_uri")


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a sidecar; `user` is whose feed was read, and no author of its posts."""
    fields = _POST(data)
    uri, quoted, root = _uri_of(fields), fields.get("quoted"), fields.get("began")
    is_post = isinstance(quoted, str) and "/app.bsky.feed.post/" in quoted
    mentions = tags_of(data.get("mentions")) or []
    return fields | {
        "uri": uri,
        "record": _RECORD(data),
        "author": fields.get("author") or (None if uri else fields.get("user")),
        "hashtags": tags_of(data.get("hashtags")),
        "answered": uri_node(fields.get("answered")),
        "root": [{"node": uri_node(root), "id": root}] if uri_node(root) else None,
        "quoted": uri_node(quoted) if is_post else None,
        # Facets name accounts by did, texts by handle.
        "people": [name for name in mentions if name.startswith("did:")],
        "names": [name.lstrip("@") for name in mentions if not name.startswith("did:")],
    }


def _medium(data: dict[str, Any]) -> dict[str, Any]:
    size = {name: nonzero for name in ("width", "height") if (nonzero := as_count(data.get(name)))}
    return _MEDIUM_FIELDS(data) | {"aspectRatio": size, "uri": _uri_of(_POST(data))}


GALLERY_DL = SidecarFormat(
    Rules(BLUESKY, "bluesky", {"post": of_sidecar(POST)}), _of_sidecar, _medium
)
