"""The Fediverse as a table: posts, accounts and media of ActivityPub and of the Mastodon API.

A post or person is known everywhere by one address, its `id` (ActivityPub) or `uri` (Mastodon):
`activitypub:post:<uri>`, `activitypub:user:<uri>`. Where a record also gives the address of the
page, the two are joined by an `alias` edge, because others refer by that one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.values import as_count, as_text, dig, first
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import BODY_LENGTH_MAX, add_readers
from adapters.sources.reading.rich_text import text_of_post
from adapters.sources.reading.web_address import host_of

PLATFORM = "activitypub"
ACTIVITYPUB = source(
    PLATFORM,
    "The Fediverse: Mastodon and its kin, PeerTube, Funkwhale and others",
    """
    post:
    uri text = uri # Address that is its identity between servers
    url text = url # Address of its page
    server text = server # Host that the identity names
    local_id text = local_id # Id on the server it was asked from
    object_type text = object_type # Note, Video, Article, Announce ...; Person ... on rows of users
    visibility text = visibility # public, unlisted, private or direct
    language text = language # Language code
    text text = text:whole # Whole text
    spoiler_text text = spoiler_text # Content warning
    is_sensitive boolean = is_sensitive # Marked as sensitive
    favourite_count bigint = favourite_count # Favourites or likes
    reblog_count bigint = reblog_count # Boosts
    reply_count bigint = reply_count # Replies
    quote_count bigint = quote_count # Quotes
    dislike_count bigint = dislike_count # Dislikes
    hashtags text[] = hashtags # Hashtags without #
    poll_options text[] = poll_options # Answers of the poll
    poll_vote_count bigint = poll_vote_count # Votes of the poll
    card_url text = card.url # Page that the preview card shows
    client text = client # Program that posted it
    edited_time timestamptz = edited # Last change
    published_time timestamptz = published # When it was published, also where it was changed later
    scheduled_time timestamptz = scheduled # When it is to be published
    start_time timestamptz = start # When the event starts
    location_name text = location_name # Place
    media_id text # Id of the medium on its server
    media_type text # image, gifv, video, audio, or a MIME type
    media_url text # Address of the medium
    alt_text text # Description of the medium
    blurhash text # Colours of the medium in short
    width bigint # Width of the medium in pixels
    height bigint # Height of the medium in pixels
    duration_s double precision # Length of the medium
    user_name text # name@host, on rows of users
    display_name text # Shown name, on rows of users
    follower_count bigint # Followers, on rows of users
    following_count bigint # Followed accounts, on rows of users
    post_count bigint # Posts, on rows of users
    joined_time timestamptz # When the account was made, on rows of users
    is_bot boolean # Run by a program, on rows of users
    medium:
    media_id = media_id
    media_type = media_type
    media_url = media_url
    alt_text = alt_text
    blurhash = blurhash
    width = width
    height = height
    duration_s = duration_s
    user:
    uri url server local_id object_type
    user_name = user_name
    display_name = display_name
    follower_count = follower_count
    following_count = following_count
    post_count = post_count
    joined_time = joined
    is_bot = is_bot
    picture:
    media_url
    card:
    url
    object_type = type
    media_url = image
    width = width:nonzero
    height = height:nonzero
    tag:
    url
    instance:
    server url
    """,
    version=2,
)
_PICTURE = Medium(
    at="pictures", title="title", urls="media_url", position="position", section="picture"
)
ACTOR = Person(
    id="id",
    name="name",
    title="display_name|account",
    time="updated",
    media=(_PICTURE,),
    edges=(Edge("alias", "user", "page"),),
)
AUTHOR = replace(ACTOR, at="author", time="", media=(), edges=(Edge("alias", "user", "page"),))
_OTHER = replace(AUTHOR, at="")
MEDIUM = Medium(
    id="id",
    at="media",
    title="title",
    urls="urls",
    variants="urls",
    thumbs="thumbs",
    post_stem="^.stem",
    container="contained_in",
    container_kind="described",
)
CARD = Node("web:page", id="url", title="title", section="card")
POST = Node(
    "post",
    id="id",
    title="headline|text|summary|spoiler_text",
    view="view",
    time="edited|published|time",
    author=AUTHOR,
    tags="hashtags",
    media=(MEDIUM,),
    edges=(
        Edge("alias", "post", "page,known_as"),
        Edge("reply", "post", "answers"),
        Edge("reply", "post", "answered_by", True, count_max=1_000),
        Edge("repost", "post", "repeats"),
        Edge("quote", "post", "quotes"),
        Edge("conversation", "conversation", "conversation"),
        Edge("mentioned", "described", "mentioned"),
        Edge("linked", "post", "posts"),
        Edge("linked", "web:page", "pages"),
        Edge("linked", CARD, "card"),
        Edge("credited", _OTHER, "credited"),
        Edge("member", _OTHER, "groups"),
        Edge("member", "user", "audience"),
        Edge("thumbnail", "file", "previews"),
    ),
)
NODES = {
    "post": POST,
    "like": Node(
        "record",
        id="id",
        title="text",
        time="time",
        section="post",
        author=AUTHOR,
        edges=(Edge("linked", "post", "liked"),),
    ),
    "user": ACTOR,
    "attachment": Node("post", id="", media=(replace(MEDIUM, at=".", container="", post_stem=""),)),
    "card": replace(CARD, edges=(Edge("thumbnail", "file", "image"),)),
    "tag": Node("tag", id="name:lower", title="name", section="tag"),
    "instance": Node(
        "web:page",
        id="url",
        title="title",
        section="instance",
        edges=(Edge("member", _OTHER, "contact", True),),
    ),
}
RULES = Rules(ACTIVITYPUB, PLATFORM, NODES)


def is_address(value: Any) -> bool:
    """Tell whether a value is an absolute http address."""
    return isinstance(value, str) and value.startswith(("http://", "https://")) and len(value) > 10


def full_name(account: Any, address: Any) -> str | None:
    """Return name@host of an account name as one server writes it: local names have no host."""
    name, host = as_text(account), host_of(address)
    return name if name is None or "@" in name or host is None else f"{name}@{host}"


def _written(raw: Any) -> str | None:
    """Return the whole text of an object of ActivityPub."""
    content = first(dig(raw, "content"), _of_map(dig(raw, "contentMap")))
    is_markdown = dig(raw, "mediaType") == "text/markdown"
    return (as_text if is_markdown else text_of_post)(content, BODY_LENGTH_MAX)


def _of_map(value: Any) -> Any:
    return next(iter(value.values()), None) if isinstance(value, dict) else None


add_readers(
    host=host_of,
    web=lambda value: value if is_address(value) else None,
    post_html=lambda value: text_of_post(value, BODY_LENGTH_MAX),
    any_language=_of_map,
    written=_written,
    total=lambda value: as_count(value.get("totalItems") if isinstance(value, dict) else value),
)
