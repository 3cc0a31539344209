"""The declared metadata of the Fediverse: Mastodon and its kin, PeerTube, Funkwhale and others."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "activitypub",
    1,
    "The Fediverse: Mastodon and its kin, PeerTube, Funkwhale and others",
    """
    uri text: Address that is its identity between servers
    url text: Address of its page
    server text: Host that the identity names
    local_id text: Id on the server it was asked from
    object_type text: Note, Video, Article, Announce ...; Person ... on rows of users
    visibility text: public, unlisted, private or direct
    language text: Language code
    spoiler_text text: Content warning
    is_sensitive boolean: Marked as sensitive
    favourite_count bigint: Favourites or likes
    reblog_count bigint: Boosts
    reply_count bigint: Replies
    quote_count bigint: Quotes
    dislike_count bigint: Dislikes
    hashtags text[]: Hashtags without #
    poll_options text[]: Answers of the poll
    poll_vote_count bigint: Votes of the poll
    card_url text: Page that the preview card shows
    client text: Program that posted it
    edited_time timestamptz: Last change
    scheduled_time timestamptz: When it is to be published
    start_time timestamptz: When the event starts
    location_name text: Place
    media_id text: Id of the medium on its server
    media_type text: image, gifv, video, audio, or a MIME type
    media_url text: Address of the medium
    alt_text text: Description of the medium
    blurhash text: Colours of the medium in short
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    duration_s double precision: Length of the medium
    user_name text: name@host, on rows of users
    display_name text: Shown name, on rows of users
    follower_count bigint: Followers, on rows of users
    following_count bigint: Followed accounts, on rows of users
    post_count bigint: Posts, on rows of users
    joined_time timestamptz: When the account was made, on rows of users
    is_bot boolean: Run by a program, on rows of users
    """,
)
