"""The declared metadata of Telegram."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "telegram",
    2,
    "Telegram",
    """
    chat_id text: Id of the chat
    chat_name text: Name of the chat, also on rows of chats
    chat_type text: private_group, public_channel ..., on rows of chats
    message_id text: Id of the message in its chat
    from_id text: user or channel with its number
    user_name text: Name of the sender when it was exported, also on rows of users
    media_type text: photo, sticker, voice_message, animation ..., service for service messages
    mime_type text: MIME type of the file
    file_name text: Name that the sender's file had
    sticker_emoji text: Emoji that a sticker stands for
    duration_s double precision: Length of the medium
    width bigint: Width of the medium in pixels
    height bigint: Height of the medium in pixels
    forwarded_from text: Name that a forwarded message came from
    via_bot text: Bot that was used to write it
    author_signature text: Signature in a channel
    hashtags text[]: Hashtags without #
    poll_question text: Question of a poll
    poll_options text[]: Answers of the poll
    poll_vote_count bigint: Votes of the poll
    reaction_count bigint: Reactions
    latitude double precision: Latitude of a place in degrees
    longitude double precision: Longitude of a place in degrees
    performer text: Performer of a piece of music
    medium_title text: Title of a piece of music
    published_time timestamptz: When it was published, also where it was changed later
    edited_time timestamptz: Last change
    """,
)
